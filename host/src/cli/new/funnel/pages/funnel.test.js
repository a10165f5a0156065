// `sluice test` runs these on an empty database.

const answer = (question, answer) => visit("/quiz", { form: { question, answer } });

function complete() {
  answer("light", "all");
  answer("care", "daily");
  return answer("use", "kitchen");
}

test("a visitor moves through the funnel", () => {
  answer("light", "all");
  expect(crm.entries("leads")[0].stage_slug).toBe("started");
  answer("care", "daily");
  expect(answer("use", "kitchen").location).toBe("/result");
  const [lead] = crm.entries("leads");
  expect([lead.stage_slug, lead.values_flat.plant]).toEqual(["answered", "basil"]);
  expect(visit("/result", { form: { email: "ann@example.com" } }).location).toBe("/result?sent=1");
  const [subscribed] = crm.entries("leads");
  expect([subscribed.stage_slug, subscribed.values_flat.email]).toEqual(["subscribed", "ann@example.com"]);
  expect(crm.entries("leads")).toHaveLength(1);
});

test("the campaign is stored with the lead", () => {
  visit("/?utm_campaign=spring");
  complete();
  expect(crm.entries("leads")[0].values_flat.campaign).toBe("spring");
});

test("an answer that is not offered is asked again", () => {
  expect(answer("light", "moon").status).toBe(422);
  expect(crm.entries("leads")).toEqual([]);
});

test("nobody gets a result without answers", () => {
  expect(visit("/result").location).toBe("/quiz");
  expect(visit("/result", { form: { email: "ann@example.com" } }).location).toBe("/quiz");
});

test("an address that is none is refused, and stays in the form", () => {
  complete();
  const wrong = visit("/result", { form: { email: "ann" } });
  expect(wrong.status).toBe(422);
  expect(wrong.text).toContain('value="ann"');
});
