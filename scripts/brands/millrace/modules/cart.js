// The cart is in the visitor's session: { "first-light": 2 }.
import { productOf, products } from "products";

export const pieces_max = 20;

export const CartSchema = Schema.object({
  slug: Schema.string().required().valid(...products.map((product) => product.slug)).label("Product"),
  pieces: Schema.number().integer().min(0).max(pieces_max).label("Pieces"),
});

// Puts the new number of pieces of a product into the cart; 0 removes it.
export function setPieces(slug, pieces) {
  const { [slug]: _, ...others } = session.get("cart") ?? {};
  const cart = pieces > 0 ? { ...others, [slug]: Math.min(pieces, pieces_max) } : others;
  session.set("cart", Object.keys(cart).length ? cart : null);
}

export function piecesOf(slug) {
  return (session.get("cart") ?? {})[slug] ?? 0;
}

export function emptyCart() {
  session.set("cart", null);
}

// { lines: [{ slug, name, kind, price, pieces, sum }], pieces, goods, saving, shipping, total }
export function cartNow() {
  const lines = Object.entries(session.get("cart") ?? {}).flatMap(([slug, pieces]) => {
    const product = productOf(slug);
    return product ? [{ ...product, pieces, sum: cents(product.price * pieces) }] : [];
  });
  const goods = cents(lines.reduce((sum, line) => sum + line.sum, 0));
  const saving = request.cookies.letter === "spring" ? cents(goods * 0.1) : 0;
  const shipping = goods === 0 || goods >= 25 ? 0 : 3.9;
  return {
    lines,
    pieces: lines.reduce((sum, line) => sum + line.pieces, 0),
    goods,
    saving,
    shipping,
    total: cents(goods - saving + shipping),
  };
}

function cents(price) {
  return Math.round(price * 100) / 100;
}
