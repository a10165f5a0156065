// Orders and their payments. The payment service reports each payment to /hooks/payment, signed as Stripe signs.
import { fromHex, toHex, utf8 } from "encoding";

const HMAC = /** @type {const} */ ({ name: "HMAC", hash: "SHA-256" });
const REHEARSAL = "payment-rehearsal";

const owner = (id) => ({ referenceType: "order", referenceId: id });
const centsOf = (total) => Math.round(total * 100);

// An order waits for its payment.
export function expectPayment({ id, total }) {
  const stored = setCrmField({ slug: "payments", ...owner(id), fieldKey: "cents", value: centsOf(total) });
  return stored && moveCrmToPipeline({ slug: "payments", ...owner(id), pipelineSlug: "payment", stageSlug: "open" });
}

// "open", "paid", or null if nobody waits for it.
export function stageOf(id) {
  const [entry] = getCrmEntries({ slug: "payments", ...owner(id), limit: 1 });
  return entry?.stage_slug ?? null;
}

// While the operator has set no secret, this site plays the service, and signs with a secret of its own.
export const isRehearsal = () => !secrets.get("STRIPE_WEBHOOK");

function secret() {
  const real = secrets.get("STRIPE_WEBHOOK");
  if (real) return real;
  const made = storage.get(REHEARSAL);
  if (made !== null) return made;
  storage.setIfAbsent(REHEARSAL, `whsec_${crypto.randomUUID()}`);
  return storage.get(REHEARSAL);
}

const keyFor = (use) => crypto.subtle.importKey("raw", utf8(secret()), HMAC, false, [use]);

// What the service would send for an order: the bytes, and the header.
export async function rehearse({ id, total }) {
  const paid = { id: `cs_${id}`, client_reference_id: id, amount_total: centsOf(total), currency: "eur" };
  const body = JSON.stringify({ id: `evt_${id}`, type: "checkout.session.completed", data: { object: paid } });
  const time = Math.floor(Date.now() / 1000);
  const made = await crypto.subtle.sign("HMAC", await keyFor("sign"), utf8(`${time}.${body}`));
  return { body, signature: `t=${time},v1=${toHex(new Uint8Array(made))}` };
}

// A signature older than five minutes may be a replay.
async function isSigned(header, body) {
  const parts = header.split(",").map((part) => part.split("="));
  const time = parts.find(([name]) => name === "t")?.[1] ?? "";
  if (!(Math.abs(Date.now() / 1000 - Number(time)) <= 300)) return false;
  const key = await keyFor("verify");
  for (const [name, hex = ""] of parts) {
    if (name === "v1" && (await crypto.subtle.verify("HMAC", key, fromHex(hex), utf8(`${time}.${body}`)))) return true;
  }
  return false;
}

// Takes a report: { status, answer }. Services send one again until they get 2xx, so it may come twice.
export async function receive(header, body) {
  if (!(await isSigned(header, body))) return { status: 400, answer: { error: "the signature is not valid" } };
  const { type, id: event, data } = JSON.parse(body);
  const taken = (result) => ({ status: 200, answer: { received: true, result } });
  if (type !== "checkout.session.completed") return taken("not for us");
  const { client_reference_id: id, amount_total } = data.object;
  const [entry] = getCrmEntries({ slug: "payments", ...owner(id), limit: 1 });
  if (!entry) return taken("no such order");
  if (entry.stage_slug === "paid") return taken("paid before");
  if (entry.values_flat.cents !== amount_total) return taken("another amount");
  const stored =
    setCrmField({ slug: "payments", ...owner(id), fieldKey: "event", value: event }) &&
    moveCrmToPipeline({ slug: "payments", ...owner(id), pipelineSlug: "payment", stageSlug: "paid" });
  return stored ? taken("paid") : { status: 503, answer: { error: "try again" } };
}
