// structuredClone of the HTML standard, for the types that exist here. host.clone does the same,
// but keeps values that the standard rejects.
(host, define) => {
  const { isArray } = Array;
  const { keys, hasOwn, defineProperty, getPrototypeOf } = Object;
  const isView = ArrayBuffer.isView;
  const NATIVE_ERRORS = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];
  const ERRORS = new Map(NATIVE_ERRORS.map((Class) => [Class.name, Class]));
  const BOXES = [Boolean, Number, String, BigInt];
  const UNCLONABLE = [Promise, WeakMap, WeakSet, WeakRef, Symbol];

  const refuse = (what) => {
    throw host.domException("DataCloneError", `structuredClone: ${what} cannot be cloned`);
  };
  const put = (object, key, value) =>
    defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });

  const cloneError = (error, walk) => {
    const Class = ERRORS.get(error.name) ?? Error;
    const copy = new Class(String(error.message));
    walk.seen.set(error, copy);
    for (const key of ["stack", "cause"]) {
      if (hasOwn(error, key)) {
        const value = key === "stack" ? error.stack : clone(error.cause, walk);
        defineProperty(copy, key, { value, writable: true, configurable: true });
      }
    }
    return copy;
  };

  const cloneView = (view, walk) => {
    const buffer = clone(view.buffer, walk);
    return view instanceof DataView
      ? new DataView(buffer, view.byteOffset, view.byteLength)
      : new view.constructor(buffer, view.byteOffset, view.length);
  };

  // Copies a value without parts. Returns undefined for other values.
  const cloneSimple = (value, walk) => {
    if (value instanceof Date) return new Date(value.getTime());
    if (value instanceof RegExp) return new RegExp(value.source, value.flags);
    if (value instanceof ArrayBuffer) return value.slice(0);
    if (isView(value)) return cloneView(value, walk);
    if (BOXES.some((Box) => value instanceof Box)) return Object(value.valueOf());
    return undefined;
  };

  const cloneObject = (object, walk) => {
    const copy = {};
    walk.seen.set(object, copy);
    for (const key of keys(object)) put(copy, key, clone(object[key], walk));
    return copy;
  };

  const cloneArray = (array, walk) => {
    const copy = [];
    walk.seen.set(array, copy);
    // QuickJS stores an array compactly only if it grows at its end.
    while (hasOwn(array, copy.length)) copy.push(clone(array[copy.length], walk));
    // Elements after a hole, and properties that are not elements.
    for (const key of keys(array).slice(copy.length)) put(copy, key, clone(array[key], walk));
    copy.length = array.length;
    return copy;
  };

  // An instance of a class, which may be a built-in one.
  const cloneInstance = (value, walk) => {
    const simple = cloneSimple(value, walk);
    if (simple !== undefined) {
      walk.seen.set(value, simple);
      return simple;
    }
    if (value instanceof Error) return cloneError(value, walk);
    if (value instanceof Map) {
      const copy = new Map();
      walk.seen.set(value, copy);
      for (const [key, item] of [...value]) copy.set(clone(key, walk), clone(item, walk));
      return copy;
    }
    if (value instanceof Set) {
      const copy = new Set();
      walk.seen.set(value, copy);
      for (const item of [...value]) copy.add(clone(item, walk));
      return copy;
    }
    return cloneObject(value, walk);
  };

  // `walk.seen` maps each object to its copy.
  const clone = (value, walk) => {
    if (typeof value === "symbol") return walk.refuse("a symbol", value);
    if (typeof value === "function") return walk.refuse(`the function ${value.name || "(anonymous)"}`, value);
    if (typeof value !== "object" || value === null) return value;
    if (walk.seen.has(value)) return walk.seen.get(value);
    if (isArray(value)) return cloneArray(value, walk);
    // The most frequent case, before the many classes are tested.
    if (getPrototypeOf(value) === Object.prototype) return cloneObject(value, walk);
    const unclonable = UNCLONABLE.find((Class) => value instanceof Class);
    return unclonable ? walk.refuse(`a ${unclonable.name}`, value) : cloneInstance(value, walk);
  };

  host.clone = (value) => clone(value, { seen: new Map(), refuse: (_, kept) => kept });

  define("structuredClone", (...given) => {
    if (given.length === 0) throw new TypeError("structuredClone takes a value");
    const [value, options] = given;
    const seen = new Map();
    for (const buffer of options?.transfer ?? []) {
      if (!(buffer instanceof ArrayBuffer) || seen.has(buffer)) refuse("this transfer");
      seen.set(buffer, buffer.transfer());
    }
    return clone(value, { seen, refuse });
  });
};
