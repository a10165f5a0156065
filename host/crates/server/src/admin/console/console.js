"use strict";
// Shows times in the operator's time zone. The page contains them in UTC.
const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
for (const time of document.querySelectorAll("time")) {
  const at = new Date(time.textContent);
  if (Number.isNaN(at.getTime())) continue;
  time.dateTime = time.textContent;
  time.title = time.textContent;
  time.textContent = zone.format(at);
}
// Asks for confirmation before an action that cannot be undone.
for (const form of document.querySelectorAll("form[data-ask]")) {
  form.addEventListener("submit", (event) => {
    if (!window.confirm(form.dataset.ask)) event.preventDefault();
  });
}
