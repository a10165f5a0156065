// Reminds people who took the quiz, asked for a link and never came: twice, and not any more as soon as they come.
// A job runs later, on any server, and without a visitor, so its payload has everything that it needs.
import { outboxId, sendLinkTo } from "mail";

const times = 2;

const tagOf = (outbox) => `reminder:${outbox}`;
const seconds = () => Number(getVariable("reminder_seconds"));

const plan = (payload) =>
  queue.push("reminders", payload, { fn: "remind", delay: payload.number * seconds(), tag: tagOf(payload.outbox) });

// Of two requests for a link, only the newer one is followed by reminders.
export function remindLater(email) {
  const outbox = outboxId();
  queue.cancel(tagOf(outbox));
  session.set("reminder", plan({ email, outbox, number: 1 }).jobId);
}

// When the next reminder comes, or null if none does.
export function nextReminder() {
  const id = session.get("reminder");
  const job = id ? queue.status(id) : null;
  return job?.state === "pending" ? new Date(job.scheduledFor).toISOString() : null;
}

export function remindNoMore() {
  if (session.get("outbox_id")) queue.cancel(tagOf(outboxId()));
}

// The job. It can run twice, if a server crashes while it runs. Then the mail is sent twice rather than not at all.
export async function remind(payload, { jobId }) {
  const { email, outbox, number } = payload;
  const done = `reminded:${jobId}`;
  if (!storage.has(done)) {
    const sent = await sendLinkTo(email, outbox, number < times ? "Your bowl is still here" : "Your bowl, for the last time");
    if (sent === null) throw new Error("the reminder could not be sent"); // it is tried again
    storage.set(done, true, { ttl: 86_400 });
  }
  if (number < times) plan({ ...payload, number: number + 1 });
}
