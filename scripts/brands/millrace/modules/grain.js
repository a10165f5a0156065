// Asks the grain exchange for its prices. It gives short access tokens, and refresh tokens that work once: two
// runs that renew at the same time would lose the access for good. `storage` decides which run renews.
import * as exchange from "exchange";

const KEY = "grain:token";
const LOCK = "grain:renewing";
const LAST = "grain:prices";

export const isPlayed = () => getVariable("grain_api") === "";

// The token that is stored: { access_token, refresh_token, valid_until, number } or null.
export const token = () => storage.get(KEY);

// A token that works, and whether this run renewed it.
export async function accessToken() {
  const known = token();
  if (known !== null && known.valid_until > Date.now()) return { token: known, renewed: false };
  // The lock ends by itself if the run that has it fails.
  if (!storage.setIfAbsent(LOCK, true, { ttl: 30 })) throw new Error("another visit is renewing the token");
  try {
    return { token: await renewed(known), renewed: true };
  } finally {
    storage.del(LOCK);
  }
}

async function renewed(known) {
  const answer = isPlayed()
    ? exchange.renew(known?.refresh_token ?? null)
    : await askForToken(getVariable("grain_api"), known?.refresh_token ?? secrets.get("GRAIN_REFRESH"));
  if (!answer) throw new Error("the exchange does not take the refresh token");
  const { access_token, refresh_token, expires_in } = answer;
  const valid_until = Date.now() + expires_in * 1000;
  const fresh = { access_token, refresh_token, valid_until, number: (known?.number ?? 0) + 1 };
  // A run whose lock has ended must not replace a newer token.
  return storage.compareAndSet(KEY, known, fresh) ? fresh : token();
}

export async function askForToken(api, refresh_token) {
  const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: refresh_token ?? "" });
  const answer = await fetch(`${api}/token`, { method: "POST", body, signal: AbortSignal.timeout(5_000) });
  if (!answer.ok) throw new Error(`the exchange answered with status ${answer.status}`);
  return answer.json();
}

export async function askForPrices(api, access_token) {
  const authorization = `Bearer ${access_token}`;
  const answer = await fetch(`${api}/prices`, { headers: { authorization }, signal: AbortSignal.timeout(5_000) });
  if (!answer.ok) throw new Error(`the exchange answered with status ${answer.status}`);
  return answer.json();
}

// The prices, or the last ones that are known: { prices, at, renewed, trouble }.
export async function pricesNow() {
  try {
    const { token, renewed } = await accessToken();
    const prices = isPlayed() ? exchange.prices() : await askForPrices(getVariable("grain_api"), token.access_token);
    const now = { prices, at: new Date().toISOString() };
    storage.set(LAST, now);
    return { ...now, renewed, trouble: null };
  } catch (error) {
    console.error("no new prices:", error);
    return { prices: [], at: null, ...storage.get(LAST), renewed: false, trouble: error.message };
  }
}

// For the tour: the next visit has to renew.
export function letExpire() {
  storage.mutate(KEY, (known) => (known === null ? undefined : { ...known, valid_until: Date.now() }));
}
