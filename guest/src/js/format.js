// host.format: values as a developer expects to read them in a log.
(host) => {
  const LENGTH_MAX = 10000;
  const DEPTH_MAX = 6;
  const ITEMS_MAX = 100;
  const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

  const shorten = (text) => (text.length > LENGTH_MAX ? text.slice(0, LENGTH_MAX) + "…" : text);

  const list = (open, parts, total, close) => {
    if (parts.length === 0) return open + close;
    const more = total > parts.length ? `, … ${total - parts.length} more` : "";
    return `${open} ${parts.join(", ")}${more} ${close}`;
  };

  const inspectError = (error) => {
    const head = `${error.name}: ${error.message}`;
    return typeof error.stack === "string" && error.stack ? `${head}\n${error.stack.trimEnd()}` : head;
  };

  const inspectArray = (array, seen) => {
    const parts = array.slice(0, ITEMS_MAX).map((item) => inspect(item, seen));
    if (parts.length === 0) return "[]";
    const more = array.length > parts.length ? `, … ${array.length - parts.length} more` : "";
    return `[${parts.join(", ")}${more}]`;
  };

  const inspectMap = (map, seen) => {
    const parts = [];
    for (const [key, value] of map) {
      if (parts.length === ITEMS_MAX) break;
      parts.push(`${inspect(key, seen)} => ${inspect(value, seen)}`);
    }
    return `Map(${map.size}) ` + list("{", parts, map.size, "}");
  };

  const inspectSet = (set, seen) => {
    const parts = [];
    for (const value of set) {
      if (parts.length === ITEMS_MAX) break;
      parts.push(inspect(value, seen));
    }
    return `Set(${set.size}) ` + list("{", parts, set.size, "}");
  };

  const inspectObject = (object, seen) => {
    const keys = Object.keys(object);
    const parts = keys.slice(0, ITEMS_MAX).map((key) => {
      const name = IDENTIFIER.test(key) ? key : JSON.stringify(key);
      return `${name}: ${inspect(object[key], seen)}`;
    });
    const proto = Object.getPrototypeOf(object);
    const named = proto && proto !== Object.prototype && proto.constructor;
    const name = named && typeof named.name === "string" && named.name ? `${named.name} ` : "";
    return name + list("{", parts, keys.length, "}");
  };

  const inspect = (value, seen) => {
    switch (typeof value) {
      case "string":
        return JSON.stringify(shorten(value));
      case "bigint":
        return `${value}n`;
      case "symbol":
        return value.toString();
      case "function":
        return `[function ${value.name || "(anonymous)"}]`;
      case "object":
        break;
      default:
        return Object.is(value, -0) ? "-0" : String(value);
    }
    if (value === null) return "null";
    if (seen.includes(value)) return "[circular]";
    if (seen.length >= DEPTH_MAX) return Array.isArray(value) ? "[…]" : "{…}";
    const inside = [...seen, value];
    if (value instanceof Error) return inspectError(value);
    if (Array.isArray(value)) return inspectArray(value, inside);
    if (value instanceof Map) return inspectMap(value, inside);
    if (value instanceof Set) return inspectSet(value, inside);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
    if (value instanceof RegExp) return String(value);
    if (value instanceof Promise) return "Promise";
    return inspectObject(value, inside);
  };

  host.format = (values) =>
    values.map((value) => (typeof value === "string" ? shorten(value) : inspect(value, []))).join(" ").toWellFormed();
};
