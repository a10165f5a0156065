// The members' gallery: photos of cups. The files are in the brand's store of files, and what is known about
// them is in `storage`, under keys whose order is that of the gallery.

const shown_max = 12;
const own_max = 3;

export const CaptionSchema = Schema.string().required().pattern(/\S/).max(80).label("A line about it");

// Newest first: later times have smaller keys.
const keyOf = (file) => `cup:${String(10 ** 15 - Date.now()).padStart(16, "0")}-${file.replace(/[^\w]/g, "").slice(0, 60)}`;

const all = () => storage.list({ prefix: "cup:", limit: 50 }).keys;

// Who a photo belongs to. Not every customer has an id.
const member = () => customer?.id ?? customer?.email;

// Address of a file for as long as somebody may look at the page.
const address = (file) => files.url(file, 600);

// The photo that the member has sent and not published yet.
export function draft() {
  const id = session.get("cup_draft");
  return id ? address(id) : null;
}

// Keeps a photo for its preview, instead of an earlier one.
export function keepDraft(photo) {
  dropDraft();
  sweep();
  session.set("cup_draft", files.keep(photo, { name: "cups/photo" }).id);
}

export function dropDraft() {
  const id = session.get("cup_draft");
  if (id) files.delete(id);
  session.delete("cup_draft");
}

// Publishes the draft. Returns what is wrong, or null.
export function publish(caption) {
  const id = session.get("cup_draft");
  if (!id) return "The photo is gone. Please choose it again.";
  const cups = all();
  if (cups.filter(({ value }) => value.owner === member()).length >= own_max) {
    return `Each member shows ${own_max} cups. Take one away first.`;
  }
  if (!storage.set(keyOf(id), { file: id, caption, owner: member(), by: customer?.first_name ?? null })) {
    return "The gallery is full.";
  }
  session.delete("cup_draft");
  for (const { key, value } of cups.slice(shown_max - 1)) remove(key, value);
  return null;
}

export function takeAway(key) {
  const cup = typeof key === "string" && key.startsWith("cup:") && all().find((one) => one.key === key);
  if (cup && cup.value.owner === member()) remove(key, cup.value);
}

function remove(key, { file }) {
  files.delete(file);
  storage.del(key);
}

export function gallery() {
  return all()
    .slice(0, shown_max)
    .map(({ key, value }) => ({
      key,
      src: address(value.file),
      caption: value.caption,
      by: value.by ?? "a member",
      own: value.owner === member(),
    }));
}

// Deletes photos that nobody published within a day, a few at a time.
function sweep() {
  const known = new Set(all().map(({ value }) => value.file));
  const old = ({ id, kept_at }) => !known.has(id) && kept_at < Date.now() - 86_400_000;
  for (const { id } of files.list({ prefix: "cups/", limit: 100 }).files.filter(old).slice(0, 5)) files.delete(id);
}
