// The page /pay in the browser: sends the report to the hook, as the payment service does.
const form = document.getElementById("reports");
const answered = document.getElementById("answered");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const isThief = event.submitter?.value === "thief";
  const { body, forged, signature } = form.dataset;
  try {
    const answer = await fetch("/hooks/payment", {
      method: "POST",
      headers: { "content-type": "application/json", "stripe-signature": signature },
      body: isThief ? forged : body,
    });
    answered.textContent = `${answer.status} ${await answer.text()}`;
    if (!answer.ok) return;
    document.getElementById("stage").textContent = "This order is paid.";
    for (const stage of document.querySelectorAll(".stages li")) stage.className = "reached";
  } catch {
    answered.textContent = "The server does not answer. Please try again.";
  }
});
