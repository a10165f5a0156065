const tokenOf = (page) => /\/enter\?link=([0-9a-f-]{36})/.exec(page.text)?.[1] ?? "";

function askForLink(browser) {
  for (const [question, answer] of [["time", "long"], ["taste", "salt"], ["bite", "bite"]]) {
    browser.visit("/quiz", { form: { question, answer } });
  }
  browser.visit("/quiz/result", { form: { email: "ann@example.com" } });
  return browser.visit("/outbox");
}

test("a reminder waits until the visitor comes", () => {
  const ann = visitor();
  const outbox = askForLink(ann);
  expect(outbox.variables.reminder).toBe(new Date(Date.now() + 60_000).toISOString());
  expect(outbox.text).toContain("A job will remind you");
  ann.visit("/enter", { form: { link: tokenOf(outbox) } });
  expect(ann.visit("/outbox").variables.reminder).toBeNull();
});

test("only who asked for a link after the quiz is reminded", () => {
  const ann = visitor();
  ann.visit("/login", { form: { email: "ann@example.com" } });
  expect(ann.visit("/outbox").variables.reminder).toBeNull();
  const member = visitor();
  member.visit("/", { customer: { id: "c-1", email: "ann@example.com" } });
  expect(askForLink(member).variables.reminder).toBeNull();
});
