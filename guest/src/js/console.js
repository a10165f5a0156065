(host, define) => {
  const console = {};
  for (const level of ["log", "info", "warn", "error", "debug"]) {
    console[level] = (...values) => host.consoleWrite(level, host.format(values));
  }
  define("console", console);
};
