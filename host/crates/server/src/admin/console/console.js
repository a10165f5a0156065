"use strict";
// Shows times in the operator's time zone, as ISO 8601 writes them. The page contains them in UTC.
const two = (number) => String(number).padStart(2, "0");
const localMinute = (at) =>
  `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
const momentOf = (text) => {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? null : at;
};
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

const showTimes = (root) => {
  for (const time of root.querySelectorAll("time:not([datetime])")) {
    const at = momentOf(time.textContent);
    if (!at) continue;
    time.dateTime = time.textContent;
    time.title = `${time.textContent} (shown in ${zone})`;
    time.textContent = `${localMinute(at)}:${two(at.getSeconds())}`;
  }
  for (const label of root.querySelectorAll("[data-moment]")) {
    const at = momentOf(label.dataset.moment);
    if (at) label.textContent = localMinute(at);
  }
  for (const ago of root.querySelectorAll("[data-at]")) {
    const at = momentOf(ago.dataset.at);
    if (at) ago.title = `${localMinute(at)}:${two(at.getSeconds())} (${zone})`;
  }
  // The fields of an own range are in the operator's zone, and are sent in UTC.
  for (const field of root.querySelectorAll(".range input[type=datetime-local]:not([data-zone])")) {
    const at = momentOf(`${field.value}Z`);
    field.dataset.zone = zone;
    if (at) field.value = localMinute(at).replace(" ", "T");
  }
  for (const label of root.querySelectorAll(".range .zone")) label.textContent = zone;
};

const prepare = (root) => {
  showTimes(root);
  // Asks for confirmation before an action that cannot be undone.
  for (const form of root.querySelectorAll("form[data-ask]")) {
    form.addEventListener("submit", (event) => {
      if (!window.confirm(form.dataset.ask)) event.preventDefault();
    });
  }
  for (const form of root.querySelectorAll("form.times")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const address = new URL(location.href);
      const asked = new FormData(form, event.submitter);
      for (const name of ["hours", "last", "from", "to", "set", "said"]) address.searchParams.delete(name);
      const length = ["hours", "last"].find((name) => asked.has(name));
      if (length) {
        address.searchParams.set(length, asked.get(length));
      } else {
        for (const name of ["from", "to"]) {
          const at = momentOf(asked.get(name));
          if (at) address.searchParams.set(name, at.toISOString().slice(0, 16));
        }
      }
      location.assign(address);
    });
  }
  for (const form of root.querySelectorAll("form.set")) previewChange(form);
  // Only a page that is loaded from localhost or over https may use the clipboard.
  for (const button of navigator.clipboard ? root.querySelectorAll("[data-copy]") : []) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "copied";
      setTimeout(() => (button.textContent = "copy"), 2_000);
    });
  }
  offerAll(root);
  offerLive(root);
};

// A box beside what is done with selected rows, which ticks all rows of the page.
const offerAll = (root) => {
  for (const form of root.querySelectorAll("form.chosen")) {
    const boxes = [...root.querySelectorAll(`input[type=checkbox][form="${form.getAttribute("id")}"]`)];
    if (boxes.length < 2) continue;
    const all = Object.assign(document.createElement("input"), { type: "checkbox", className: "all" });
    const label = Object.assign(document.createElement("label"), { className: "check" });
    label.append(all, " Select all on this page");
    form.prepend(label);
    const show = () => {
      const ticked = boxes.filter((box) => box.checked).length;
      all.checked = ticked === boxes.length;
      all.indeterminate = ticked > 0 && !all.checked;
    };
    all.addEventListener("change", () => boxes.forEach((box) => (box.checked = all.checked)));
    boxes.forEach((box) => box.addEventListener("change", show));
    show();
  }
};

// Shows what a new limit changes in brand.toml while it is typed, before it is saved. The button with a proposed value
// puts it into the field.
const previewChange = (form) => {
  const field = form.elements.value;
  const shown = form.parentElement.querySelector(".change");
  if (!shown) return;
  const initial = field.value;
  let asked = 0;
  const ask = async () => {
    const own = ++asked;
    await new Promise((done) => setTimeout(done, 150));
    if (own !== asked) return;
    if (field.value.trim() === "") return shown.replaceChildren();
    const { page, limit } = form.elements;
    const address = new URL(form.action);
    const query = new URLSearchParams(address.search);
    for (const [name, value] of [["page", page.value], ["limit", limit.value], ["value", field.value]]) query.set(name, value);
    const answer = await fetch(`${address.pathname}/preview?${query}`).catch(() => null);
    const found = await answer?.json().catch(() => null);
    if (own !== asked || !found) return;
    const wrong = found.wrong ?? found.error;
    const line = ({ sign, text }) => Object.assign(document.createElement("span"), {
      className: `line-${{ "+": "new", "-": "old" }[sign] ?? "same"}`, textContent: `${sign}${text}\n`,
    });
    const note = (text, className) => Object.assign(document.createElement("p"), { textContent: text, className });
    // What the server said about an earlier value is over.
    form.parentElement.querySelector("#wrong")?.remove();
    field.removeAttribute("aria-invalid");
    if (wrong) {
      shown.replaceChildren(note(wrong, "warning"));
    } else {
      const lines = Object.assign(document.createElement("pre"), { tabIndex: 0, ariaLabel: "change of brand.toml" });
      lines.append(...found.lines.map(line));
      const title = Object.assign(document.createElement("small"), { textContent: "brand.toml will be:" });
      shown.replaceChildren(...found.warnings.map((text) => note(text, "warning")), title, lines);
    }
    shown.hidden = false;
  };
  // A new value replaces the old one, as in an address bar.
  let hasJustFocus = false;
  const selectAll = () => {
    field.select();
    hasJustFocus = true;
  };
  field.addEventListener("focus", selectAll);
  if (document.activeElement === field) field.select();
  field.addEventListener("mouseup", (event) => {
    if (hasJustFocus) event.preventDefault();
    hasJustFocus = false;
  });
  field.addEventListener("input", ask);
  form.addEventListener("submit", (event) => {
    if (event.submitter?.name !== "use") return;
    event.preventDefault();
    field.value = event.submitter.value;
    field.focus();
    ask();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || field.value === initial) return;
    field.value = initial;
    shown.hidden = true;
  });
};

// Loads the page again every ten seconds, while it is visible and nobody has paused it. What somebody is
// using, a field or an open table, is not replaced, and the button says so.
const EVERY_MS = 10_000;
// A pause is in the address: it holds for this page, also if it is loaded again, sorted or filtered, and for no other.
const isPaused = () => new URLSearchParams(location.search).get("live") === "off";
const setPaused = (paused) => {
  const address = new URL(location.href);
  if (paused) address.searchParams.set("live", "off");
  else address.searchParams.delete("live");
  history.replaceState(history.state, "", address);
};
document.addEventListener("click", ({ target }) => {
  const link = target instanceof Element && target.closest("a[href]");
  if (!link || !isPaused() || link.origin !== location.origin || link.pathname !== location.pathname || link.hasAttribute("download")) return;
  const address = new URL(link.href);
  address.searchParams.set("live", "off");
  link.href = address;
}, true);
document.addEventListener("formdata", ({ target, formData }) => {
  // A field can be called "action", too.
  const action = new URL(target.getAttribute("action") ?? "", location.href);
  if (isPaused() && target.getAttribute("method") === "get" && action.pathname === location.pathname) formData.set("live", "off");
});
// Why the page is not replaced now, or nothing.
const heldBy = () => {
  const main = document.getElementById("main");
  const at = document.activeElement;
  if (main.contains(at) && at !== main && at.id !== "live") {
    if (at.matches("input, select, textarea")) return "while a field has the focus";
    // A mouse that is pressed gives the focus, too, and what is under it must not move.
    if (at.matches(":focus-visible")) return at.matches("a") ? "while a link has the focus" : "while something has the focus";
  }
  if (main.querySelector("input[type=checkbox]:checked:not(:default)")) return "while something is selected";
  const open = [...main.querySelectorAll("details[open]")].find((details) => !details.closest(".range"));
  if (!open) return "";
  return open.querySelector("table") ? "while a table is open" : "while a list is open";
};

const showLive = () => {
  const button = document.getElementById("live");
  if (!button) return;
  const held = heldBy();
  button.hidden = false;
  button.ariaPressed = String(!isPaused());
  button.classList.toggle("held", !isPaused() && held !== "");
  button.classList.toggle("paused", isPaused());
  // Every text has the same width, and the reason takes no room: nothing may move under a mouse.
  button.textContent = isPaused() ? "Paused" : held ? "On hold" : "Live";
  button.title = isPaused() ? "Load new figures every ten seconds" : "Stop loading new figures on this page";
  document.getElementById("live-why").textContent = held && !isPaused() ? held : "";
};

const offerLive = (root) => {
  root.querySelector("#live")?.addEventListener("click", () => {
    setPaused(!isPaused());
    showLive();
  });
  showLive();
};

const refresh = async () => {
  const main = document.getElementById("main");
  if (!document.getElementById("live") || isPaused() || document.hidden || heldBy()) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok || heldBy() || isPaused()) return;
  const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
  if (!next?.querySelector("#live")) return;
  const had_focus = document.activeElement?.id === "live";
  // What was said about a form is said once, and stays until somebody leaves the page.
  const said = main.querySelector(".done");
  const place = [...main.children].indexOf(said);
  main.replaceChildren(...next.childNodes);
  if (said) main.insertBefore(said, main.children[place] ?? null);
  prepare(main);
  dispatchEvent(new Event("sluice:refreshed"));
  if (had_focus) document.getElementById("live")?.focus();
};

// `toggle` does not bubble. What has lost the focus has it until the event is over.
for (const type of ["focusin", "focusout", "toggle", "change"]) {
  document.addEventListener(type, () => setTimeout(showLive), true);
}
// `/` leads to the search, unless somebody is typing.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select, textarea, [contenteditable]")) return;
  const field = document.getElementById("search");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
});
// The number of a text that was said is of no use in a bookmark.
const withoutSaid = new URL(location.href);
if (withoutSaid.searchParams.has("said")) {
  withoutSaid.searchParams.delete("said");
  history.replaceState(history.state, "", withoutSaid);
}
prepare(document);
// A link to the field of a limit. Charts that were drawn since can have moved it.
addEventListener("load", () => {
  const field = location.hash.startsWith("#set-") && document.getElementById(location.hash.slice(1));
  if (!field) return;
  field.focus({ preventScroll: true });
  field.closest("tr").scrollIntoView({ block: "center" });
});
setInterval(refresh, EVERY_MS);
