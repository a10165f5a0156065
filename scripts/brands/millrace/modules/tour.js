// The tour: one step for each thing that a page can do. Every page calls `open` first.
import { cartNow } from "cart";

export const steps = [
  {
    path: "/",
    name: "A page with a script",
    text: "A script counts your visits before this page is sent. It runs on the server, in a sandbox of its own, and your browser never gets its source.",
    calls: ["session.get", "session.set", "setVariable", "{{ var.visits }}"],
  },
  {
    path: "/shop",
    name: "A list, and a page for each item",
    text: "The products are in a module that several pages import. The template repeats a component for each of them, and one file, shop/{slug}.html, is the page of every product.",
    calls: ["import", "@foreach", "@component", "request.route_params"],
  },
  {
    path: "/cart",
    name: "A cart in the session",
    text: "The cart is in your session on the server. Your browser only holds a random id. Every button is a form, and each answer redirects, so reloading never orders twice.",
    calls: ["session.set", "request.body", "redirect(url, 303)"],
  },
  {
    path: "/checkout",
    name: "A form that says what is wrong",
    text: "A schema reads what you typed. Each mistake stands beside its field, your input stays, and the order is stored only when all of it is valid.",
    calls: ["Schema.object", "validate", "response.status(422)", "setCrmField"],
  },
  {
    path: "/pay",
    name: "A payment that reports itself",
    text: "A payment service sends signed bytes to a page. The script checks the signature over exactly these bytes, and marks the order as paid, once.",
    calls: ["raw_body = true", "request.text", "crypto.subtle.verify", "moveCrmToPipeline"],
  },
  {
    path: "/mix",
    name: "JSON for a script in the browser",
    text: "The sliders ask /api/price, a page that answers with JSON. Without JavaScript, the button sends the form, and the server calculates with the same module.",
    calls: ["response.json", "request.query", "fetch"],
  },
  {
    path: "/quiz",
    name: "A funnel",
    text: "Each answer is stored in the CRM under a random id, and moves you through a pipeline: started, answered, lead. If you ask for a link and do not come, two jobs remind you, and none as soon as you come.",
    calls: ["setCrmFields", "moveCrmToPipeline", "queue.push", "queue.cancel"],
  },
  {
    path: "/login",
    name: "A link instead of a password",
    text: "The mail goes to a local outbox that only you see, or through the HTTP API that brand.toml names. Its link works once. It logs you in, and your quiz answers become those of a customer.",
    calls: ["crypto.subtle", "fetch", "clearCrmEntries", "session.setCustomer", "reassignCrmReference"],
  },
  {
    path: "/sso",
    name: "An account from elsewhere",
    text: "OpenID Connect in three small pages: ask the provider, come back with a code, exchange it, and check what the token says. Without a provider in brand.toml, this site plays one.",
    calls: ["fetch", "secrets.ref", "session.delete", "session.setCustomer"],
  },
  {
    path: "/members",
    name: "A page for members",
    text: "An access rule in brand.toml guards everything below /members. The server applies it before any script runs, so a mistake in a script cannot open the door.",
    calls: ["[[access]]", "customer", "getCrmEntries"],
  },
  {
    path: "/members/cups",
    name: "A photo, first for you, then for all",
    text: "The server takes the file outside of the sandbox and looks at its bytes. The script keeps it, shows it only to you with a signed address, and publishes it when you say so.",
    calls: ["request.files", "files.keep", "files.url", "storage.list"],
  },
  {
    path: "/weight/checkin",
    name: "A page that accepts data",
    text: "The same page shows the form and takes what you send, as a form or as JSON. It validates both in the same way, and stores them for the customer.",
    calls: ["request.method", "setCrmFields", "addCrmFieldValue", "response.json"],
  },
  {
    path: "/dashboard",
    name: "A chart of stored values",
    text: "The script reads your check-ins and computes the points. The template draws them as SVG, so the chart needs no library and no JavaScript.",
    calls: ["getCrmFieldValues", "getCrmFields", "<svg>"],
  },
  {
    path: "/grain",
    name: "A token that rotates",
    text: "The grain exchange gives keys that work once. Whichever server your visit reaches, only one run at a time renews the token, and the others keep using the stored one.",
    calls: ["storage.setIfAbsent", "storage.compareAndSet", "storage.mutate", "fetch"],
  },
  {
    path: "/links",
    name: "Redirects and cookies",
    text: "One page with a wildcard answers all short links. It sets a cookie for the campaign, and sends you on. Addresses that could lead to another site are refused.",
    calls: ["redirect", "cookie.set", "go/{code}.html"],
  },
  {
    path: "/fails",
    name: "Pages that fail",
    text: "Three pages with mistakes. Visitors get the page without the broken part, or a plain error. The author gets the file, the line and the reason.",
    calls: ["on_error", "[limits] fuel", "sluice dev"],
  },
  {
    path: "/brands",
    name: "A second brand",
    text: "One server, two brands. The other one has its own pages, sessions, data and languages, and neither can see those of the other.",
    calls: ["domains", "[translations]", "{{ t('…') }}"],
  },
];

// What the layout shows on every page. `path` is that of the page's step; pages in between have
// the step of the page before them.
export function open(path) {
  const at = steps.findIndex((step) => step.path === path);
  const seen = session.get("seen") ?? {};
  if (at >= 0 && !seen[path]) session.set("seen", { ...seen, [path]: true });
  setVariable("cart_pieces", cartNow().pieces);
  if (at < 0) return;
  setVariable("step", { ...steps[at], number: at + 1, of: steps.length });
  setVariable("step_before", steps[at - 1] ?? null);
  setVariable("step_after", steps[at + 1] ?? null);
}

// The steps, and whether the visitor has been there.
export function stepsSeen() {
  const seen = session.get("seen") ?? {};
  return steps.map(({ path, name }, at) => ({ path, name, number: at + 1, seen: seen[path] === true }));
}
