// TextEncoder and TextDecoder are Javy's. This file adds encodeInto and makes them read-only.
(host, define) => {
  const { TextEncoder, TextDecoder } = globalThis;
  const encode = TextEncoder.prototype.encode;
  TextEncoder.prototype.encodeInto = function encodeInto(source, destination) {
    if (!(destination instanceof Uint8Array)) throw new TypeError("TextEncoder.encodeInto fills a Uint8Array");
    let read = 0;
    let written = 0;
    for (const character of String(source).toWellFormed()) {
      const bytes = encode.call(this, character);
      if (written + bytes.length > destination.length) break;
      destination.set(bytes, written);
      written += bytes.length;
      read += character.length;
    }
    return { read, written };
  };
  for (const Class of [TextEncoder, TextDecoder]) {
    delete globalThis[Class.name];
    define(Class.name, Class);
  }
};
