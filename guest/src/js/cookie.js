(host, define) => {
  const text = (value) => String(value).toWellFormed();
  define("cookie", {
    set: (name, value, options = null) => host.cookieSet(text(name), text(value), options),
    delete: (name, options = null) => host.cookieDelete(text(name), options),
  });
};
