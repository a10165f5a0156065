// The host checks every argument; here stands only what each call gives when
// its argument cannot leave the sandbox (a cycle, a number that is not finite).
(host, define) => {
  const refused = {
    getCrmField: () => null,
    getCrmFields: () => null,
    getCrmEntries: () => [],
    setCrmField: () => false,
    setCrmFields: () => false,
  };
  for (const [name, answer] of Object.entries(refused)) {
    define(name, (...args) => {
      if (args.length !== 1) {
        throw new TypeError(`${name} takes one options object, not ${args.length} arguments`);
      }
      const result = host.crmCall(name, args[0]);
      return result === undefined ? answer() : result;
    });
  }
};
