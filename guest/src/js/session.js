(host, define) => {
  // `undefined` if it must be read from the host: at first, and after each change.
  let known;
  const customer = () => {
    if (known === undefined) known = host.deepFreeze(host.sessionCustomer());
    return known;
  };
  const changed = (answer) => {
    known = undefined;
    return answer;
  };
  const isText = (key) => typeof key === "string" && key.isWellFormed();

  define("session", {
    get: (key) => (isText(key) ? host.sessionGet(key) : null),
    set: (key, value) => isText(key) && host.sessionSet(key, value),
    delete: (key) => isText(key) && host.sessionDelete(key),
    setCustomer: (fields) => changed(host.sessionSetCustomer(fields)),
    clearCustomer: () => changed(host.sessionClearCustomer()),
    getToken: (ttlSeconds = 60) => host.sessionGetToken(Number(ttlSeconds)) ?? null,
    setFromToken: (token) => {
      // Returns false for every other value, so a forgotten `await` would go unnoticed.
      if (token instanceof Promise) throw host.missingAwait("session.setFromToken", "the argument");
      return isText(token) && changed(host.sessionSetFromToken(token));
    },
  });

  Object.defineProperty(globalThis, "customer", { get: customer, enumerable: true });
  Object.defineProperty(globalThis, "is_customer", { get: () => customer() !== null, enumerable: true });
  define("getCustomer", () => customer());
  define("getUser", () => {
    const user = customer();
    return { name: user?.name ?? null, email: user?.email ?? null };
  });
};
