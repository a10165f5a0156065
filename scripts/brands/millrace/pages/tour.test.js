import { steps } from "tour";

test("each step leads to the next, and says what it shows", () => {
  const ann = { id: "c-1", email: "ann@example.com" };
  for (const [at, step] of steps.entries()) {
    const page = visit(step.path, step.path === "/login" ? {} : { customer: ann });
    if (step.path === "/login" && page.status === 302) continue;
    expect([step.path, page.status, page.outcome]).toEqual([step.path, 200, "ok"]);
    expect(page.variables.step.number).toBe(at + 1);
    if (steps[at + 1]) expect(page.text).toContain(`rel="next"`);
  }
  expect(visit("/").variables.steps.filter((step) => step.seen).length).toBeGreaterThan(11);
});

test("the start page counts visits", () => {
  expect(visit("/").text).toContain("this is your first visit");
  expect(visit("/").text).toContain('<strong id="visits">2</strong>');
});

test("a path that does not exist gets the page for that", () => {
  const page = visit("/nothing/here");
  expect(page.status).toBe(404);
  expect(page.text).toContain("/nothing/here");
});

test("pages that fail show visitors no reason", () => {
  const throws = visit("/fails/throws");
  expect([throws.status, throws.outcome]).toEqual([200, "error"]);
  expect(throws.text).toContain("Good morning");
  expect(throws.text).not.toContain("TypeError");
  for (const [path, outcome] of [["/fails/loops", "fuel"], ["/fails/guarded", "error"]]) {
    const page = visit(path);
    expect([page.status, page.outcome]).toEqual([500, outcome]);
    expect(page.text).not.toContain("pages/fails");
  }
});

test("what /fails says about its pages is what authors get", () => {
  const text = visit("/fails").text;
  for (const path of ["/fails/throws", "/fails/loops", "/fails/guarded"]) {
    const { failure } = visit(path);
    expect(text).toContain(`${failure?.file}:${failure?.line}:${failure?.column}`);
  }
});
