// `sluice test` runs these on an empty database.
const ann = { email: "ann@example.com" };

function tokenOf(page) {
  return /\/enter\?link=([0-9a-f-]{36})/.exec(page.text)?.[1] ?? "";
}

test("only members see the members' page", () => {
  for (const path of ["/members", "/members/anything"]) {
    expect([visit(path).status, visit(path).location]).toEqual([303, "/login"]);
  }
  expect(visit("/members", { customer: ann }).text).toContain("12 Mill Lane");
  expect(visit("/").text).not.toContain("12 Mill Lane");
});

test("a link logs its receiver in, once", () => {
  expect(visit("/login", { form: { email: "ann@example.com" } }).location).toBe("/outbox");
  const token = tokenOf(visit("/outbox"));
  expect(visit(`/enter?link=${token}`).text).toContain("ann@example.com");
  expect(visit("/enter", { form: { link: token } }).location).toBe("/members");
  expect(visit("/members").status).toBe(200);
  expect(visitor().visit("/enter", { form: { link: token } }).status).toBe(403);
});

test("nobody sees the mails of others, and the database has no token", () => {
  visit("/login", { form: { email: "ann@example.com" } });
  const token = tokenOf(visit("/outbox"));
  expect(visitor().visit("/outbox").text).toContain("Nothing yet");
  expect(JSON.stringify(crm.entries("login-links"))).not.toContain(token);
});

test("an address that is none is refused", () => {
  const answer = visit("/login", { form: { email: "ann" } });
  expect(answer.status).toBe(422);
  expect(answer.variables.error).toContain("Email");
});

test("a member's seats are stored", () => {
  const sent = visit("/members", { form: { name: "Ann", seats: "2" }, customer: ann });
  expect(sent.location).toBe("/members?saved=1");
  expect(crm.entries("members")[0].values_flat).toEqual({ name: "Ann", seats: 2 });
  const wrong = visit("/members", { form: { name: "Ann", seats: "70" } });
  expect(wrong.status).toBe(422);
  expect(wrong.variables.errors.seats).toContain("Seats");
});

test("a member who logs out is a stranger again", () => {
  visit("/members", { customer: ann });
  expect(visit("/logout", { form: {} }).location).toBe("/");
  expect(visit("/members").location).toBe("/login");
});
