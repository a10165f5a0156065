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

const subjects = (browser) => browser.visit("/outbox").variables.mails.map((mail) => mail.subject);

test("who does not come is reminded twice", () => {
  const ann = visitor();
  askForLink(ann);
  expect(queue.run()).toBe(0);
  clock.advance("60s");
  expect(queue.run()).toBe(1);
  expect(subjects(ann)).toEqual(["Your bowl is still here", "Your link to Millrace"]);
  clock.advance("120s");
  expect(queue.run()).toBe(1);
  expect(subjects(ann)[0]).toBe("Your bowl, for the last time");
  expect(queue.pushed()).toEqual([]);
});

test("who comes after the first reminder gets no second one", () => {
  const ann = visitor();
  askForLink(ann);
  clock.advance("60s");
  queue.run();
  ann.visit("/enter", { form: { link: tokenOf(ann.visit("/outbox")) } });
  expect(queue.pushed()).toEqual([]);
  clock.advance("1h");
  expect(queue.run()).toBe(0);
});

test("of two requests for a link, only the newer one is followed by reminders", () => {
  const ann = visitor();
  askForLink(ann);
  clock.advance("5s");
  ann.visit("/quiz/result", { form: { email: "ann@example.com" } });
  const [job] = queue.pushed();
  expect(queue.pushed()).toHaveLength(1);
  expect(job.at).toBe(Date.now() + 60_000);
});
