// The check-in in the browser: sends the form as JSON, and shows the answer without leaving the page.
const form = document.getElementById("checkin-form");
const result = document.getElementById("result");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form));
  const body = JSON.stringify({ ...fields, weight: fields.weight.trim() });
  try {
    const response = await fetch("/weight/checkin", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body,
    });
    const answer = await response.json();
    document.getElementById("sent").textContent =
      `POST /weight/checkin\n${body}\n\n${response.status}\n${JSON.stringify(answer, null, 2)}`;
    result.textContent = answer.ok
      ? `Logged: ${answer.data.weight} ${answer.data.unit}`
      : `Error: ${(answer.errors ?? [answer.error]).join(", ")}`;
  } catch {
    result.textContent = "Error: the server does not answer";
  }
});
