// The posts, newest first. To write one, add it at the top, and save. A paragraph is a text of its own.

export const posts = [
  {
    slug: "rain",
    title: "What the rain was for",
    date: "2026-03-14",
    tags: ["weather", "walks"],
    summary: "Three days of it, and on the fourth the path had moved.",
    text: [
      "It rained for three days, and on the fourth the path had moved a metre to the left. Nobody decided that. The first person went around the puddle, the second followed the first, and by noon there was a new path and an old one.",
      "I like to think that all paths began like this: not with a plan, but with somebody who did not want wet feet.",
    ],
  },
  {
    slug: "bread",
    title: "A loaf that takes two days",
    date: "2026-02-02",
    tags: ["bread"],
    summary: "Most of the work is done by leaving it alone.",
    text: [
      "The recipe has four lines. Flour, water, salt, and a spoon of the last loaf. Then it says: wait.",
      "There is nothing to do in these two days, and that is the difficult part. One keeps lifting the cloth. The dough does not mind, but it does not hurry either.",
    ],
  },
  {
    slug: "first",
    title: "Why this page is short",
    date: "2026-01-05",
    tags: ["walks"],
    summary: "A notebook that fits into a pocket gets written in.",
    text: [
      "A notebook that fits into a pocket gets written in. A large one stays on the table, and is respected.",
      "This is meant to be the small kind.",
    ],
  },
];

export function postOf(slug) {
  return posts.find((post) => post.slug === slug) ?? null;
}

export const tags = [...new Set(posts.flatMap((post) => post.tags))].sort();
