const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0]);
const photo = { name: "photo", filename: "cup.png", content: png };
const member = (id) => {
  const browser = visitor();
  browser.visit("/", { customer: { id, email: `${id}@example.com`, first_name: id } });
  return browser;
};
const publish = (browser, caption) => {
  browser.visit("/members/cups", { files: [photo] });
  return browser.visit("/members/cups", { form: { act: "publish", caption } });
};

test("a photo is shown to its member first, and then to all", () => {
  const [ann, bob] = [member("ann"), member("bob")];
  expect(ann.visit("/members/cups", { files: [photo] }).location).toBe("/members/cups");
  const [address] = ann.visit("/members/cups").text.match(/\/_files\/[^"]+/) ?? [""];
  expect(visit(address).headers["content-type"]).toBe("image/png");
  expect(bob.visit("/members/cups").text).toContain("It is empty");
  const empty = ann.visit("/members/cups", { form: { act: "publish", caption: " " } });
  expect([empty.status, Object.keys(empty.variables.wrong)]).toEqual([422, ["caption"]]);
  ann.visit("/members/cups", { form: { act: "publish", caption: "<b>Blue</b>" } });
  const page = bob.visit("/members/cups");
  expect(page.text).toContain("&lt;b&gt;Blue&lt;/b&gt;");
  expect(page.text).not.toContain("Take away");
});

test("another photo replaces the draft, and a discarded one is gone", () => {
  const ann = member("ann");
  const send = () => {
    ann.visit("/members/cups", { files: [photo] });
    return ann.visit("/members/cups").variables.draft;
  };
  const [first, second] = [send(), send()];
  expect([visit(first).status, visit(second).status]).toEqual([404, 200]);
  ann.visit("/members/cups", { form: { act: "discard" } });
  expect(visit(second).status).toBe(404);
  expect(ann.visit("/members/cups", { form: { act: "publish", caption: "Blue" } }).text).toContain("The photo is gone");
});

test("each member shows three cups, and takes away only their own", () => {
  const [ann, bob] = [member("ann"), member("bob")];
  for (const caption of ["One", "Two", "Three"]) expect(publish(ann, caption).status).toBe(303);
  expect(publish(ann, "Four").text).toContain("Take one away first");
  const cups = () => bob.visit("/members/cups").variables.cups;
  const { key, src } = cups().find(({ caption }) => caption === "Three");
  bob.visit("/members/cups", { form: { act: "remove", key } });
  expect(cups()).toHaveLength(3);
  ann.visit("/members/cups", { form: { act: "remove", key } });
  expect(cups().map(({ caption }) => caption).sort()).toEqual(["One", "Two"]);
  expect(visit(src).status).toBe(404);
});

test("what is not a photo, too large, or of a stranger is refused", () => {
  const ann = member("ann");
  const markup = { ...photo, content: "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>" };
  expect(ann.visit("/members/cups", { files: [markup] }).status).toBe(415);
  expect(ann.visit("/members/cups", { files: [photo, photo] }).status).toBe(413);
  expect(ann.visit("/members/cups", { form: {} }).text).toContain("Please choose a photo");
  expect(visitor().visit("/members/cups").location).toBe("/login");
});
