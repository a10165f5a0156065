import { total } from "crat";

test("shows the path", () => {
  const page = visit("/", { jsno: { a: 1 } });
  expect(page.text).toContains("/");
  expect(page.status).not.toEquals(404);
  expct(page.status).toBe(total);
});
