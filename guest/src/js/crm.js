// Each call has two names, as in the product that the customer documents: getCrmField and
// GetCrmField. The host checks the arguments and decides what a rejected call returns.
(host, define) => {
  for (const name of host.crmCalls) {
    const call = (...args) => {
      if (args.length !== 1) {
        throw new TypeError(`${name} takes one options object, not ${args.length} arguments`);
      }
      return host.crmCall(name, args[0]);
    };
    define(name, call);
    define(name[0].toUpperCase() + name.slice(1), call);
  }
};
