// The request is read from the host at first use, and so are the bytes of its body. Scripts that do not use
// them do not pay for them.
(host) => {
  const { defineProperties, defineProperty, freeze, keys } = Object;
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

  let request;
  const read = () => {
    const value = host.requestRead();
    // They are no part of what `JSON.stringify(request)` gives.
    defineProperties(value, { rawBody: { get: bytes }, text: { value: text } });
    // Only requests with files bring a list.
    if (value.files === undefined) defineProperty(value, "files", { value: [] });
    return host.deepFreeze(value);
  };
  defineProperty(globalThis, "request", { get: () => (request ??= read()), enumerable: true });
};
