// Short links in the CRM. Each has a reference of its own: its code.

export const LinkSchema = Schema.object({
  url: Schema.string().required().url().max(2000).label("url"),
  note: Schema.string().max(200).default("").label("note"),
});

const letters = "abcdefghijkmnpqrstuvwxyz23456789";

export function newCode() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => letters[byte % letters.length]).join("");
}

const of = (code) => ({ referenceType: "link", referenceId: code });
const isCode = (code) => typeof code === "string" && /^[a-z0-9]{1,32}$/.test(code);

export function findLink(code) {
  return isCode(code) ? getCrmField({ slug: "links", ...of(code), fieldKey: "link" }) : null;
}

export function storeLink(code, link) {
  return isCode(code) && setCrmField({ slug: "links", ...of(code), fieldKey: "link", value: link });
}

export function removeLink(code) {
  return isCode(code) && (clearCrmEntries({ slug: "links", ...of(code) }).deleted ?? 0) > 0;
}
