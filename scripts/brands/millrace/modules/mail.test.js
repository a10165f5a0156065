import { sendByApi } from "mail";

const api = "https://api.mail.example/v1/send";
const mail = { to: "ann@example.com", subject: "Your link", path: "/enter?link=1", minutes: 15 };

test("a mail goes to the service with its link and the key", async () => {
  http.fake(api, { method: "POST", status: 202 });
  await sendByApi(api, "placeholder", "https://millrace.example", mail);
  const [call] = http.calls();
  expect(call.headers.authorization).toBe("Bearer placeholder");
  expect(JSON.parse(call.body)).toMatchObject({ to: "ann@example.com", subject: "Your link" });
  expect(JSON.parse(call.body).text).toContain("https://millrace.example/enter?link=1");
});

test("a mail that the service does not take is an error", async () => {
  http.fake(api, { status: 503 });
  let thrown = null;
  await sendByApi(api, "", "", mail).catch((error) => { thrown = error.message; });
  expect(thrown).toBe("the mail service answered with status 503");
});
