// HTTP calls to other servers. `fetch` begins a call and returns a Promise; `http` waits for the response.
// The host checks every call. When no other job is left, the engine waits for one of the calls of which a
// Promise is pending, so several of them are under way at the same time.
(host, define) => {
  const { stringify, parse } = JSON;
  const { keys, defineProperty, getPrototypeOf } = Object;
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  const REDIRECTS = ["follow", "manual", "error"];
  const OWN = {};

  const text = (call, what, value) => {
    if (value instanceof Promise) throw host.missingAwait(call, what);
    if (typeof value === "symbol") throw new TypeError(`${call}: ${what} is a symbol`);
    return String(value).toWellFormed();
  };
  const isObject = (value) => typeof value === "object" && value !== null;
  const isPlain = (value) => {
    if (!isObject(value)) return false;
    const prototype = getPrototypeOf(value);
    return prototype === null || getPrototypeOf(prototype) === null;
  };

  // --- Headers ---

  let listOf;
  class Headers {
    #list = [];
    constructor(init) {
      for (const [name, value] of pairsOf("Headers", init)) this.append(name, value);
    }
    static {
      listOf = (headers) => headers.#list;
    }
    #nameOf(name) {
      return text("Headers", "a name", name).toLowerCase();
    }
    append(name, value) {
      this.#list.push([this.#nameOf(name), text("Headers", "a value", value).trim()]);
    }
    set(name, value) {
      this.delete(name);
      this.append(name, value);
    }
    delete(name) {
      name = this.#nameOf(name);
      this.#list = this.#list.filter(([known]) => known !== name);
    }
    has(name) {
      name = this.#nameOf(name);
      return this.#list.some(([known]) => known === name);
    }
    get(name) {
      name = this.#nameOf(name);
      const values = this.#list.filter(([known]) => known === name);
      return values.length > 0 ? values.map(([, value]) => value).join(", ") : null;
    }
    getSetCookie() {
      return this.#list.filter(([name]) => name === "set-cookie").map(([, value]) => value);
    }
    *entries() {
      const names = [...new Set(this.#list.map(([name]) => name))].sort();
      for (const name of names) {
        if (name === "set-cookie") {
          for (const value of this.getSetCookie()) yield [name, value];
        } else {
          yield [name, this.get(name)];
        }
      }
    }
    *keys() {
      for (const [name] of this.entries()) yield name;
    }
    *values() {
      for (const [, value] of this.entries()) yield value;
    }
    forEach(visit, self) {
      for (const [name, value] of this.entries()) visit.call(self, value, name, this);
    }
    [Symbol.iterator]() {
      return this.entries();
    }
  }
  defineProperty(Headers.prototype, Symbol.toStringTag, { value: "Headers" });

  // The pairs in what a script gives as headers: Headers, pairs or an object.
  const pairsOf = (call, init) => {
    if (init === undefined || init === null) return [];
    if (init instanceof Headers) return listOf(init);
    if (!isObject(init)) throw new TypeError(`${call}: headers must be an object, not ${typeof init}`);
    if (init instanceof Promise) throw host.missingAwait(call, "headers");
    if (typeof init[Symbol.iterator] !== "function") return keys(init).map((name) => [name, init[name]]);
    return Array.from(init, (pair) => {
      if (!isObject(pair) || pair.length !== 2) throw new TypeError(`${call}: each header is a name and a value`);
      return pair;
    });
  };

  // --- AbortSignal ---

  let timeOf;
  class AbortSignal {
    #ms;
    constructor(own, ms) {
      if (own !== OWN) throw new TypeError("AbortSignal: use AbortSignal.timeout(milliseconds)");
      this.#ms = ms;
    }
    static {
      timeOf = (call, signal) => {
        if (signal === undefined || signal === null) return null;
        if (!isObject(signal) || !(#ms in signal)) {
          throw new TypeError(`${call}: signal must be AbortSignal.timeout(milliseconds)`);
        }
        return signal.#ms;
      };
    }
    static timeout(ms) {
      ms = Number(ms);
      if (!(ms >= 0)) throw new TypeError("AbortSignal.timeout takes a number of milliseconds");
      return new AbortSignal(OWN, Math.min(Math.floor(ms), 2 ** 31));
    }
    get aborted() {
      return false;
    }
  }
  defineProperty(AbortSignal.prototype, Symbol.toStringTag, { value: "AbortSignal" });

  // --- Response ---

  class Response {
    #head;
    #headers;
    #body;
    #isUsed = false;
    constructor(own, head, body) {
      if (own !== OWN) throw new TypeError("Response: only fetch makes responses");
      this.#head = head;
      this.#headers = new Headers(pairsOfHead(head));
      this.#body = body;
    }
    get status() {
      return this.#head.status;
    }
    get ok() {
      return this.#head.status >= 200 && this.#head.status <= 299;
    }
    get statusText() {
      return this.#head.status_text;
    }
    get url() {
      return this.#head.url;
    }
    get redirected() {
      return this.#head.redirected;
    }
    get headers() {
      return this.#headers;
    }
    get bodyUsed() {
      return this.#isUsed;
    }
    #take() {
      if (this.#isUsed) throw new TypeError("Response: the body was read already");
      this.#isUsed = true;
      const body = this.#body;
      this.#body = undefined;
      return body;
    }
    async arrayBuffer() {
      return this.#take();
    }
    async bytes() {
      return new Uint8Array(this.#take());
    }
    async text() {
      return decoder.decode(new Uint8Array(this.#take()));
    }
    async json() {
      return parse(decoder.decode(new Uint8Array(this.#take())));
    }
  }
  defineProperty(Response.prototype, Symbol.toStringTag, { value: "Response" });

  const pairsOfHead = (head) => {
    const pairs = [];
    for (let i = 0; i < head.headers.length; i += 2) pairs.push([head.headers[i], head.headers[i + 1]]);
    for (const value of head.cookies) pairs.push(["set-cookie", value]);
    return pairs;
  };

  // --- Calls ---

  const bytesOf = (data) => {
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return undefined;
  };
  // The bytes of a body, and the type that they have unless a header says otherwise.
  const bodyOf = (call, body, takesJson) => {
    if (body === undefined || body === null) return [null, null];
    if (body instanceof Promise) throw host.missingAwait(call, "the body");
    if (typeof body === "string") return [encoder.encode(body.toWellFormed()), "text/plain;charset=UTF-8"];
    if (body instanceof URLSearchParams) {
      return [encoder.encode(body.toString()), "application/x-www-form-urlencoded;charset=UTF-8"];
    }
    const bytes = bytesOf(body);
    if (bytes) return [bytes, null];
    if (takesJson) return [encoder.encode(host.json(call, body)), "application/json"];
    throw new TypeError(`${call}: the body must be a string, bytes or URLSearchParams; for JSON, use JSON.stringify`);
  };

  const begin = (call, { method, url, headers, body, redirect, timeout }, takesJson) => {
    const [bytes, type] = bodyOf(call, body, takesJson);
    const flat = [];
    let hasType = false;
    for (const [name, value] of pairsOf(call, headers)) {
      if (value === undefined || value === null) continue;
      const known = text(call, "the name of a header", name);
      hasType ||= known.toLowerCase() === "content-type";
      flat.push(known, text(call, `the header ${known}`, value));
    }
    if (type !== null && !hasType) flat.push("content-type", type);
    const options = { method, url: text(call, "the URL", url), headers: flat, redirect, timeout_ms: timeout };
    return host.httpBegin(call, options, bytes);
  };

  const faultOf = (call, { kind, error }) => {
    const message = `${call}: ${error}`;
    if (kind === "quota") return new RangeError(message);
    if (kind === "aborted") return host.domException("TimeoutError", message);
    return new TypeError(message);
  };

  // The calls of which a Promise is pending: numbers, and what settles each.
  const waiting = [];
  host.httpSettle = () => {
    if (waiting.length === 0) return false;
    const [number, head, body] = host.httpWait(waiting.map((one) => one.number));
    const at = waiting.findIndex((one) => one.number === number);
    const [{ resolve, reject }] = waiting.splice(at, 1);
    if (head.error === undefined) resolve(new Response(OWN, head, body));
    else reject(faultOf("fetch", head));
    return true;
  };

  define("fetch", (input, init) =>
    new Promise((resolve, reject) => {
      if (init !== undefined && init !== null && !isObject(init)) {
        throw new TypeError(`fetch: the second argument must be an object, not ${typeof init}`);
      }
      const { method = "GET", headers, body, redirect = "follow", signal } = init ?? {};
      if (!REDIRECTS.includes(redirect)) {
        throw new TypeError(`fetch: redirect must be "follow", "manual" or "error", not ${stringify(redirect)}`);
      }
      const timeout = timeOf("fetch", signal);
      const name = text("fetch", "the method", method);
      const number = begin("fetch", { method: name, url: input, headers, body, redirect, timeout }, false);
      waiting.push({ number, resolve, reject });
    }),
  );

  const call = (name, method, url, body, headers) => {
    const options = { method, url, headers, body, redirect: "follow", timeout: null };
    const [, head, bytes] = host.httpWait([begin(name, options, true)]);
    if (head.error !== undefined) {
      if (head.kind === "mistake" || head.kind === "quota") throw faultOf(name, head);
      return { status: 0, headers: {}, body: "", error: head.error };
    }
    const seen = {};
    for (const [key, value] of pairsOfHead(head)) {
      if (key !== "set-cookie") defineProperty(seen, key, { value, writable: true, enumerable: true, configurable: true });
    }
    if (head.cookies.length > 0) seen["set-cookie"] = head.cookies;
    return { status: head.status, headers: seen, body: decoder.decode(new Uint8Array(bytes)) };
  };
  // `post(url, {headers, body})` is understood, too.
  const isOptions = (body) => isPlain(body) && "headers" in body && keys(body).every((key) => key === "headers" || key === "body");
  const asTest = (host.asTest = (name, asked) => {
    const answer = host.variablesGet(`sluice:test ${stringify(asked)}`);
    if (answer === null) throw new TypeError(`${name} works only under \`sluice test\``);
    if (answer.error !== undefined) throw new TypeError(`${name}: ${answer.error}`);
    return answer.value;
  });
  const sending = (method) => {
    const name = `http.${method.toLowerCase()}`;
    return (url, body, headers) => {
      if (headers === undefined && isOptions(body)) return call(name, method, url, body.body, body.headers);
      return call(name, method, url, body, headers);
    };
  };
  define("http", {
    get: (url, headers) => call("http.get", "GET", url, undefined, isOptions(headers) ? headers.headers : headers),
    post: sending("POST"),
    put: sending("PUT"),
    patch: sending("PATCH"),
    delete: sending("DELETE"),
    // For tests: the response of a server that is not called, and the calls that pages have made.
    fake: (pattern, response = {}) =>
      asTest("http.fake", { call: "fake", pattern: text("http.fake", "the pattern", pattern), response }),
    calls: () => asTest("http.calls", { call: "calls" }),
  });
  define("Headers", Headers);
  define("Response", Response);
  define("AbortSignal", AbortSignal);
};
