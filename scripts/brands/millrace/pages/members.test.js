const ann = { id: "c-1", email: "ann@example.com" };

function answer(visit) {
  visit("/quiz", { form: { question: "time", answer: "long" } });
  visit("/quiz", { form: { question: "taste", answer: "salt" } });
  return visit("/quiz", { form: { question: "bite", answer: "bite" } });
}

// The token of the newest mail that the visitor sees.
function tokenOf(page) {
  return /\/enter\?link=([0-9a-f-]{36})/.exec(page.text)?.[1] ?? "";
}

test("the quiz moves an unknown visitor through the funnel", () => {
  visit("/quiz", { form: { question: "time", answer: "long" } });
  const [started] = crm.entries("quiz-tracker");
  expect([started.reference_type, started.stage_slug]).toEqual(["quiz_visitor", "started"]);
  visit("/quiz", { form: { question: "taste", answer: "salt" } });
  expect(visit("/quiz", { form: { question: "bite", answer: "bite" } }).location).toBe("/quiz/result");
  const [answered] = crm.entries("quiz-tracker");
  expect([answered.stage_slug, answered.values_flat.bowl]).toEqual(["answered", "headwater"]);
  expect(visit("/quiz/result").text).toContain("Yours is Headwater");
});

test("the quiz asks again for an answer that it does not have", () => {
  expect(visit("/quiz", { form: { question: "time", answer: "never" } }).status).toBe(422);
  expect(visit("/quiz", { form: { question: "time" } }).text).toContain("Please choose");
  expect(visit("/quiz/result").location).toBe("/quiz");
  expect(crm.entries("quiz-tracker")).toEqual([]);
});

test("a link in a mail makes the visitor a customer, with all answers", () => {
  answer(visit);
  expect(visit("/quiz/result", { form: { email: "ann@example.com" } }).location).toBe("/outbox");
  expect(crm.entries("quiz-tracker")[0].stage_slug).toBe("lead");

  const token = tokenOf(visit("/outbox"));
  expect(visit(`/enter?link=${token}`).text).toContain("ann@example.com");
  expect(visit("/enter", { form: { link: token } }).location).toBe("/members");
  const [entry] = crm.entries("quiz-tracker");
  expect([entry.reference_type, entry.stage_slug]).toEqual(["customer", "customer"]);
  const members = visit("/members");
  expect(members.status).toBe(200);
  expect(members.variables.bowl.name).toBe("Headwater");
});

test("a link works once, and is not in the database", () => {
  visit("/login", { form: { email: "ann@example.com" } });
  const token = tokenOf(visit("/outbox"));
  expect(JSON.stringify(crm.entries("login-links"))).not.toContain(token);
  const other = visitor();
  expect(other.visit("/enter", { form: { link: token } }).location).toBe("/members");
  const late = visit("/enter", { form: { link: token } });
  expect([late.status, late.customer]).toEqual([403, null]);
  expect(visit(`/enter?link=${token}`).text).toContain("does not work any more");
});

test("opening a link uses nothing up", () => {
  visit("/login", { form: { email: "ann@example.com" } });
  const token = tokenOf(visit("/outbox"));
  visit(`/enter?link=${token}`);
  visit(`/enter?link=${token}`);
  expect(visit("/enter", { form: { link: token } }).location).toBe("/members");
});

test("nobody sees the mails of somebody else", () => {
  visit("/login", { form: { email: "ann@example.com" } });
  expect(visitor().visit("/outbox").text).toContain("Nothing yet");
});

test("a link that nobody has made logs nobody in", () => {
  for (const link of ["", "x", "00000000-0000-4000-8000-000000000000", "../../x"]) {
    expect(visit("/enter", { form: { link } }).status).toBe(403);
  }
});

test("only customers see the members' pages", () => {
  for (const path of ["/members", "/members/recipes/tray", "/members/nothing", "/dashboard"]) {
    const answer = visit(path);
    expect([answer.status, answer.location]).toEqual([303, "/login"]);
  }
  expect(visit("/members/recipes/tray", { customer: ann }).text).toContain("A tray for the week");
  visit("/logout", { form: {} });
  expect(visit("/members").location).toBe("/login");
});
