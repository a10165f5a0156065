// DOMException, which the web's functions throw.
(host, define) => {
  const CODES = {
    InvalidCharacterError: 5,
    NotSupportedError: 9,
    InvalidAccessError: 15,
    TypeMismatchError: 17,
    QuotaExceededError: 22,
    DataCloneError: 25,
  };

  class DOMException extends Error {
    #name;
    constructor(message = "", name = "Error") {
      super(message);
      this.#name = String(name);
    }
    get name() {
      return this.#name;
    }
    get code() {
      return CODES[this.#name] ?? 0;
    }
  }
  Object.defineProperty(DOMException.prototype, Symbol.toStringTag, { value: "DOMException" });
  host.domException = (name, message) => new DOMException(message, name);
  define("DOMException", DOMException);
};
