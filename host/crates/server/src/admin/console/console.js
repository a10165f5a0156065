"use strict";
// Times in the operator's own zone; the page has them in UTC.
const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
for (const time of document.querySelectorAll("time")) {
  const at = new Date(time.textContent);
  if (Number.isNaN(at.getTime())) continue;
  time.dateTime = time.textContent;
  time.title = time.textContent;
  time.textContent = zone.format(at);
}
// What cannot be taken back is asked for twice.
for (const form of document.querySelectorAll("form[data-ask]")) {
  form.addEventListener("submit", (event) => {
    if (!window.confirm(form.dataset.ask)) event.preventDefault();
  });
}
