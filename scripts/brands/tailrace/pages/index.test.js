test("the second brand speaks the visitor's language", () => {
  expect(visit("/").text).toContain("Teas for the evening");
  expect(visit("/?hl=de").text).toContain("Tees für den Abend");
  expect(visit("/", { headers: { "accept-language": "de-AT, en" } }).text).toContain('<html lang="de">');
});

test("it counts its own visits", () => {
  expect(visit("/").text).toContain("for the first time");
  expect(visit("/").text).toContain("looked in 2 times");
});
