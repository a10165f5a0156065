const address = { name: "Ann", email: "ann@example.com", street: "Weg 1", zip: "89073", city: "Ulm" };

const order = (browser) => {
  browser.visit("/cart", { form: { slug: "weir" } });
  browser.visit("/checkout", { form: address });
  return browser.visit("/pay").variables.report;
};

const post = ({ body, signature }) =>
  visit("/hooks/payment", {
    method: "POST",
    headers: { "content-type": "application/json", "stripe-signature": signature },
    body,
  });

const stages = () => crm.entries("payments").map((entry) => entry.stage_slug);

test("a signed report pays an order, once", () => {
  const ann = visitor();
  const report = order(ann);
  expect(stages()).toEqual(["open"]);
  expect(post(report).json()).toEqual({ received: true, result: "paid" });
  expect(stages()).toEqual(["paid"]);
  expect(post(report).json()).toEqual({ received: true, result: "paid before" });
  expect(ann.visit("/pay").text).toContain("This order is paid.");
});

test("a report that is changed, old, or not signed pays nothing", () => {
  const report = order(visitor());
  const [time, made] = report.signature.split(",");
  const old = `t=${Number(time.slice(2)) - 301},${made}`;
  const changed = { ...report, body: report.body.replace("1180", "1") };
  expect(changed.body).not.toBe(report.body);
  for (const tried of [changed, { ...report, signature: old }, { ...report, signature: time }, { ...report, signature: "" }]) {
    expect(post(tried).status).toBe(400);
  }
  expect(stages()).toEqual(["open"]);
});

test("without JavaScript, the page gives the report itself", () => {
  const ann = visitor();
  order(ann);
  ann.visit("/pay", { form: { as: "thief" } });
  expect(ann.visit("/pay").text).toContain("400");
  expect(stages()).toEqual(["open"]);
  expect(ann.visit("/pay", { form: { as: "service" } }).location).toBe("/pay");
  expect(stages()).toEqual(["paid"]);
});

test("nobody pays for an order that does not exist", () => {
  expect(visit("/pay").text).toContain("no order of yours");
  expect(visit("/pay", { form: { as: "service" } }).status).toBe(200);
  expect(visit("/hooks/payment").status).toBe(405);
});
