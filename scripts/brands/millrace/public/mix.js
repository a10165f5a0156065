// The page /mix in the browser: asks /api/price while a slider moves, and shows the answer.
const form = document.getElementById("mix");
const at = (id) => document.getElementById(id);
const euros = new Intl.NumberFormat("en-US", { style: "currency", currency: "EUR" });

let latest = 0;

async function ask() {
  const own = ++latest;
  const path = `/api/price?${new URLSearchParams(new FormData(form))}`;
  try {
    const response = await fetch(path);
    const answer = await response.json();
    // The answer to an older question may come later.
    if (own !== latest) return;
    show(path, answer);
  } catch {
    at("mix-state").textContent = "The server does not answer. Please try again.";
  }
}

function show(path, answer) {
  const lines = Object.entries(answer).map(([name, value]) => `  "${name}": ${JSON.stringify(value)}`);
  at("answer").textContent = `GET ${path}\n\n{\n${lines.join(",\n")}\n}`;
  if (!answer.ok) {
    at("mix-state").textContent = answer.errors.join(", ");
    return;
  }
  at("mix-state").textContent = "";
  at("price").textContent = euros.format(answer.price);
  at("grams").textContent = answer.grams;
  at("kcal").textContent = answer.kcal_100g;
  draw(answer.shares);
}

// The bowl is 264 wide. Nuts fill it from the left, fruit from the right, and oats are between.
function draw({ nuts, fruit }) {
  const width = (share) => (264 * share) / 100;
  at("bar-nuts").setAttribute("width", width(nuts));
  at("bar-fruit").setAttribute("width", width(fruit));
  at("bar-fruit").setAttribute("x", 292 - width(fruit));
}

for (const input of form.querySelectorAll("input")) {
  input.addEventListener("input", () => {
    form.querySelector(`output[for="${input.id}"]`).textContent = `${input.value} g`;
    ask();
  });
}
// The button does the same, without loading the page again.
form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
