// What the script API documents and this version does not have: a clear error
// instead of silence. CHANGELOG lists the same under "not yet".
(host, define) => {
  host.notYet = (name) => {
    throw new Error(`${name} is not available in this version of Sluice`);
  };
  const missing = (name) => () => host.notYet(name);

  for (const name of [
    "structuredClone",
    "btoa",
    "atob",
  ]) {
    define(name, missing(name));
  }
  for (const name of ["crypto", "secrets", "URL", "URLSearchParams"]) {
    Object.defineProperty(globalThis, name, { get: missing(name), enumerable: true });
  }
};
