// `sluice test` runs these on an empty database. The key is a secret of the operator, so the tests call the
// functions behind it, and look at what happens without it.
import { hasKey } from "api";
import { LinkSchema, findLink, newCode, removeLink, storeLink } from "links";

test("only the right key opens the API", async () => {
  expect(await hasKey("Bearer secret", "secret")).toBe(true);
  for (const header of [undefined, "", "secret", "Bearer ", "Bearer secre", "bearer secret"]) {
    expect(await hasKey(header, "secret")).toBe(false);
  }
});

test("nobody writes without the key", () => {
  const answer = visit("/api/links", { json: { url: "https://example.org" } });
  expect([401, 503]).toContain(answer.status);
  expect(crm.entries("links")).toEqual([]);
});

test("a link can be stored, read and removed", () => {
  const link = { url: "https://example.org/a", note: "" };
  expect(storeLink("abc", link)).toBe(true);
  expect(visit("/api/links/abc").json()).toEqual({ code: "abc", path: "/go/abc", ...link });
  expect(visit("/go/abc").location).toBe("https://example.org/a");
  expect(removeLink("abc")).toBe(true);
  expect(findLink("abc")).toBeNull();
  expect(visit("/api/links/abc").status).toBe(404);
  expect(visit("/go/abc").status).toBe(404);
});

test("a link leads to an http address, and to nothing else", () => {
  for (const url of ["javascript:alert(1)", "//example.org", "x", "", null]) {
    expect(LinkSchema.validate({ url }).valid).toBe(false);
  }
  expect(LinkSchema.validate(null).errors).toEqual(["url is required"]);
});

test("codes are short, and no two are the same", () => {
  const codes = Array.from({ length: 50 }, newCode);
  expect(new Set(codes).size).toBe(50);
  for (const code of codes) expect(code).toMatch(/^[a-z0-9]{8}$/);
});

test("errors are JSON", () => {
  const missing = visit("/api/links/nothing");
  expect(missing.json().error.code).toBe("unknown_code");
  expect(visit("/api/links").json().error.code).toBe("use_post");
});
