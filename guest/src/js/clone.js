// structuredClone, as the HTML standard has it for what a script can hold.
(host, define) => {
  const { isArray } = Array;
  const { keys, defineProperty } = Object;
  const isView = ArrayBuffer.isView;
  const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
  const BOXES = [Boolean, Number, String, BigInt];
  const UNCLONABLE = [Promise, WeakMap, WeakSet, WeakRef, Symbol];

  const refuse = (what) => {
    throw host.domException("DataCloneError", `structuredClone: ${what} cannot be cloned`);
  };
  const put = (object, key, value) =>
    defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });

  const cloneError = (error, seen) => {
    const Class = ERRORS[error.name] ?? Error;
    const copy = new Class(String(error.message));
    seen.set(error, copy);
    for (const key of ["stack", "cause"]) {
      if (Object.hasOwn(error, key)) {
        const value = key === "stack" ? error.stack : clone(error.cause, seen);
        defineProperty(copy, key, { value, writable: true, configurable: true });
      }
    }
    return copy;
  };

  const cloneView = (view, seen) => {
    const buffer = clone(view.buffer, seen);
    return view instanceof DataView
      ? new DataView(buffer, view.byteOffset, view.byteLength)
      : new view.constructor(buffer, view.byteOffset, view.length);
  };

  // A copy that holds nothing else; undefined for what has parts.
  const cloneSimple = (value, seen) => {
    if (value instanceof Date) return new Date(value.getTime());
    if (value instanceof RegExp) return new RegExp(value.source, value.flags);
    if (value instanceof ArrayBuffer) return value.slice(0);
    if (isView(value)) return cloneView(value, seen);
    if (BOXES.some((Box) => value instanceof Box)) return Object(value.valueOf());
    return undefined;
  };

  const cloneParts = (value, seen) => {
    if (value instanceof Error) return cloneError(value, seen);
    if (value instanceof Map) {
      const copy = new Map();
      seen.set(value, copy);
      for (const [key, item] of [...value]) copy.set(clone(key, seen), clone(item, seen));
      return copy;
    }
    if (value instanceof Set) {
      const copy = new Set();
      seen.set(value, copy);
      for (const item of [...value]) copy.add(clone(item, seen));
      return copy;
    }
    const copy = isArray(value) ? new Array(value.length) : {};
    seen.set(value, copy);
    for (const key of keys(value)) put(copy, key, clone(value[key], seen));
    return copy;
  };

  const clone = (value, seen) => {
    if (typeof value === "symbol") refuse("a symbol");
    if (typeof value === "function") refuse(`the function ${value.name || "(anonymous)"}`);
    if (typeof value !== "object" || value === null) return value;
    if (seen.has(value)) return seen.get(value);
    const unclonable = UNCLONABLE.find((Class) => value instanceof Class);
    if (unclonable) refuse(`a ${unclonable.name}`);
    const simple = cloneSimple(value, seen);
    if (simple === undefined) return cloneParts(value, seen);
    seen.set(value, simple);
    return simple;
  };

  define("structuredClone", (...given) => {
    if (given.length === 0) throw new TypeError("structuredClone takes a value");
    const [value, options] = given;
    const seen = new Map();
    for (const buffer of options?.transfer ?? []) {
      if (!(buffer instanceof ArrayBuffer) || seen.has(buffer)) refuse("this transfer");
      seen.set(buffer, buffer.transfer());
    }
    return clone(value, seen);
  });
};
