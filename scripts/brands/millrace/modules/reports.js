// The report of a day. A schedule in brand.toml runs it every night; `sluice jobs run-schedule nightly` runs it at once.
const day = 24 * 3_600_000;

// How many entries of a kind the day has. The newest come first, so the search ends with the first one that is too old.
function count(slug, from, until) {
  let found = 0;
  let page = findCrmEntries({ slug, limit: 100 });
  for (;;) {
    found += page.entries.filter((entry) => entry.created_at >= from && entry.created_at < until).length;
    const isOver = page.entries.some((entry) => entry.created_at < from);
    if (isOver || page.next === null) return found;
    page = findCrmEntries({ slug, limit: 100, after: page.next });
  }
}

// Running it twice does no harm: the day's report is stored under its date.
export function nightly(_, { scheduledFor }) {
  const [from, until] = [scheduledFor - day, scheduledFor].map((time) => new Date(time).toISOString());
  const report = { orders: count("orders", from, until), quizzes: count("quiz-tracker", from, until) };
  storage.set(`report:${from.slice(0, 10)}`, report, { ttl: 90 * 86_400 });
  console.log("report of", from.slice(0, 10), report);
}
