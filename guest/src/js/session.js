(host, define) => {
  // `undefined` until the host is asked; asked again after every change.
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
    setFromToken: (token) => isText(token) && changed(host.sessionSetFromToken(token)),
  });

  Object.defineProperty(globalThis, "customer", { get: customer, enumerable: true });
  Object.defineProperty(globalThis, "is_customer", { get: () => customer() !== null, enumerable: true });
  define("getCustomer", () => customer());
  define("getUser", () => {
    const user = customer();
    return { name: user?.name ?? null, email: user?.email ?? null };
  });
};
