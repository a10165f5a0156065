// The script of `sluice dev` in the browser: it reloads the page when the site changes and shows
// the page's mistakes. It does not change the page. It works under a strict
// Content-Security-Policy, which only has to allow this script and its connection: the script
// uses no inline styles, and does not parse text as HTML.
(() => {
  const own = document.currentScript;
  const { generation, method, page, run, mistakes, findings } = own.dataset;
  own.remove();
  // One response may contain the HTML of another page, and so this script twice.
  if (window.sluiceDev) return;
  // Where the page finds what is behind it (docs/sites.md).
  const behind = { run: run ? `/.sluice/runs/${run}` : null, sources: "/.sluice/sources/" };
  Object.defineProperty(window, "sluiceDev", { value: Object.freeze(behind) });
  dispatchEvent(new Event("sluice:dev"));

  const CSS = `
    :host { all: initial; }
    dialog {
      color-scheme: light dark; box-sizing: border-box; width: min(60rem, 94vw); max-height: 88vh; padding: 0;
      border: 0; border-top: 5px solid light-dark(#c6262e, #ff6b70); border-radius: 8px; overflow: auto;
      background: light-dark(#fff, #1d2026); color: light-dark(#1a1c20, #e8eaee);
      font: 15px/1.5 system-ui, sans-serif; box-shadow: 0 8px 40px rgb(0 0 0 / .4);
    }
    dialog::backdrop { background: rgb(0 0 0 / .45); }
    header { display: flex; justify-content: space-between; align-items: start; gap: 1rem; padding: 1rem 1.25rem 0; }
    h1 { margin: 0; font-size: 1rem; color: light-dark(#c6262e, #ff8a8e); }
    button { font: inherit; border: 1px solid currentColor; border-radius: 5px; background: none; color: inherit; padding: .1rem .6rem; cursor: pointer; }
    section { padding: .75rem 1.25rem; }
    section + section { border-top: 1px solid light-dark(#dde1e6, #3a3f47); }
    .place { margin: 0; font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; color: light-dark(#5a6270, #a6adb8); }
    .message { margin: .25rem 0 0; font-weight: 600; white-space: pre-wrap; overflow-wrap: anywhere; }
    pre { margin: .75rem 0 0; padding: .6rem .75rem; border-radius: 5px; overflow-x: auto; font: 13px/1.5 ui-monospace, monospace;
      background: light-dark(#f3f5f7, #14161a); }
    .number { color: light-dark(#6b7380, #8a929e); user-select: none; }
    .meant { background: light-dark(#fde3e4, #4a2226); }
    .mark { color: light-dark(#c6262e, #ff8a8e); font-weight: 700; }
    .stack { color: light-dark(#5a6270, #a6adb8); background: none; padding: 0; }
    .note { margin: .75rem 0 0; font-style: italic; }
    .findings {
      all: initial; color-scheme: light dark; position: fixed; right: 1rem; bottom: 1rem; z-index: 2147483647;
      font: 14px/1.4 system-ui, sans-serif; padding: .4rem .8rem; border-radius: 5px; cursor: pointer;
      background: light-dark(#fff4d6, #4a3b12); color: light-dark(#4a3500, #ffe9b0);
      border: 1px solid light-dark(#c99700, #a88416); box-shadow: 0 2px 10px rgb(0 0 0 / .25);
    }
    .findings:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
    footer { padding: 0 1.25rem 1rem; font-size: 13px; color: light-dark(#5a6270, #a6adb8); }
  `;

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  };

  const excerptOf = (lines) => {
    const shown = element("pre", "excerpt");
    for (const { number, text, mark } of lines) {
      const meant = mark !== null;
      shown.append(element("span", "number", `${String(number).padStart(4)} | `));
      shown.append(element("span", meant ? "meant" : "", text), "\n");
      if (meant) {
        shown.append(element("span", "number", "     | "));
        shown.append(element("span", "mark", " ".repeat(mark) + "^"), "\n");
      }
    }
    return shown;
  };

  const sectionOf = ({ name, message, file, line, column, excerpt, stack, note }) => {
    const section = element("section");
    if (file) section.append(element("p", "place", line ? `${file}:${line}:${column}` : file));
    section.append(element("p", "message", name ? `${name}: ${message}` : message));
    if (excerpt.length) section.append(excerptOf(excerpt));
    if (stack) section.append(element("pre", "stack", stack));
    if (note) section.append(element("p", "note", note));
    return section;
  };

  const hide = () => document.querySelector("sluice-overlay")?.remove();

  const rootOf = (host) => {
    const root = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    root.adoptedStyleSheets = [sheet];
    return root;
  };

  const counted = (count, one, several) => (count === 1 ? one : `${count} ${several}`);

  const show = (found, title = counted(found.length, "Something is wrong", "things are wrong")) => {
    hide();
    if (!found.length) return;
    const host = document.createElement("sluice-overlay");
    const root = rootOf(host);
    const dialog = element("dialog");
    const header = element("header");
    header.append(element("h1", "", title));
    const close = element("button", "", "Close");
    close.addEventListener("click", () => dialog.close());
    header.append(close);
    const footer = element("footer", "", "Only sluice dev shows this. It disappears when the mistake is fixed; Escape closes it.");
    dialog.append(header, ...found.map(sectionOf), footer);
    dialog.addEventListener("close", hide);
    root.append(dialog);
    document.documentElement.append(host);
    // The browser shows a modal dialog above everything else, and closes it on Escape.
    dialog.showModal();
  };

  // What the check found does not keep the page from working, so it is behind a button.
  const offer = (all) => {
    document.querySelector("sluice-findings")?.remove();
    const found = page ? all.filter(({ file }) => file === page || !file.startsWith("pages/")) : [];
    if (!found.length) return;
    const title = counted(found.length, "1 finding of sluice check", "findings of sluice check");
    const host = document.createElement("sluice-findings");
    const button = element("button", "findings", title);
    button.addEventListener("click", () => show(found, title));
    rootOf(host).append(button);
    document.documentElement.append(host);
  };

  const reload = () => {
    // Do not send the form again.
    if (method === "POST") location.replace(location.href.split("#")[0]);
    else location.reload();
  };

  // Browsers limit the connections to one server, so only visible pages keep one.
  let events = null;
  const listen = () => {
    if (document.hidden) {
      events?.close();
      events = null;
    } else if (!events) {
      events = new EventSource(`/.sluice/events?generation=${generation}`);
      events.addEventListener("reload", reload);
      events.addEventListener("failed", (event) => show(JSON.parse(event.data)));
      events.addEventListener("checked", (event) => offer(JSON.parse(event.data)));
    }
  };

  const begin = () => {
    offer(JSON.parse(findings));
    show(JSON.parse(mistakes));
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
  document.addEventListener("visibilitychange", listen);
  // The back button shows pages from the browser's memory, which may be outdated. Listening again
  // reloads them.
  addEventListener("pagehide", () => {
    events?.close();
    events = null;
  });
  addEventListener("pageshow", listen);
  listen();
})();
