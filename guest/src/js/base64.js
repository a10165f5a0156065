(host, define) => {
  const refuse = (call, message) => {
    throw host.domException("InvalidCharacterError", `${call}: ${message}`);
  };
  const given = (call, count) => {
    if (count === 0) throw new TypeError(`${call} takes one argument`);
  };
  define("btoa", (...values) => {
    given("btoa", values.length);
    const text = String(values[0]);
    const encoded = text.isWellFormed() ? host.base64Encode(text) : undefined;
    return encoded ?? refuse("btoa", "the text has a character above U+00FF");
  });
  define("atob", (...values) => {
    given("atob", values.length);
    const text = String(values[0]);
    const decoded = text.isWellFormed() ? host.base64Decode(text) : undefined;
    return decoded ?? refuse("atob", "the text is not base64");
  });
};
