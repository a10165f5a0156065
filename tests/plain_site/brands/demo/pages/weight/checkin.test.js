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
  expect(visit("/dashboard").text).toContain("80 kg");
});

test("an invalid check-in returns its errors", () => {
  const answer = visit("/weight/checkin", { json: { weight: 20, unit: "stone" }, customer: ann });
  expect(answer.status).toBe(400);
  expect(answer.json().errors).toHaveLength(2);
  expect(answer.json().errors[0]).toMatch(/^Weight must be at least 50/);
});

test("a check-in stays within its fuel budget", () => {
  const answer = visit("/weight/checkin", { json: { weight: 80 }, customer: ann });
  expect(answer).toUseFuelBelow(2_000_000);
});
