// Logs visitors in with a link that is sent by mail: through the HTTP API that `mail_api` in brand.toml
// names, or else into the page /outbox, which shows it to the visitor who asked for it.

const minutes = 15;

export const EmailSchema = Schema.string().required().email().max(200).label("Email");

// Whether mails leave this machine.
export const hasMailServer = () => getVariable("mail_api") !== "";

// Sends a link for `email` to the browser that asked for it. Returns the path that says where the mail is, or null
// if it could not be sent.
export async function sendLink(email) {
  return sendLinkTo(email, outboxId(), "Your link to Millrace");
}

// The same, also for jobs, which have no session.
export async function sendLinkTo(email, outbox, subject) {
  const token = crypto.randomUUID();
  const expires = Date.now() + minutes * 60_000;
  const stored = setCrmField({ slug: "login-links", ...(await linkOf(token)), fieldKey: "link", value: { email, expires } });
  if (!stored) return null;
  const mail = { to: email, subject, path: `/enter?link=${token}`, minutes };
  if (!hasMailServer()) return keepInOutbox(mail, outbox) ? "/outbox" : null;
  try {
    await sendByApi(getVariable("mail_api"), secrets.ref("MAIL_KEY"), getVariable("site_url"), mail);
    return "/login?sent=yes";
  } catch (error) {
    console.error("the mail was not sent:", error);
    return null;
  }
}

// Hands a mail to an HTTP API. `key` is a placeholder: only the server knows the key itself.
export async function sendByApi(api, key, site, mail) {
  const text = `Good morning,\n\nthis link logs you in once, within ${mail.minutes} minutes:\n${site}${mail.path}`;
  const answer = await fetch(api, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ to: mail.to, subject: mail.subject, text }),
    signal: AbortSignal.timeout(5_000),
  });
  if (!answer.ok) throw new Error(`the mail service answered with status ${answer.status}`);
}

function keepInOutbox(mail, outbox) {
  const value = { ...mail, sent: new Date().toISOString() };
  return addCrmFieldValue({ slug: "outbox", ...outboxOf(outbox), fieldKey: "mail", value });
}

// The mails that this visitor asked for, newest first.
export function mails() {
  if (!session.get("outbox_id")) return [];
  return getCrmFieldValues({ slug: "outbox", ...outboxOf(outboxId()), fieldKey: "mail", limit: 20 });
}

// Whose link it is, or null if nobody's.
export async function ownerOf(token) {
  if (!isToken(token)) return null;
  const link = getCrmField({ slug: "login-links", ...(await linkOf(token)), fieldKey: "link" });
  return link && link.expires > Date.now() ? link.email : null;
}

// Uses the link up. Of two visitors with the same link, only one deletes it and gets its owner.
export async function useLink(token) {
  const email = await ownerOf(token);
  if (email === null) return null;
  const { ok, deleted } = clearCrmEntries({ slug: "login-links", ...(await linkOf(token)) });
  return ok && deleted === 1 ? email : null;
}

// The outbox of this browser.
export function outboxId() {
  const id = session.get("outbox_id") ?? crypto.randomUUID();
  session.set("outbox_id", id);
  return id;
}

const outboxOf = (id) => ({ referenceType: "browser", referenceId: id });

// Whoever reads the database learns no token that still works.
async function linkOf(token) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  const hash = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { referenceType: "link", referenceId: hash };
}

function isToken(token) {
  return typeof token === "string" && /^[0-9a-f-]{36}$/.test(token);
}
