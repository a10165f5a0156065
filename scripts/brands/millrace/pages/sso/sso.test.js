const begin = (browser) => {
  const provider = browser.visit("/sso/start").location;
  return { provider, asked: Object.fromEntries(new URL(provider, "https://millrace.example").searchParams) };
};

const say = (browser, { asked }, person) => browser.visit("/sso/provider", { form: { ...asked, person } }).location;

test("a visitor comes back from the provider as a customer, with the answers of the quiz", () => {
  const ann = visitor();
  ann.visit("/quiz", { form: { question: "time", answer: "long" } });
  const begun = begin(ann);
  expect(ann.visit(begun.provider).text).toContain("Who are you today?");
  const back = say(ann, begun, "ada");
  expect(back).toMatch(/^\/sso\/callback\?.*code=/);
  expect(ann.visit(back).location).toBe("/members");
  expect(ann.visit("/members").text).toContain("Good morning, Ada Brook");
  expect(crm.entries("quiz-tracker")[0].reference_type).toBe("customer");
  expect(ann.visit("/sso").customer?.email).toMatch(/^ada-[0-9a-f]{8}@guild\.example$/);
});

test("an answer that this browser did not ask for logs nobody in", () => {
  const ann = visitor();
  const back = say(ann, begin(ann), "jon");
  const refused = visitor().visit(back);
  expect([refused.status, refused.customer]).toEqual([400, null]);
  expect(refused.text).toContain("Nobody began a login in this browser");
  expect(ann.visit(back.replace("state=", "state=x")).text).toContain("its state is another");
  // One attempt ends the login.
  expect(ann.visit(back).text).toContain("it has ended already");
});

test("a code works once", () => {
  // Every run of a test gets the same random numbers, so both logins have the same state and verifier.
  const [ann, eve] = [visitor(), visitor()];
  const back = say(ann, begin(ann), "una");
  begin(eve);
  expect(ann.visit(back).location).toBe("/members");
  expect(eve.visit(back).text).toContain("does not take this code");
});

test("a verifier of another login does not fit the code", () => {
  const ann = visitor();
  const begun = begin(ann);
  const back = say(ann, begun, "una");
  const { state, nonce } = begun.asked;
  const eve = visitor();
  eve.visit("/", { session: { sso: { state, nonce, verifier: "another" } } });
  expect(eve.visit(back).text).toContain("does not take this code");
});

test("who says no is not logged in", () => {
  const ann = visitor();
  const back = say(ann, begin(ann), "nobody");
  expect(ann.visit(back).text).toContain("You said no");
  expect(ann.visit("/sso/provider").location).toBe("/sso");
});
