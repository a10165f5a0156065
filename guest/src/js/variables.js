(host, define) => {
  const isText = (name) => typeof name === "string" && name.isWellFormed();
  define("setVariable", (name, value) => host.variablesSet(host.text("setVariable", name), value));
  define("getVariable", (name) => (isText(name) ? host.variablesGet(name) : null));
};
