// Schema: chainable, immutable validators. A chained call returns a new schema,
// so a shared module can export one that no page can change for another.
//
// Input is JSON data. Other values (dates, maps, sets) are copied by structuredClone. Values that
// structuredClone rejects, such as functions, are kept as they are.
(host, define) => {
  const { isArray } = Array;
  const { freeze, defineProperty, getPrototypeOf, keys, hasOwn } = Object;

  // Each character matches in one way only, so there is no exponential backtracking.
  const NUMERIC = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;
  const EMAIL = /^[^\s@]+@[^\s@][^\s@.]*\.[^\s@]+$/;
  const WEB_URL = /^https?:\/\/[^\s/?#]+([/?#]\S*)?$/i;
  const BOOLEANS = new Map([["true", true], ["1", true], ["false", false], ["0", false]]);

  const isMissing = (value) => value === undefined || value === null || value === "";
  const isPlain = (value) => typeof value === "object" && value !== null && !isArray(value);
  // An own key in any case: `__proto__` in the input must not become a prototype.
  const put = (object, key, value) =>
    defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  const clone = (value) => (typeof value === "object" && value !== null ? host.clone(value) : value);
  const isJson = (value) => isArray(value) || getPrototypeOf(value) === Object.prototype;
  // Lists, objects and dates are equal if their contents are. Other clones are never equal.
  const same = (a, b) => {
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
    if (a instanceof Date && b instanceof Date) return same(a.getTime(), b.getTime());
    if (!isJson(a) || !isJson(b) || isArray(a) !== isArray(b)) return false;
    if (isArray(a) && a.length !== b.length) return false;
    const names = keys(a);
    return names.length === keys(b).length && names.every((key) => hasOwn(b, key) && same(a[key], b[key]));
  };
  const show = (value) => (typeof value === "string" ? value : host.format([value]));

  // Each type turns its input into its value, or returns undefined.
  const coerce = {
    any: (value) => value,
    string: (value) => (typeof value === "string" ? value : undefined),
    number: (value) => {
      const number = typeof value === "string" && NUMERIC.test(value.trim()) ? Number(value) : value;
      return typeof number === "number" && Number.isFinite(number) ? number : undefined;
    },
    boolean: (value) => (typeof value === "boolean" ? value : BOOLEANS.get(value)),
    array: (value) => (isArray(value) ? value : undefined),
    object: (value) => (isPlain(value) ? value : undefined),
  };
  const article = { string: "text", number: "a number", boolean: "true or false", array: "a list", object: "an object" };

  class Builder {
    #kind;
    #rules;

    constructor(kind, rules) {
      this.#kind = kind;
      this.#rules = rules;
      freeze(this);
    }

    #with(change) {
      return new Builder(this.#kind, { ...this.#rules, ...change });
    }

    #only(method, ...kinds) {
      if (!kinds.includes(this.#kind)) {
        throw new TypeError(`Schema.${this.#kind}() has no ${method}()`);
      }
    }

    #check(test, message) {
      return this.#with({ checks: [...this.#rules.checks, { test, message }] });
    }

    required() {
      return this.#with({ required: true });
    }

    optional() {
      return this.#with({ required: false });
    }

    default(value) {
      return this.#with({ fallback: { value: clone(value) } });
    }

    label(text) {
      return this.#with({ label: String(text) });
    }

    strip() {
      return this.#with({ strip: true });
    }

    valid(...values) {
      const allowed = clone(values);
      const isAllowed = (value) => allowed.some((one) => same(one, value));
      return this.#check(isAllowed, () => `must be one of: ${allowed.map(show).join(", ")}`);
    }

    min(n) {
      this.#only("min", "string", "number", "array");
      if (this.#kind === "number") return this.#check((value) => value >= n, () => `must be at least ${n}`);
      const unit = this.#kind === "string" ? "characters" : "items";
      return this.#check((value) => value.length >= n, () => `must have at least ${n} ${unit}`);
    }

    max(n) {
      this.#only("max", "string", "number", "array");
      if (this.#kind === "number") return this.#check((value) => value <= n, () => `must be at most ${n}`);
      const unit = this.#kind === "string" ? "characters" : "items";
      return this.#check((value) => value.length <= n, () => `must have at most ${n} ${unit}`);
    }

    email() {
      this.#only("email", "string");
      return this.#check((value) => EMAIL.test(value), () => "must be an email address");
    }

    url() {
      this.#only("url", "string");
      const parses = (value) => host.urlParse(value.toWellFormed(), undefined) !== undefined;
      const isWebUrl = (value) => WEB_URL.test(value) && parses(value);
      return this.#check(isWebUrl, () => "must be a web address (http or https)");
    }

    pattern(re) {
      this.#only("pattern", "string");
      // A copy without flags g and y, whose `lastIndex` is state between calls.
      const expression = new RegExp(re.source, re.flags.replace(/[gy]/g, ""));
      return this.#check((value) => expression.test(value), () => "must match the required pattern");
    }

    lowercase() {
      this.#only("lowercase", "string");
      return this.#check((value) => value === value.toLowerCase(), () => "must be lower-case");
    }

    integer() {
      this.#only("integer", "number");
      return this.#check(Number.isInteger, () => "must be a whole number");
    }

    positive() {
      this.#only("positive", "number");
      return this.#check((value) => value > 0, () => "must be greater than 0");
    }

    negative() {
      this.#only("negative", "number");
      return this.#check((value) => value < 0, () => "must be less than 0");
    }

    items(schema) {
      this.#only("items", "array");
      return this.#with({ items: asBuilder(schema, "items") });
    }

    pattern_values(schema) {
      this.#only("pattern_values", "object");
      return this.#with({ rest: asBuilder(schema, "pattern_values") });
    }

    custom(fn) {
      if (typeof fn !== "function") throw new TypeError("custom() takes a function");
      return this.#with({ checks: [...this.#rules.checks, { custom: fn }] });
    }

    // A missing object is read like `{}`, so each required key in it is reported by name. A body
    // that is not valid JSON is null, and must not pass as valid.
    validate(input) {
      const errors = [];
      const { required, fallback } = this.#rules;
      const isAbsentObject = this.#kind === "object" && isMissing(input) && !required && !fallback;
      const value = this.#read(isAbsentObject ? {} : input, "", errors);
      return { valid: errors.length === 0, value, errors };
    }

    // The default value. Nested schemas add their own defaults and report what is missing.
    #readFallback(path, errors) {
      const value = clone(this.#rules.fallback.value);
      if (this.#kind === "array" && isArray(value)) return this.#readItems(value, path, errors);
      if (this.#kind === "object" && isPlain(value) && isJson(value)) return this.#readKeys(value, path, errors);
      return value;
    }

    // Returns the checked copy of `input`, and adds its mistakes to `errors`.
    #read(input, path, errors) {
      const { required, fallback, label, checks } = this.#rules;
      const name = label ?? (path || "value");
      if (isMissing(input)) {
        if (fallback) return this.#readFallback(path, errors);
        if (required) errors.push(`${name} is required`);
        // An empty string that is not required is a valid string.
        return input === "" && this.#kind === "string" ? "" : undefined;
      }
      let value = coerce[this.#kind](input);
      if (value === undefined) {
        errors.push(`${name} must be ${article[this.#kind]}`);
        return undefined;
      }
      if (this.#kind === "array") value = this.#readItems(value, path, errors);
      else if (this.#kind === "object") value = this.#readKeys(value, path, errors);
      else value = clone(value);
      for (const { test, message, custom } of checks) {
        if (custom) {
          const complaint = custom(value, name);
          if (complaint) errors.push(startsWith(String(complaint), name));
        } else if (!test(value)) {
          errors.push(`${name} ${message()}`);
        }
      }
      return value;
    }

    #readItems(list, path, errors) {
      const { items } = this.#rules;
      if (!items) return clone(list);
      const values = [];
      // `map` would skip holes.
      for (let index = 0; index < list.length; index++) {
        values.push(items.#read(list[index], path ? `${path}.${index}` : String(index), errors));
      }
      return items.#rules.strip ? [] : values;
    }

    #readKeys(object, path, errors) {
      const { map, rest } = this.#rules;
      const output = {};
      const read = (schema, key) => {
        const value = schema.#read(hasOwn(object, key) ? object[key] : undefined, path ? `${path}.${key}` : key, errors);
        if (value !== undefined && !schema.#rules.strip) put(output, key, value);
      };
      if (!map && !rest) return clone(object);
      for (const key of keys(map ?? {})) read(map[key], key);
      if (rest) {
        for (const key of keys(object)) if (!map || !hasOwn(map, key)) read(rest, key);
      }
      return output;
    }
  }

  // Compares whole words: "too long" does not start with the name "to". Letters without upper
  // case also end a word, because many scripts with such letters have no spaces between words.
  const isWordPart = (character) => character.toLowerCase() !== character.toUpperCase() || /\w/.test(character);
  const startsWith = (complaint, name) =>
    complaint.startsWith(name) && !isWordPart(complaint.charAt(name.length)) ? complaint : `${name} ${complaint}`;

  const asBuilder = (schema, where) => {
    if (!(schema instanceof Builder)) throw new TypeError(`${where} takes a Schema`);
    return schema;
  };

  const start = (kind, rules = {}) => new Builder(kind, { required: false, checks: [], ...rules });

  define("Schema", {
    string: () => start("string"),
    number: () => start("number"),
    boolean: () => start("boolean"),
    array: () => start("array"),
    any: () => start("any"),
    object: (map) => {
      if (map === undefined) return start("object");
      if (!isPlain(map)) throw new TypeError("Schema.object takes an object of schemas");
      const copy = {};
      for (const key of keys(map)) put(copy, key, asBuilder(map[key], `Schema.object: ${key}`));
      return start("object", { map: freeze(copy) });
    },
  });

  // Scripts must not change the validators of other modules.
  freeze(Builder.prototype);
  freeze(Builder);
};
