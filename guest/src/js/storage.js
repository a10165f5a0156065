// The host checks keys, values and options. This only finds what gets lost on the way to it.
(host, define) => {
  const RACES_MAX = 5;
  const { structuredClone } = globalThis;

  // JSON has no such values: they would be stored as null.
  const check = (call, area, value) => {
    const type = typeof value;
    if (type === "undefined") {
      throw new TypeError(`${call}: the value is undefined. To remove a key, call ${area}.del`);
    }
    if (type === "function" || type === "symbol") {
      throw new TypeError(`${call}: a ${type} cannot be stored`);
    }
  };

  const calls = (area, names) => {
    const made = {};
    for (const [name, needed, value] of names) {
      made[name] = (...args) => {
        if (args.length < needed) {
          const count = needed === 1 ? "1 argument" : `${needed} arguments`;
          throw new TypeError(`${area}.${name} takes at least ${count}, got ${args.length}`);
        }
        if (value !== undefined) check(`${area}.${name}`, area, args[value]);
        return host.storageCall(area, name, args);
      };
    }
    return made;
  };

  const COMMON = [
    ["get", 1],
    ["set", 2, 1],
    ["del", 1],
    ["has", 1],
    ["setIfAbsent", 2, 1],
    ["increment", 1],
  ];

  const storage = calls("storage", [...COMMON, ["compareAndSet", 3, 2], ["list", 0]]);
  const { get, compareAndSet } = storage;

  // fn may change the value that it gets, so it gets a copy.
  storage.mutate = (key, fn, options) => {
    if (typeof fn !== "function") {
      throw new TypeError("storage.mutate: the second argument must be a function of the value");
    }
    for (let races = 0; races < RACES_MAX; races++) {
      const current = get(key, options);
      const next = fn(structuredClone(current));
      if (next === undefined) return current;
      if (next instanceof Promise) throw host.missingAwait("storage.mutate", "the result of the function");
      if (compareAndSet(key, current, next, options)) return host.storageForm(next);
    }
    throw new Error(`storage.mutate: others changed the value ${RACES_MAX} times in a row`);
  };

  define("storage", storage);
  define("cache", calls("cache", [...COMMON, ["purge", 1]]));
};
