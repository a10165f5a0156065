// "Try it" on the start page.
document.getElementById("try-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const path = `/api/links/${encodeURIComponent(new FormData(event.target).get("code"))}`;
  const shown = document.querySelector("#answer code");
  try {
    const response = await fetch(path);
    shown.textContent = `GET ${path}\n${response.status}\n\n${JSON.stringify(await response.json(), null, 2)}`;
  } catch {
    shown.textContent = `GET ${path}\n\nThe server does not answer.`;
  }
});
