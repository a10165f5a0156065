import { accessToken, askForPrices, askForToken } from "grain";

const api = "https://grain.example";

test("the exchange gets the refresh token and the access token", async () => {
  http.fake(`${api}/token`, { method: "POST", body: { access_token: "a", refresh_token: "r-2", expires_in: 60 } });
  http.fake(`${api}/prices`, { body: [{ name: "Oats", price: 24, change: 0 }] });
  expect((await askForToken(api, "r-1")).refresh_token).toBe("r-2");
  expect(await askForPrices(api, "a")).toHaveLength(1);
  const [renewed, asked] = http.calls();
  expect(new URLSearchParams(renewed.body).get("refresh_token")).toBe("r-1");
  expect(asked.headers.authorization).toBe("Bearer a");
});

test("a token is renewed when it has ended, and each refresh token is used once", async () => {
  const first = await accessToken();
  expect([first.renewed, first.token.number]).toEqual([true, 1]);
  expect((await accessToken()).renewed).toBe(false);
  storage.mutate("grain:token", (token) => ({ ...token, valid_until: 0 }));
  const second = await accessToken();
  expect([second.renewed, second.token.number]).toEqual([true, 2]);
  expect(second.token.refresh_token).not.toBe(first.token.refresh_token);
});

test("while one run renews, no other one does", async () => {
  await accessToken();
  storage.mutate("grain:token", (token) => ({ ...token, valid_until: 0 }));
  const before = storage.get("grain:token");
  storage.set("grain:renewing", true, { ttl: 30 });
  const page = visit("/grain");
  expect([page.status, page.outcome]).toEqual([200, "ok"]);
  expect(page.text).toContain("another visit is renewing the token");
  expect(storage.get("grain:token")).toEqual(before);
});
