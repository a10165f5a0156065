// Leads a page to its run and its sources (docs/sites.md). Only pages of brands whose operator has set
// `behind_pages` have this script.
(() => {
  const own = document.currentScript;
  const { run } = own.dataset;
  own.remove();
  if (window.sluiceDev) return;
  const behind = { run: `/.sluice/runs/${run}`, sources: "/.sluice/sources/" };
  Object.defineProperty(window, "sluiceDev", { value: Object.freeze(behind) });
  dispatchEvent(new Event("sluice:dev"));
})();
