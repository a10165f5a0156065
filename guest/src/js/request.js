// The request is read from the host at first use. Scripts that do not use it do not pay for it.
(host) => {
  host.deepFreeze = (value) => {
    if (typeof value === "object" && value !== null) {
      for (const key of Object.keys(value)) host.deepFreeze(value[key]);
      Object.freeze(value);
    }
    return value;
  };

  let request;
  Object.defineProperty(globalThis, "request", {
    get: () => (request ??= host.deepFreeze(host.requestRead())),
    enumerable: true,
  });
};
