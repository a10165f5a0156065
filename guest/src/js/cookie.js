(host, define) => {
  const { text } = host;
  define("cookie", {
    set: (name, value, options = null) =>
      host.cookieSet(text("cookie.set", name), text("cookie.set", value), options),
    delete: (name, options = null) => host.cookieDelete(text("cookie.delete", name), options),
  });
};
