// Files that visitors send (`request.files`), and files that the brand keeps.
(host, define) => {
  const call = (name, options) => host.filesCall(`files.${name}`, options);
  const optionsOf = (name, options) => {
    if (options === undefined || options === null) return {};
    if (options instanceof Promise) throw host.missingAwait(`files.${name}`, "the options");
    if (typeof options !== "object") {
      throw new TypeError(`files.${name}: the options must be an object, not ${typeof options}`);
    }
    return options;
  };
  // A file of `request.files` or of a list stands for its id.
  const idOf = (name, file) => {
    const id = typeof file === "object" && file !== null ? file.id : file;
    if (typeof id === "string") return id.toWellFormed();
    throw new TypeError(`files.${name}: the id must be a string, not ${typeof file}`);
  };
  const textOf = (name, what, value, missing) => {
    if (value === undefined || value === null) return missing;
    if (typeof value === "string") return value.toWellFormed();
    throw new TypeError(`files.${name}: ${what} must be a string, not ${typeof value}`);
  };
  const numberOf = (name, what, value) => {
    if (Number.isInteger(value) && value > 0) return value;
    throw new TypeError(`files.${name}: ${what} must be a positive whole number`);
  };
  define("files", {
    keep: (file, options) => {
      const { name, public: isPublic = false } = optionsOf("keep", options);
      if (typeof isPublic !== "boolean") {
        throw new TypeError(`files.keep: public must be true or false, not ${typeof isPublic}`);
      }
      return call("keep", { id: idOf("keep", file), name: textOf("keep", "name", name, "file"), public: isPublic });
    },
    url: (file, seconds = 3600) =>
      call("url", { id: idOf("url", file), ttl: numberOf("url", "the time in seconds", seconds) }),
    delete: (file) => call("delete", { id: idOf("delete", file) }),
    list: (options) => {
      const { prefix, after, limit = 50 } = optionsOf("list", options);
      return call("list", {
        prefix: textOf("list", "prefix", prefix, ""),
        after: textOf("list", "after", after, ""),
        limit: numberOf("list", "limit", limit),
      });
    },
  });
};
