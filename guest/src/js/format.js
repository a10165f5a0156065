// host.format: the text of values in a log. It never throws. A value that a getter or proxy cannot
// provide is replaced by the reason.
(host) => {
  const LENGTH_MAX = 10000;
  const DEPTH_MAX = 6;
  const ITEMS_MAX = 100;
  // Values in one call. An object that several others contain counts each time.
  const VALUES_MAX = 5000;
  const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
  const { isArray } = Array;
  const { hasOwn, keys, getPrototypeOf } = Object;

  const shorten = (text) => (text.length > LENGTH_MAX ? text.slice(0, LENGTH_MAX) + "…" : text);

  const reason = (error) => {
    try {
      return shorten(String(error instanceof Error ? error.message : error));
    } catch {
      return "it throws";
    }
  };

  // Returns the text of `read`, or the reason why it fails.
  const attempt = (read) => {
    try {
      return read();
    } catch (error) {
      return `[cannot be read: ${reason(error)}]`;
    }
  };

  let valuesLeft = 0;
  const isFull = (parts) => parts.length >= ITEMS_MAX || valuesLeft <= 0;

  const joined = (parts, total) => {
    const more = total > parts.length ? [`… ${total - parts.length} more`] : [];
    return [...parts, ...more].join(", ");
  };

  const braced = (parts, total) => (total === 0 ? "{}" : `{ ${joined(parts, total)} }`);

  // A part of an error (its cause or errors), on separate lines below it.
  const carried = (label, value, path) => `\n${label}: ${inspect(value, path)}`.replaceAll("\n", "\n  ");

  const inspectError = (error, path) => {
    const part = (key) => attempt(() => shorten(String(error[key])));
    const stack = attempt(() => error.stack);
    let text = `${part("name")}: ${part("message")}`;
    if (typeof stack === "string" && stack) text += `\n${shorten(stack.trimEnd())}`;
    if (hasOwn(error, "cause")) text += attempt(() => carried("cause", error.cause, path));
    if (hasOwn(error, "errors")) text += attempt(() => inspectErrors(error.errors, path));
    return text;
  };

  // The errors of an AggregateError.
  const inspectErrors = (errors, path) => {
    if (!isArray(errors)) return carried("errors", errors, path);
    const parts = [];
    for (let i = 0; i < errors.length && !isFull(parts); i++) {
      parts.push(attempt(() => carried(`errors[${i}]`, errors[i], path)));
    }
    const more = errors.length - parts.length;
    return parts.join("") + (more > 0 ? `\n  … ${more} more` : "");
  };

  const inspectArray = (array, path) => {
    const parts = [];
    for (let i = 0; i < array.length && !isFull(parts); i++) {
      parts.push(attempt(() => (i in array ? inspect(array[i], path) : "")));
    }
    return `[${joined(parts, array.length)}]`;
  };

  const inspectMap = (map, path) => {
    const parts = [];
    for (const [key, value] of map) {
      if (isFull(parts)) break;
      parts.push(`${inspect(key, path)} => ${inspect(value, path)}`);
    }
    return `Map(${map.size}) ${braced(parts, map.size)}`;
  };

  const inspectSet = (set, path) => {
    const parts = [];
    for (const value of set) {
      if (isFull(parts)) break;
      parts.push(inspect(value, path));
    }
    return `Set(${set.size}) ${braced(parts, set.size)}`;
  };

  // The class name, unless it is Object.
  const nameOf = (object) => {
    const proto = getPrototypeOf(object);
    const named = proto && proto !== Object.prototype && proto.constructor;
    return named && typeof named.name === "string" ? named.name : "";
  };

  const inspectObject = (object, path) => {
    const names = keys(object);
    const parts = [];
    for (const key of names) {
      if (isFull(parts)) break;
      const name = IDENTIFIER.test(key) ? key : JSON.stringify(shorten(key));
      parts.push(`${name}: ${attempt(() => inspect(object[key], path))}`);
    }
    const className = attempt(() => nameOf(object));
    return (className && `${className} `) + braced(parts, names.length);
  };

  const inspectFunction = (value) => {
    const { name } = value;
    return `[function ${typeof name === "string" && name ? name : "(anonymous)"}]`;
  };

  // A value with parts. `path` contains the objects around it.
  const inspectInside = (value, path) => {
    if (value instanceof Error) return inspectError(value, path);
    if (isArray(value)) return inspectArray(value, path);
    if (value instanceof Map) return inspectMap(value, path);
    if (value instanceof Set) return inspectSet(value, path);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
    if (value instanceof RegExp) return String(value);
    if (value instanceof Promise) return "Promise";
    return inspectObject(value, path);
  };

  const inspect = (value, path) => {
    valuesLeft--;
    switch (typeof value) {
      case "string":
        return JSON.stringify(shorten(value));
      case "bigint":
        return `${value}n`;
      case "symbol":
        return String(value);
      case "function":
        return attempt(() => inspectFunction(value));
      case "object":
        break;
      default:
        return Object.is(value, -0) ? "-0" : String(value);
    }
    if (value === null) return "null";
    if (path.includes(value)) return "[circular]";
    return attempt(() => {
      if (path.length >= DEPTH_MAX) return isArray(value) ? "[…]" : "{…}";
      return inspectInside(value, [...path, value]);
    });
  };

  host.format = (values) => {
    // A getter may log, too, in the middle of this.
    const outer = valuesLeft;
    valuesLeft = VALUES_MAX;
    try {
      const shown = (value) => (typeof value === "string" ? shorten(value) : inspect(value, []));
      return attempt(() => values.map(shown).join(" ").toWellFormed());
    } finally {
      valuesLeft = outer;
    }
  };
};
