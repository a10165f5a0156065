(host, define) => {
  const PARTS = ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];
  const text = (value) => String(value).toWellFormed();
  const query = (value) => text(value).replace(/^\?/, "");

  // Returns pairs of the argument of the constructor: text, pairs or an object.
  const pairsOf = (init) => {
    if (init === undefined || init === null) return [];
    if (typeof init !== "object" && typeof init !== "function") return parsed(query(init));
    if (typeof init[Symbol.iterator] !== "function") {
      return Object.keys(init).map((name) => [text(name), text(init[name])]);
    }
    return Array.from(init, (pair) => {
      const both = [...pair];
      if (both.length !== 2) throw new TypeError("URLSearchParams: each pair has a name and a value");
      return both.map(text);
    });
  };
  const parsed = (form) => {
    const flat = host.formParse(form);
    const pairs = [];
    for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i], flat[i + 1]]);
    return pairs;
  };

  let attach;
  let replace;
  class URLSearchParams {
    #pairs;
    #changed = () => {};
    static {
      attach = (params, changed) => {
        params.#changed = changed;
      };
      replace = (params, form) => {
        params.#pairs = parsed(form);
      };
    }
    constructor(init) {
      this.#pairs = pairsOf(init);
    }
    get size() {
      return this.#pairs.length;
    }
    append(name, value) {
      this.#pairs.push([text(name), text(value)]);
      this.#changed();
    }
    delete(name, value) {
      name = text(name);
      this.#pairs = this.#pairs.filter(([n, v]) => n !== name || (value !== undefined && v !== text(value)));
      this.#changed();
    }
    get(name) {
      name = text(name);
      return this.#pairs.find(([n]) => n === name)?.[1] ?? null;
    }
    getAll(name) {
      name = text(name);
      return this.#pairs.filter(([n]) => n === name).map(([, v]) => v);
    }
    has(name, value) {
      name = text(name);
      return this.#pairs.some(([n, v]) => n === name && (value === undefined || v === text(value)));
    }
    set(name, value) {
      name = text(name);
      const at = this.#pairs.findIndex(([n]) => n === name);
      if (at < 0) return this.append(name, value);
      this.#pairs[at] = [name, text(value)];
      this.#pairs = this.#pairs.filter(([n], i) => n !== name || i === at);
      this.#changed();
    }
    sort() {
      this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      this.#changed();
    }
    forEach(callback, self) {
      for (const [name, value] of this) callback.call(self, value, name, this);
    }
    *entries() {
      for (let i = 0; i < this.#pairs.length; i++) yield [...this.#pairs[i]];
    }
    *keys() {
      for (const [name] of this) yield name;
    }
    *values() {
      for (const [, value] of this) yield value;
    }
    [Symbol.iterator]() {
      return this.entries();
    }
    toString() {
      return host.formSerialize(this.#pairs.flat());
    }
  }

  class URL {
    #parts;
    #params;
    constructor(url, base) {
      const given = text(url);
      this.#parts = host.urlParse(given, base === undefined ? undefined : text(base));
      if (!this.#parts) throw new TypeError(`Invalid URL: ${given.slice(0, 200)}`);
    }
    static canParse(url, base) {
      return URL.parse(url, base) !== null;
    }
    static parse(url, base) {
      try {
        return new URL(url, base);
      } catch {
        return null;
      }
    }
    get searchParams() {
      if (!this.#params) {
        const params = new URLSearchParams(this.search);
        attach(params, () => {
          this.#parts = host.urlSet(this.href, "search", params.toString());
        });
        this.#params = params;
      }
      return this.#params;
    }
    toString() {
      return this.href;
    }
    toJSON() {
      return this.href;
    }
    static {
      const set = (url, part, value) => {
        if (part === "href") {
          const parts = host.urlParse(value, undefined);
          if (!parts) throw new TypeError(`Invalid URL: ${value.slice(0, 200)}`);
          url.#parts = parts;
        } else {
          url.#parts = host.urlSet(url.href, part, value);
        }
        if (url.#params) replace(url.#params, query(url.search));
      };
      PARTS.forEach((part, index) => {
        Object.defineProperty(URL.prototype, part, {
          get() {
            return this.#parts[index];
          },
          set: part === "origin" ? undefined : function (value) {
            set(this, part, text(value));
          },
          enumerable: true,
        });
      });
    }
  }

  for (const Class of [URL, URLSearchParams]) {
    Object.defineProperty(Class.prototype, Symbol.toStringTag, { value: Class.name });
    define(Class.name, Class);
  }
};
