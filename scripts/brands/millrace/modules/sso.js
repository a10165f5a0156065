// Logs visitors in with an account that they have elsewhere: OpenID Connect with a code and PKCE. The provider
// is the one that `sso_issuer` in brand.toml names, or else the guild that this site plays.
import { random, sha256, toBase64Url } from "encoding";
import { claimsOf, exchange, issuer as guild } from "guild";

const client = "millrace";

const configured = () => getVariable("sso_issuer");
export const isPlayed = () => configured() === "";
export const issuer = () => configured() || guild;
const callback = () => `${getVariable("site_url")}/sso/callback`;

// Begins a login. Returns the address to which the visitor goes.
export async function begin() {
  const begun = { state: random(), nonce: random(), verifier: random() };
  session.set("sso", begun);
  const query = new URLSearchParams({
    response_type: "code",
    client_id: client,
    redirect_uri: callback(),
    scope: "openid email profile",
    state: begun.state,
    nonce: begun.nonce,
    code_challenge: toBase64Url(await sha256(begun.verifier)),
    code_challenge_method: "S256",
  });
  return isPlayed() ? `/sso/provider?${query}` : `${configured()}/authorize?${query}`;
}

// Ends it: { claims } of the visitor, or { refused } with the reason.
export async function finish(query) {
  const { code, state } = query;
  const begun = session.get("sso");
  session.delete("sso");
  if (!begun) return { refused: "Nobody began a login in this browser, or it has ended already." };
  if (typeof code !== "string" || state !== begun.state) {
    return { refused: "The answer is not the one to this login: its state is another." };
  }
  try {
    const token = isPlayed()
      ? await exchange(code, begun.verifier)
      : await askToken(configured(), secrets.ref("OIDC_BASIC"), code, begun.verifier);
    if (token === null) return { refused: "The provider does not take this code." };
    const claims = claimsOf(token);
    const wrong = wrongWith(claims, begun.nonce);
    return wrong ? { refused: wrong } : { claims };
  } catch (error) {
    console.error("the login was not finished:", error);
    return { refused: "The provider did not answer as it should. Please try again in a minute." };
  }
}

// Exchanges a code for an ID token. It comes from the provider itself over TLS, so its signature need not be
// checked; what it says must be.
export async function askToken(provider, basic, code, code_verifier) {
  const answer = await fetch(`${provider}/token`, {
    method: "POST",
    headers: { authorization: `Basic ${basic}` },
    body: new URLSearchParams({ grant_type: "authorization_code", code, redirect_uri: callback(), code_verifier }),
    signal: AbortSignal.timeout(5_000),
  });
  if (answer.status === 400) return null;
  if (!answer.ok) throw new Error(`the provider answered with status ${answer.status}`);
  return (await answer.json()).id_token;
}

// Why a token is not for this login, or null.
export function wrongWith(claims, nonce) {
  if (claims.iss !== issuer()) return "Somebody else made this token.";
  if (![claims.aud].flat().includes(client)) return "This token is for another shop.";
  if (claims.nonce !== nonce) return "This token belongs to another login.";
  if (!(claims.exp * 1000 > Date.now())) return "This token is too old.";
  if (claims.email_verified !== true) return "The provider has not checked this email address.";
  return null;
}
