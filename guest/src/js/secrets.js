(host, define) => {
  define("secrets", {
    get: (name) => (typeof name === "string" && name.isWellFormed() ? (host.secretsGet(name) ?? null) : null),
  });
};
