import { askToken, wrongWith } from "sso";
import { claimsOf } from "guild";

const provider = "https://id.example";

test("a code is exchanged at the provider, with the key and the verifier", async () => {
  http.fake(`${provider}/token`, { method: "POST", body: { id_token: `e30.${btoa('{"sub":"7"}')}.` } });
  expect(claimsOf(await askToken(provider, "placeholder", "c-1", "v-1"))).toEqual({ sub: "7" });
  const [call] = http.calls();
  expect(call.headers.authorization).toBe("Basic placeholder");
  const sent = new URLSearchParams(call.body);
  expect([sent.get("code"), sent.get("code_verifier")]).toEqual(["c-1", "v-1"]);
});

test("a code that the provider does not know gives no token", async () => {
  http.fake(`${provider}/token`, { status: 400, body: { error: "invalid_grant" } });
  expect(await askToken(provider, "", "c-1", "v-1")).toBeNull();
});

test("a token has to be for this login", () => {
  const good = {
    iss: "https://guild.example",
    aud: "millrace",
    nonce: "n",
    exp: Date.now() / 1000 + 60,
    email_verified: true,
  };
  expect(wrongWith(good, "n")).toBeNull();
  expect(wrongWith({ ...good, aud: ["millrace", "other"] }, "n")).toBeNull();
  const changes = [{ iss: "https://evil.example" }, { aud: "other" }, { nonce: "m" }, { exp: 1 }, { email_verified: "yes" }];
  for (const change of changes) expect(wrongWith({ ...good, ...change }, "n")).toBeTruthy();
  expect(wrongWith({ ...good, exp: undefined }, "n")).toBe("This token is too old.");
});
