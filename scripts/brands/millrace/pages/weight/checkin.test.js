const ann = { id: "c-1", email: "ann@example.com", name: "Ann" };

test("the page shows its form", () => {
  const page = visit("/weight/checkin");
  expect(page.status).toBe(200);
  expect(page.variables.page_title).toBe("Weight check-in");
  expect(page.text).toContain("You are not logged in");
});

test("a check-in requires a login", () => {
  const answer = visit("/weight/checkin", { json: { weight: 80 } });
  expect(answer.status).toBe(401);
  expect(crm.entries("pattern-tracker")).toEqual([]);
});

test("a check-in is stored for the customer", () => {
  const answer = visit("/weight/checkin", { json: { weight: 80, unit: "kg" }, customer: ann });
  expect(answer.json()).toEqual({ ok: true, data: { weight: 80, unit: "kg", notes: "" } });

  const [entry] = crm.entries("pattern-tracker", { referenceId: "c-1" });
  expect(entry.values_flat).toEqual({
    current_weight: 80,
    weight_unit: "kg",
    last_checkin: "2026-01-01T00:00:00.000Z",
  });
  expect(crm.entries("weigh-ins")[0].values_flat.weigh_in.weight).toBe(80);
});

test("a form is stored as JSON is, and leads to the chart", () => {
  const sent = visit("/weight/checkin", { form: { weight: "180.5", unit: "lbs", notes: "" }, customer: ann });
  expect([sent.status, sent.location]).toEqual([303, "/dashboard"]);
  visit("/weight/checkin", { form: { weight: "179", unit: "lbs", notes: "after a run" } });
  const page = visit("/dashboard");
  expect(page.variables.chart.points).toHaveLength(2);
  expect(page.variables.chart.change).toBe(-1.5);
  expect(page.text).toContain("<polyline");
  expect(page.text).toContain("Notes: after a run");
});

test("an invalid check-in returns its errors", () => {
  const answer = visit("/weight/checkin", { json: { weight: 20, unit: "stone" }, customer: ann });
  expect(answer.status).toBe(400);
  expect(answer.json().errors).toHaveLength(2);
  expect(answer.json().errors[0]).toMatch(/^Weight must be at least 50/);
  const form = visit("/weight/checkin", { form: { weight: "20", unit: "kg", notes: "hm" } });
  expect(form.status).toBe(422);
  expect(form.text).toContain("Weight must be at least 50");
  expect(form.text).toContain(">hm</textarea>");
});

test("a goal that is reached is said so", () => {
  visit("/weight/checkin", { json: { weight: 180 }, customer: ann });
  expect(visit("/dashboard", { form: { goal: "170" } }).location).toBe("/dashboard");
  expect(visit("/dashboard").text).not.toContain("You have reached");
  expect(visit("/dashboard", { json: { goal: 185 } }).json()).toEqual({ ok: true });
  expect(visit("/dashboard").text).toContain("You have reached your goal!");
  expect(visit("/dashboard", { json: { goal: 1 } }).json().errors[0]).toMatch(/^Goal/);
});

test("a check-in stays within its fuel budget", () => {
  const answer = visit("/weight/checkin", { json: { weight: 80 }, customer: ann });
  expect(answer).toUseFuelBelow(4_000_000);
});
