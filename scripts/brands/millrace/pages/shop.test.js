test("the shop lists every product, and each has a page", () => {
  const shop = visit("/shop");
  expect(shop.variables.products).toHaveLength(6);
  for (const { slug, name } of shop.variables.products) {
    const page = visit(`/shop/${slug}`);
    expect(page.status).toBe(200);
    expect(page.text).toContain(`<h1>${name}</h1>`);
  }
});

test("a product that does not exist is not found", () => {
  expect(visit("/shop/gravel").status).toBe(404);
});

test("the cart keeps what a visitor puts into it, and only for this visitor", () => {
  const put = visit("/cart", { form: { slug: "weir" } });
  expect(put.status).toBe(303);
  expect(put.location).toBe("/cart");
  visit("/cart", { form: { slug: "weir" } });
  expect(visit("/cart").variables.cart).toMatchObject({ pieces: 2, goods: 15.8 });
  expect(visitor().visit("/cart").text).toContain("Nothing in it yet");
  visit("/cart", { form: { slug: "weir", pieces: "0" } });
  expect(visit("/cart").text).toContain("Nothing in it yet");
});

test("an order says what is missing beside each field, and keeps the rest", () => {
  visit("/cart", { form: { slug: "weir" } });
  const answer = visit("/checkout", { form: { name: "Ann <b>", email: "ann", street: "", zip: "abc", city: "Ulm" } });
  expect(answer.status).toBe(422);
  expect(Object.keys(answer.variables.errors)).toEqual(["email", "street", "zip"]);
  expect(answer.text).toContain('aria-describedby="zip-wrong"');
  expect(answer.text).toContain('value="Ann &lt;b&gt;"');
  expect(crm.entries("orders")).toEqual([]);
});

test("an order is stored, and empties the cart", () => {
  const address = { name: "Ann", email: "ann@example.com", street: "Weg 1", zip: "89073", city: "Ulm" };
  expect(visit("/checkout", { form: address }).status).toBe(422);
  visit("/cart", { form: { slug: "weir" } });
  expect(visit("/checkout", { form: address }).location).toBe("/thanks");
  expect(visit("/thanks").text).toContain("Thank you, Ann");
  expect(visit("/cart").variables.cart.pieces).toBe(0);
  const [order] = crm.entries("orders");
  expect(order.reference_type).toBe("order");
  expect(order.values_flat.order).toMatchObject({ total: 11.8, lines: [{ name: "Weir", pieces: 1, sum: 7.9 }] });
});

test("a short link remembers the campaign, and every code leads somewhere", () => {
  const link = visit("/go/spring");
  expect(link.status).toBe(302);
  expect(link.location).toBe("/shop?from=letter");
  expect(link.cookies.letter).toBe("spring");
  visit("/cart", { form: { slug: "weir" } });
  expect(visit("/cart").variables.cart.saving).toBe(0.79);
  expect(visit("/go/unknown").location).toBe("/links");
});

test("the endpoint answers with JSON, and says what is wrong", () => {
  const answer = visit("/api/price?oats=300&nuts=80&fruit=60");
  expect(answer.headers["content-type"]).toContain("application/json");
  expect(answer.json()).toMatchObject({ ok: true, grams: 440, price: 6.84 });
  const wrong = visit("/api/price?oats=-1");
  expect(wrong.status).toBe(400);
  expect(wrong.json().errors[0]).toContain("Oats");
  expect(visit("/mix?oats=300&nuts=80&fruit=60").variables.price.price).toBe(6.84);
});

test("every page of the shop stays cheap", () => {
  for (const page of ["/", "/shop", "/shop/weir", "/cart", "/mix", "/api/price"]) {
    expect(visit(page)).toUseFuelBelow(4_000_000);
  }
});
