// Logs visitors in with a link that is sent by mail. There is no mail server yet, so the mail is stored
// in the CRM, and the page /outbox shows it to the visitor who asked for it. Before you publish the site,
// let a program of yours send what is in the entity `outbox`, and delete pages/outbox.html: whoever can
// read a mail can log in as its receiver.

const minutes = 15;

export const EmailSchema = Schema.string().required().email().max(200).label("Email");

// Writes a mail with a link for `email` into the visitor's outbox.
export async function sendLink(email) {
  const token = crypto.randomUUID();
  const expires = Date.now() + minutes * 60_000;
  const stored = setCrmField({ slug: "login-links", ...(await linkOf(token)), fieldKey: "link", value: { email, expires } });
  return stored && addCrmFieldValue({
    slug: "outbox",
    ...ownOutbox(),
    fieldKey: "mail",
    value: {
      to: email,
      subject: "Your link to The Long Table",
      path: `/enter?link=${token}`,
      minutes,
      sent: new Date().toISOString(),
    },
  });
}

// The mails that this visitor asked for, newest first.
export function mails() {
  if (!session.get("outbox_id")) return [];
  return getCrmFieldValues({ slug: "outbox", ...ownOutbox(), fieldKey: "mail", limit: 20 });
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

function ownOutbox() {
  const id = session.get("outbox_id") ?? crypto.randomUUID();
  session.set("outbox_id", id);
  return { referenceType: "browser", referenceId: id };
}

// Whoever reads the database learns no token that still works.
async function linkOf(token) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  const hash = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { referenceType: "link", referenceId: hash };
}

function isToken(token) {
  return typeof token === "string" && /^[0-9a-f-]{36}$/.test(token);
}
