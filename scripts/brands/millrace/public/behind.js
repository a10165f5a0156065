// "Behind this page": shows the files that made the page, and what its run did. Only `sluice dev` has
// these, and `sluice serve` a part of them if the operator says so (see window.sluiceDev in docs/sites.md).
// Without them, the button stays hidden.
const opener = document.querySelector(".behind-open");

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

// The files that a page names: its layout, components and modules. A module that is an .html file or
// another page is looked for, too.
const named = (text) => [
  ...[...text.matchAll(/@extends\("([^"]+)"\)/g)].map((found) => [`layouts/${found[1]}.html`]),
  ...[...text.matchAll(/^\s*import\b[^"';]*["']([^"']+)["']/gm)].map((found) => {
    const code = found[1].replace(/^(\.\.?\/)+/, "").replace(/\.js$/, "");
    return [`modules/${code}.js`, `modules/${code}.html`, `pages/${code}.html`];
  }),
  ...[...text.matchAll(/@component\("([^"]+)"/g)].map((found) => [`components/${found[1]}.html`]),
];

async function read(file) {
  const answer = await fetch(window.sluiceDev.sources + file.split("/").map(encodeURIComponent).join("/"));
  return answer.ok ? answer.text() : null;
}

// All files of a page, its own first.
async function filesOf(page) {
  const files = [];
  const waiting = [[page]];
  const known = new Set();
  while (waiting.length && files.length < 24) {
    for (const file of waiting.shift()) {
      if (known.has(file)) break;
      const text = await read(file);
      if (text === null) continue;
      known.add(file);
      files.push({ file, text });
      waiting.push(...named(text));
      break;
    }
  }
  return files;
}

// Colours for a script and for a template. Text is only ever put into the page as text.
const SCRIPT = /(?<note>\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|(?<word>\b(?:await|async|break|const|continue|default|else|export|for|from|function|if|import|in|let|new|null|of|return|throw|true|false|typeof|var|while)\b)|(?<call>\b(?:session|cookie|response|request|crypto|console|Schema|customer|is_customer|redirect|setVariable|getVariable|setHeader|secrets|storage|cache|files|fetch|http|queue|(?:get|set|add|clear|move|reassign|ensure)Crm\w+)\b)|(?<number>\b\d[\d_.]*\b)/g;
const TEMPLATE = /(?<note>\{\{--[\s\S]*?--\}\}|<!--[\s\S]*?-->)|(?<call>\{\{\{?[\s\S]*?\}?\}\}|@(?:extends|block|endblock|yield|if|elseif|else|endif|foreach|endforeach|set|component)\b)|(?<word><\/?[a-zA-Z][\w-]*|\/?>)|(?<text>"[^"<>]*")/g;

function coloured(text, rules) {
  const shown = document.createDocumentFragment();
  let from = 0;
  for (const found of text.matchAll(rules)) {
    const [kind] = Object.entries(found.groups).find(([, value]) => value !== undefined);
    shown.append(text.slice(from, found.index), element("span", { className: `hue-${kind}`, textContent: found[0] }));
    from = found.index + found[0].length;
  }
  shown.append(text.slice(from));
  return shown;
}

// A page is its backend scripts and, around them, its template.
function paintFile({ file, text }) {
  const code = element("code");
  if (file.endsWith(".js")) {
    code.append(coloured(text, SCRIPT));
  } else {
    for (const part of text.split(/(<script [a-z]+=["']?backend["']?>[^]*?<\/script>)/)) {
      code.append(coloured(part, /^<script [a-z]+=["']?backend/.test(part) ? SCRIPT : TEMPLATE));
    }
  }
  return element("pre", { className: "behind-source", tabIndex: 0 }, code);
}

// Without line breaks, unless it is long. Spaces let it wrap.
function json(value) {
  const pretty = JSON.stringify(value, null, 2) ?? "undefined";
  return pretty.length <= 600 ? pretty.replace(/\n\s*/g, " ") : pretty;
}
const count = (number) => number.toLocaleString("en-US");
const share = (part, all) => {
  const percent = (100 * part) / all;
  return percent > 0 && percent < 0.1 ? "below 0.1 %" : `${percent.toFixed(1)} %`;
};

function gauge(label, value, part, all) {
  const meter = element("meter", { min: 0, max: all, value: part, ariaLabel: label });
  return element("div", { className: "behind-gauge" }, element("dt", { textContent: label }), element("dd", {}, value, meter));
}

function table(caption, rows, empty) {
  const section = element("section", {}, element("h3", { textContent: caption }));
  if (!rows.length) {
    section.append(element("p", { className: "behind-none", textContent: empty }));
    return section;
  }
  const list = element("dl", { className: "behind-list" });
  for (const [name, value] of rows) {
    list.append(element("dt", { textContent: name }), element("dd", {}, element("pre", { textContent: value })));
  }
  section.append(list);
  return section;
}

// A call to another server. Its path, headers and bodies are not part of the data.
const sent = ({ method, host, status, ms, bytes_sent, bytes_received, error }) => [
  `${method} ${host}`,
  `${error ?? status}\n${ms.toFixed(1)} ms, ${count(bytes_sent)} bytes sent, ${count(bytes_received)} received`,
];

const called = ({ call, arguments: values, options, result, refused, error }) => [
  call,
  `${values ? values.map(json).join(", ") : json(options)}\n→ ${refused ?? error ?? json(result)}`,
];

function ran({ request, response, run, limits, variables, session, crm, storage, http, files, console: lines, warnings }) {
  const shown = element("div", { className: "behind-run" });
  const calls = crm?.length ?? run.crm_calls ?? 0;
  const ms = (time) => `${time.toFixed(2)} ms`;
  shown.append(
    element("p", { className: "behind-line" }, `${request.method} ${request.address} → ${response.status}, ${run.outcome}`),
    element(
      "dl",
      { className: "behind-gauges" },
      gauge("Fuel", `${count(run.fuel)} of ${count(limits.fuel)} (${share(run.fuel, limits.fuel)})`, run.fuel, limits.fuel),
      gauge("Memory", `${count(Math.round(run.memory_bytes / 1024))} KB; the script may have ${count(Math.round(limits.heap_bytes_max / 1024))} KB`, run.memory_bytes, limits.heap_bytes_max),
      gauge("Time", `${ms(run.wall_ms)}, ${ms(run.host_ms)} of it waiting for the host`, run.wall_ms, limits.wall_ms_max),
      gauge("CRM calls", `${calls} of ${limits.crm_calls_max}`, calls, limits.crm_calls_max),
    ),
  );
  if (run.failure) {
    const { name, message, file, line, column } = run.failure;
    shown.append(table("Failure", [[`${file}:${line}:${column}`, `${name}: ${message}`]]));
  }
  const values = Object.entries(session?.values ?? {});
  const changed = new Set(session?.changed ?? []);
  shown.append(
    table(
      "Session after the run",
      values.map(([name, value]) => [changed.has(name) ? `${name} (changed)` : name, json(value)]),
      "Empty, or not asked for.",
    ),
  );
  // What is null is not shown to visitors, or was too large.
  const lists = [
    ["CRM calls", crm?.map(called), "None."],
    ["Calls to other servers", http?.map(sent), "None."],
    ["Storage calls", storage?.map(called), "None."],
    ["Calls of files", files?.map(called), "None."],
    ["Console", lines?.map((line) => [line.level, line.text]), "The script logged nothing."],
    ["Variables", variables && Object.entries(variables).map(([name, value]) => [name, json(value)]), "The script set none."],
  ];
  for (const [caption, rows, empty] of lists) if (rows) shown.append(table(caption, rows, empty));
  if (warnings?.length) shown.append(table("Warnings", warnings.map((text) => ["warning", text])));
  return shown;
}

// Tabs as the ARIA practices describe them: arrows move, and only the chosen tab is in the tab order.
function tabs(parts) {
  const list = element("div", { className: "behind-tabs", role: "tablist", ariaLabel: "Files and run" });
  const panels = element("div", { className: "behind-panels" });
  const choose = (at, focuses) => {
    [...list.children].forEach((tab, index) => {
      tab.ariaSelected = String(index === at);
      tab.tabIndex = index === at ? 0 : -1;
      panels.children[index].hidden = index !== at;
    });
    if (focuses) list.children[at].focus();
  };
  parts.forEach(([label, content], at) => {
    const tab = element("button", { type: "button", role: "tab", id: `behind-tab-${at}`, textContent: label });
    tab.setAttribute("aria-controls", `behind-panel-${at}`);
    tab.addEventListener("click", () => choose(at));
    tab.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (step) choose((at + step + parts.length) % parts.length, true);
    });
    list.append(tab);
    const panel = element("div", { role: "tabpanel", id: `behind-panel-${at}` }, content);
    panel.setAttribute("aria-labelledby", tab.id);
    panels.append(panel);
  });
  choose(0);
  return [list, panels];
}

async function fill(drawer) {
  const answer = await fetch(window.sluiceDev.run);
  if (!answer.ok) throw new Error("the run is not kept any more; reload the page");
  const run = await answer.json();
  const files = await filesOf(run.run.page);
  drawer.append(...tabs([["What it did", ran(run)], ...files.map((file) => [file.file, paintFile(file)])]));
}

let drawer = null;

async function open() {
  if (drawer) return drawer.showModal();
  drawer = element("dialog", { className: "behind", ariaLabel: "Behind this page" });
  const close = element("button", { type: "button", className: "behind-close", textContent: "Close" });
  close.addEventListener("click", () => drawer.close());
  drawer.addEventListener("click", (event) => event.target === drawer && drawer.close());
  drawer.append(element("header", {}, element("h2", { textContent: "Behind this page" }), close));
  document.body.append(drawer);
  drawer.showModal();
  try {
    await fill(drawer);
  } catch (error) {
    drawer.append(element("p", { className: "behind-none", textContent: `Nothing to show: ${error.message}.` }));
  }
}

const offer = () => {
  if (window.sluiceDev?.run) opener.hidden = false;
};

if (opener) {
  opener.addEventListener("click", open);
  addEventListener("sluice:dev", offer);
  offer();
}
