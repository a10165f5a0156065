// `sluice test` runs these on an empty database.
import { posts, tags } from "posts";

test("the start page lists every post, and each has a page", () => {
  expect(visit("/").variables.posts).toHaveLength(posts.length);
  for (const { slug, title } of posts) {
    expect(visit(`/posts/${slug}`).text).toContain(`<h1>${title}</h1>`);
  }
  expect(visit("/posts/nothing").status).toBe(404);
});

test("a tag shows its posts only", () => {
  const [tag] = tags;
  const shown = visit(`/?tag=${tag}`).variables.posts;
  expect(shown.every((post) => post.tags.includes(tag))).toBe(true);
  expect(visit("/?tag=none").variables.posts).toHaveLength(posts.length);
});

test("a comment is shown under its post, and is text", () => {
  const [post, other] = posts;
  const sent = visit(`/posts/${post.slug}`, { form: { name: "Ann", text: "<b>Yes</b>" } });
  expect([sent.status, sent.location]).toEqual([303, `/posts/${post.slug}#comments`]);
  expect(visit(`/posts/${post.slug}`).text).toContain("&lt;b&gt;Yes&lt;/b&gt;");
  expect(visit(`/posts/${other.slug}`).variables.comments).toEqual([]);
});

test("an empty comment comes back with what is wrong", () => {
  const answer = visit(`/posts/${posts[0].slug}`, { form: { name: "Ann", text: "" } });
  expect(answer.status).toBe(422);
  expect(answer.variables.errors).toEqual({ text: "Comment is required" });
  expect(crm.entries("comments")).toEqual([]);
});

test("the feed is XML with every post", () => {
  const feed = visit("/feed");
  expect(feed.headers["content-type"]).toContain("application/rss+xml");
  expect(feed.text.split("<item>")).toHaveLength(posts.length + 1);
});
