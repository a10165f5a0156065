// The host checks arguments and options. This only finds what gets lost on the way to it.
(host, define) => {
  const { isFinite } = Number;
  const { parse } = Date;

  const checked = (name, needed, args) => {
    if (args.length < needed) {
      throw new TypeError(`queue.${name} takes at least 1 argument, got ${args.length}`);
    }
    return args;
  };

  // A text, a Date or a number of milliseconds.
  const time = (at) => {
    const ms = at instanceof Date ? Number(at) : typeof at === "string" ? parse(at) : at;
    if (typeof ms === "number" && !isFinite(ms)) {
      throw new TypeError("queue.push: `at` is not a valid time, such as \"2026-07-01T09:00:00Z\"");
    }
    return ms;
  };

  const optionsOf = (options) => {
    if (typeof options !== "object" || options === null || options instanceof Promise) return options;
    const given = { ...options };
    if (given.at !== undefined && given.at !== null) given.at = time(given.at);
    // JSON has no such numbers: they would be read as if no delay was given.
    if (typeof given.delay === "number" && !isFinite(given.delay)) {
      throw new TypeError(`queue.push: \`delay\` must be a number of seconds, not ${given.delay}`);
    }
    return given;
  };

  define("queue", {
    push: (...args) => {
      const [module, payload, options] = checked("push", 1, args);
      const type = typeof payload;
      if (type === "function" || type === "symbol") {
        throw new TypeError(`queue.push: a ${type} cannot be stored`);
      }
      return host.queueCall("push", [module, payload, optionsOf(options)]);
    },
    cancel: (...args) => host.queueCall("cancel", checked("cancel", 1, args)),
    status: (...args) => host.queueCall("status", checked("status", 1, args)),
    // For tests: the jobs that are not done, and running those that are due.
    pushed: () => host.asTest("queue.pushed", { call: "pushed" }),
    run: (...args) => {
      if (args.length > 0) throw new TypeError("queue.run takes no arguments; clock.advance moves the time of a test");
      return host.asTest("queue.run", { call: "run" });
    },
  });
};
