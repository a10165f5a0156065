// `sluice test` runs these on an empty database.

test("the start page counts visits", () => {
  expect(visit("/").text).toContain("This is your first visit");
  expect(visit("/").text).toContain('<strong id="visits">2</strong>');
});

test("a message is stored", () => {
  const sent = visit("/contact", { form: { name: "Ann", email: "ann@example.com", text: "Hello" } });
  expect([sent.status, sent.location]).toEqual([303, "/contact?sent=1"]);
  expect(crm.entries("messages")[0].values_flat).toEqual({ name: "Ann", email: "ann@example.com", text: "Hello" });
});

test("a message that is not valid comes back with what is wrong", () => {
  const answer = visit("/contact", { form: { name: "Ann", email: "ann", text: "" } });
  expect(answer.status).toBe(422);
  expect(Object.keys(answer.variables.errors)).toEqual(["email", "text"]);
  expect(answer.text).toContain('value="Ann"');
  expect(crm.entries("messages")).toEqual([]);
});
