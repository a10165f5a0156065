(host, define) => {
  const get = (name) => (typeof name === "string" && name.isWellFormed() ? (host.secretsGet(name) ?? null) : null);
  define("secrets", {
    get,
    ref: (name) => {
      const placeholder = typeof name === "string" ? get(`ref:${name}`) : null;
      if (placeholder !== null) return placeholder;
      const shown = typeof name === "string" ? JSON.stringify(name) : typeof name;
      throw new TypeError(
        `secrets.ref: there is no secret ${shown} with [secrets.NAME] hosts in brand.toml and a value of the operator`,
      );
    },
  });
};
