// The request is read from the host at first use, and so are the bytes of its body. Scripts that do not use
// them do not pay for them.
(host) => {
  const { defineProperties, defineProperty, freeze, getOwnPropertyDescriptor, keys } = Object;
  const { ownKeys } = Reflect;
  const { Proxy } = globalThis;
  const decoder = new TextDecoder();

  host.deepFreeze = (value) => {
    if (typeof value === "object" && value !== null) {
      for (const key of keys(value)) host.deepFreeze(value[key]);
      freeze(value);
    }
    return value;
  };

  let rawBody;
  const bytes = () => {
    if (rawBody === undefined) {
      const buffer = host.requestRawBody();
      rawBody = buffer instanceof ArrayBuffer ? new Uint8Array(buffer) : null;
    }
    return rawBody;
  };
  const text = () => {
    const body = bytes();
    return body === null ? null : decoder.decode(body);
  };

  // If the page asks for a cache, what the visitor decides stays on the host until the script reads it. The host
  // then knows that the page depends on it. Scripts see the same request all the same.
  const HIDDEN = "sluice:hidden";
  const OF_HEADERS = "headers.";

  // The headers. `known` has those that are part of the cache's key.
  const headersOf = (known, hidden) => {
    let all;
    const read = (name) => (all ??= host.deepFreeze(host.requestRead(OF_HEADERS + name)));
    const having = (name) => {
      if (all !== undefined) return all;
      for (let i = 0; i < hidden.length; i++) if (hidden[i] === name) return read(name);
      return known;
    };
    const refuse = () => false;
    return new Proxy({}, {
      get: (_, name) => having(name)[name],
      has: (_, name) => name in having(name),
      ownKeys: () => ownKeys(read("*")),
      getOwnPropertyDescriptor: (_, name) => {
        const found = getOwnPropertyDescriptor(having(name), name);
        if (found !== undefined) found.configurable = true;
        return found;
      },
      set: refuse,
      defineProperty: refuse,
      deleteProperty: refuse,
      setPrototypeOf: refuse,
    });
  };

  const hide = (value, parts) => {
    const headers = [];
    for (let i = 0; i < parts.length; i++) {
      const name = parts[i];
      if (name.slice(0, OF_HEADERS.length) === OF_HEADERS) {
        headers[headers.length] = name.slice(OF_HEADERS.length);
        continue;
      }
      let part;
      const get = () => {
        if (part === undefined) part = host.deepFreeze(host.requestRead(name));
        return part;
      };
      defineProperty(value, name, { get, enumerable: true });
    }
    if (headers.length > 0) value.headers = headersOf(value.headers, headers);
  };

  let request;
  const read = () => {
    const value = host.requestRead("");
    const hidden = value[HIDDEN];
    // They are no part of what `JSON.stringify(request)` gives.
    defineProperties(value, { rawBody: { get: bytes }, text: { value: text } });
    // Only requests with files bring a list.
    if (value.files === undefined) defineProperty(value, "files", { value: [] });
    if (hidden === undefined) return host.deepFreeze(value);
    delete value[HIDDEN];
    for (const key of keys(value)) host.deepFreeze(value[key]);
    hide(value, hidden);
    return freeze(value);
  };
  defineProperty(globalThis, "request", { get: () => (request ??= read()), enumerable: true });
};
