// The Millers' Guild: the OpenID provider that this site plays while brand.toml names no `sso_issuer`.
import { fromBase64Url, random, sha256, toBase64Url, utf8 } from "encoding";

export const issuer = "https://guild.example";
export const people = [
  { key: "ada", first: "Ada", last: "Brook" },
  { key: "jon", first: "Jon", last: "Weir" },
  { key: "una", first: "Una", last: "Oates" },
];

// Each visitor has an Ada, a Jon and a Una of their own, so nobody shares an account with a stranger.
function ownId() {
  const id = session.get("guild_id") ?? crypto.randomUUID().slice(0, 8);
  session.set("guild_id", id);
  return id;
}

// A code for a person, which works once and for a minute.
export function codeFor(person, { client_id, nonce, code_challenge }) {
  const sub = `${person.key}-${ownId()}`;
  const claims = {
    iss: issuer,
    aud: client_id,
    sub,
    nonce,
    exp: Math.floor(Date.now() / 1000) + 300,
    email: `${sub}@guild.example`,
    email_verified: true,
    given_name: person.first,
    family_name: person.last,
  };
  const code = random();
  cache.set(`guild-code:${code}`, { claims, code_challenge }, 60);
  return code;
}

// What a provider's token endpoint answers: an ID token, or null.
export async function exchange(code, verifier) {
  if (!/^[\w-]{43}$/.test(code) || !cache.setIfAbsent(`guild-used:${code}`, true, 120)) return null;
  const known = cache.get(`guild-code:${code}`);
  if (known === null || toBase64Url(await sha256(verifier)) !== known.code_challenge) return null;
  return `e30.${toBase64Url(utf8(JSON.stringify(known.claims)))}.`;
}

export const claimsOf = (token) => JSON.parse(new TextDecoder().decode(fromBase64Url(token.split(".")[1])));
