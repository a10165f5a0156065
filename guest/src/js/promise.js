// Rejects Promises where a script passes a value to the host: the author forgot `await`.
(host) => {
  const { stringify } = JSON;

  host.missingAwait = (call, what) =>
    new TypeError(`${call}: ${what} is a Promise. Add \`await\` before the call that returns it`);

  // Converts an argument to text.
  host.text = (call, value) => {
    if (value instanceof Promise) throw host.missingAwait(call, "the argument");
    return String(value).toWellFormed();
  };

  // While `sending` is the name of a call, JSON.stringify throws at a Promise. Otherwise it returns
  // `{}` for it, as the language defines. A replacer function would be called for each value.
  let sending;
  Object.defineProperty(Promise.prototype, "toJSON", {
    value: function toJSON(key) {
      if (sending === undefined) return this;
      throw host.missingAwait(sending, key === "" ? "the argument" : `the value of "${key}"`);
    },
    writable: true,
    configurable: true,
  });

  host.json = (call, value) => {
    sending = call;
    try {
      return stringify(value) ?? "null";
    } finally {
      sending = undefined;
    }
  };
};
