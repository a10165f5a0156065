// crypto: random bytes, digests and HMAC of the Web Crypto standard.
(host, define) => {
  const HASHES = ["SHA-256", "SHA-384", "SHA-512"];
  const BLOCK_BYTES = { "SHA-256": 64, "SHA-384": 128, "SHA-512": 128 };
  const RANDOM_BYTES_MAX = 65536;
  const FLOATS = ["Float16Array", "Float32Array", "Float64Array"];
  const TypedArray = Object.getPrototypeOf(Uint8Array);
  const { freeze } = Object;

  const fail = (name, message) => {
    throw host.domException(name, message);
  };
  const bytesOf = (call, data) => {
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    throw new TypeError(`${call} takes an ArrayBuffer, a typed array or a DataView`);
  };
  const nameOf = (algorithm) =>
    String(typeof algorithm === "object" && algorithm !== null ? algorithm.name : algorithm).toUpperCase();
  const hashOf = (call, algorithm) => {
    const name = nameOf(algorithm);
    if (HASHES.includes(name)) return name;
    return fail("NotSupportedError", `${call}: there are ${HASHES.join(", ")}, not ${name}`);
  };
  const hmacOnly = (call, algorithm) => {
    const name = nameOf(algorithm);
    if (name !== "HMAC") fail("NotSupportedError", `${call}: there is HMAC, not ${name}`);
  };
  const usagesOf = (call, usages) => {
    const given = [...usages];
    const fit = given.length > 0 && given.every((usage) => usage === "sign" || usage === "verify");
    if (!fit) throw new SyntaxError(`${call}: the usages of an HMAC key are "sign" and "verify"`);
    return freeze(given);
  };

  const OWN = {};
  let secretOf;
  class CryptoKey {
    #secret;
    constructor(own, secret, hash, extractable, usages) {
      if (own !== OWN) throw new TypeError("CryptoKey: use crypto.subtle.importKey or generateKey");
      this.#secret = secret;
      this.type = "secret";
      this.extractable = Boolean(extractable);
      this.algorithm = freeze({ name: "HMAC", hash: freeze({ name: hash }), length: secret.length * 8 });
      this.usages = usages;
      freeze(this);
    }
    static {
      secretOf = (call, key, usage) => {
        if (typeof key !== "object" || key === null || !(#secret in key)) {
          throw new TypeError(`${call} takes a CryptoKey`);
        }
        if (usage && !key.usages.includes(usage)) {
          fail("InvalidAccessError", `${call}: this key is not for "${usage}"`);
        }
        return key.#secret;
      };
    }
  }
  Object.defineProperty(CryptoKey.prototype, Symbol.toStringTag, { value: "CryptoKey" });

  const subtle = {
    async digest(algorithm, data) {
      const hash = hashOf("crypto.subtle.digest", algorithm);
      return host.digest(hash, bytesOf("crypto.subtle.digest", data));
    },
    async importKey(format, data, algorithm, extractable, usages) {
      const call = "crypto.subtle.importKey";
      hmacOnly(call, algorithm);
      if (format !== "raw") fail("NotSupportedError", `${call}: there is the format "raw", not "${format}"`);
      const secret = bytesOf(call, data).slice();
      if (secret.length === 0) fail("DataError", `${call}: the key is empty`);
      return new CryptoKey(OWN, secret, hashOf(call, algorithm.hash), extractable, usagesOf(call, usages));
    },
    async generateKey(algorithm, extractable, usages) {
      const call = "crypto.subtle.generateKey";
      hmacOnly(call, algorithm);
      const hash = hashOf(call, algorithm.hash);
      const bytes = algorithm.length === undefined ? BLOCK_BYTES[hash] : Number(algorithm.length) / 8;
      if (!Number.isInteger(bytes) || bytes < 1 || bytes > RANDOM_BYTES_MAX) {
        fail("OperationError", `${call}: the length is a number of bits, in whole bytes`);
      }
      return new CryptoKey(OWN, new Uint8Array(host.randomBytes(bytes)), hash, extractable, usagesOf(call, usages));
    },
    async exportKey(format, key) {
      const call = "crypto.subtle.exportKey";
      const secret = secretOf(call, key);
      if (format !== "raw") fail("NotSupportedError", `${call}: there is the format "raw", not "${format}"`);
      if (!key.extractable) fail("InvalidAccessError", `${call}: this key is not extractable`);
      return secret.slice().buffer;
    },
    async sign(algorithm, key, data) {
      const call = "crypto.subtle.sign";
      hmacOnly(call, algorithm);
      return host.hmacSign(key?.algorithm?.hash?.name ?? "", secretOf(call, key, "sign"), bytesOf(call, data));
    },
    async verify(algorithm, key, signature, data) {
      const call = "crypto.subtle.verify";
      hmacOnly(call, algorithm);
      const secret = secretOf(call, key, "verify");
      return host.hmacVerify(key.algorithm.hash.name, secret, bytesOf(call, signature), bytesOf(call, data));
    },
  };

  const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
  define("CryptoKey", CryptoKey);
  define("crypto", {
    subtle: freeze(subtle),
    getRandomValues(array) {
      if (!(array instanceof TypedArray) || FLOATS.includes(array[Symbol.toStringTag])) {
        fail("TypeMismatchError", "crypto.getRandomValues takes an integer typed array");
      }
      if (array.byteLength > RANDOM_BYTES_MAX) {
        fail("QuotaExceededError", `crypto.getRandomValues fills at most ${RANDOM_BYTES_MAX} bytes`);
      }
      bytesOf("crypto.getRandomValues", array).set(new Uint8Array(host.randomBytes(array.byteLength)));
      return array;
    },
    randomUUID() {
      const bytes = new Uint8Array(host.randomBytes(16));
      bytes[6] = (bytes[6] & 0x0f) | 0x40;
      bytes[8] = (bytes[8] & 0x3f) | 0x80;
      const hex = [...bytes].map((byte) => HEX[byte]).join("");
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
    },
  });
};
