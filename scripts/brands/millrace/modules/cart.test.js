import { CartSchema, cartNow, setPieces } from "cart";
import { products } from "products";

test("a cart adds up, and shipping is free from 25 euros on", () => {
  expect(cartNow()).toEqual({ lines: [], pieces: 0, goods: 0, saving: 0, shipping: 0, total: 0 });
  setPieces("first-light", 2);
  expect(cartNow()).toMatchObject({ pieces: 2, goods: 13.6, shipping: 3.9, total: 17.5 });
  setPieces("sunday", 2);
  expect(cartNow()).toMatchObject({ pieces: 4, goods: 32, shipping: 0, total: 32 });
  setPieces("first-light", 0);
  setPieces("sunday", 0);
  expect(session.get("cart")).toBeNull();
});

test("nobody puts a thousand bags into a cart", () => {
  expect(CartSchema.validate({ slug: "weir", pieces: 21 }).valid).toBe(false);
  setPieces("weir", 1000);
  expect(cartNow().pieces).toBe(20);
});

test("only products of the shop can be in a cart", () => {
  expect(CartSchema.validate({ slug: "__proto__" }).valid).toBe(false);
  for (const { slug } of products) expect(CartSchema.validate({ slug }).valid).toBe(true);
});
