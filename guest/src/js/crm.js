// The host checks every argument and says what each call gives when it is refused.
(host, define) => {
  for (const name of host.crmCalls) {
    define(name, (...args) => {
      if (args.length !== 1) {
        throw new TypeError(`${name} takes one options object, not ${args.length} arguments`);
      }
      return host.crmCall(name, args[0]);
    });
  }
};
