// Looks at a page as a strict visitor would, and returns what is wrong with it, as sentences.
// `tests/browser.rs` runs it in each page of the sample site.
(() => {
  const wrong = [];
  const check = (holds, sentence) => holds || wrong.push(sentence);
  const named = (element) => {
    const { tagName, id, textContent } = element;
    return `<${tagName.toLowerCase()}${id && ` id="${id}"`}> "${textContent.trim().slice(0, 30)}"`;
  };

  // Weight, without compression: what a browser has to read, from wherever it comes.
  const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const bytes = loaded.reduce((sum, one) => sum + one.decodedBodySize, 0);
  check(bytes < 100 * 1024, `the page and its files have ${bytes} bytes`);
  for (const { name } of loaded) check(new URL(name).host === location.host, `${name} comes from another host`);

  // Layout.
  const { scrollWidth } = document.documentElement;
  check(scrollWidth <= innerWidth, `the page is ${scrollWidth} px wide in a window of ${innerWidth} px`);
  check(window.isResized || window.shifted === 0, `the layout shifted by ${window.shifted}`);

  // What a screen reader says.
  check(document.documentElement.lang, "the page has no language");
  check(document.title.includes(" · "), `the title "${document.title}" does not name page and site`);
  check(document.querySelectorAll("h1").length === 1, "the page does not have one h1");
  check(document.querySelectorAll("main").length === 1, "the page does not have one main");
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    const own = Number(heading.tagName[1]);
    check(own <= level + 1, `${named(heading)} follows an h${level}`);
    level = own;
  }
  const nameOf = (element) =>
    element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
  for (const element of document.querySelectorAll("a, button, select, textarea, input:not([type=hidden])")) {
    if (element.closest("[aria-hidden=true]")) continue;
    check(nameOf(element).trim(), `${element.outerHTML.slice(0, 80)} has no name`);
  }
  for (const picture of document.querySelectorAll("svg, img")) {
    const is_named = picture.getAttribute("aria-label") || picture.getAttribute("alt");
    check(is_named || picture.closest("[aria-hidden=true]"), `${picture.outerHTML.slice(0, 60)} has no name`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  check(new Set(ids).size === ids.length, "two elements have the same id");
  for (const element of document.querySelectorAll("[aria-describedby]")) {
    check(document.getElementById(element.getAttribute("aria-describedby")), `${named(element)} has no description`);
  }

  // Contrast of text: 4.5, or 3 if it is large (WCAG AA).
  const colour = (text) => {
    const found = /^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/.exec(text);
    return found && [...found.slice(1, 4).map(Number), found[4] === undefined ? 1 : Number(found[4])];
  };
  const over = ([r, g, b, a], [under_r, under_g, under_b]) =>
    [[r, under_r], [g, under_g], [b, under_b]].map(([top, under]) => top * a + under * (1 - a)).concat(1);
  const backdrop = (element) => {
    if (element === null) return [255, 255, 255, 1];
    const own = colour(getComputedStyle(element).backgroundColor);
    if (own === null) return null;
    if (own[3] === 1) return own;
    const under = backdrop(element.parentElement);
    return under && over(own, under);
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((one) => one / 255).map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || seen.has(element) || element.closest("[aria-hidden=true], script, title, option")) continue;
    seen.add(element);
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const is_drawn = element.closest("svg") !== null;
    const under = backdrop(is_drawn ? element.closest("svg").parentElement : element);
    const ink = colour(is_drawn ? style.fill : style.color);
    if (under === null || ink === null) {
      wrong.push(`the colours of ${named(element)} cannot be read: ${style.color} on ${style.backgroundColor}`);
      continue;
    }
    const [bright, dark] = [light(over(ink, under)), light(under)].sort((a, b) => b - a);
    const ratio = (bright + 0.05) / (dark + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const is_large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    check(ratio >= (is_large ? 3 : 4.5), `${named(element)} has a contrast of ${ratio.toFixed(2)}`);
  }
  return wrong;
})()
