
// --- web standards ----------------------------------------------------------------------

type SluiceBytes = ArrayBuffer | ArrayBufferView;
type SluiceHash = "SHA-256" | "SHA-384" | "SHA-512";

/** A key of `crypto.subtle`. */
declare class CryptoKey {
  private constructor();
  readonly type: string;
  readonly extractable: boolean;
  readonly algorithm: object;
  readonly usages: readonly string[];
}

/** Random numbers, digests and HMAC. */
declare const crypto: {
  getRandomValues<T extends ArrayBufferView>(array: T): T;
  /** Returns a random UUID, version 4. */
  randomUUID(): string;
  readonly subtle: {
    digest(algorithm: SluiceHash | { name: SluiceHash }, data: SluiceBytes): Promise<ArrayBuffer>;
    importKey(
      format: "raw",
      keyData: SluiceBytes,
      algorithm: { name: "HMAC"; hash: SluiceHash | { name: SluiceHash } },
      extractable: boolean,
      usages: ("sign" | "verify")[],
    ): Promise<CryptoKey>;
    sign(algorithm: "HMAC" | { name: "HMAC" }, key: CryptoKey, data: SluiceBytes): Promise<ArrayBuffer>;
    verify(algorithm: "HMAC" | { name: "HMAC" }, key: CryptoKey, signature: SluiceBytes, data: SluiceBytes): Promise<boolean>;
  };
};

/** A URL and its parts. */
declare class URL {
  constructor(url: string | URL, base?: string | URL);
  static canParse(url: string | URL, base?: string | URL): boolean;
  static parse(url: string | URL, base?: string | URL): URL | null;
  href: string;
  readonly origin: string;
  protocol: string;
  username: string;
  password: string;
  host: string;
  hostname: string;
  port: string;
  pathname: string;
  search: string;
  readonly searchParams: URLSearchParams;
  hash: string;
  toString(): string;
  toJSON(): string;
}

/** The parameters of a query. */
declare class URLSearchParams {
  constructor(init?: string | Record<string, string> | Iterable<[string, string]> | URLSearchParams);
  readonly size: number;
  append(name: string, value: string): void;
  delete(name: string, value?: string): void;
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string, value?: string): boolean;
  set(name: string, value: string): void;
  sort(): void;
  forEach(callback: (value: string, name: string, parent: URLSearchParams) => void): void;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  entries(): IterableIterator<[string, string]>;
  [Symbol.iterator](): IterableIterator<[string, string]>;
  toString(): string;
}

/** Encodes text as UTF-8. */
declare class TextEncoder {
  readonly encoding: "utf-8";
  encode(text?: string): Uint8Array;
}

/** Decodes text from UTF-8. */
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  readonly encoding: string;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  decode(bytes?: SluiceBytes, options?: { stream?: boolean }): string;
}

/** The errors of `atob`, `structuredClone` and `crypto`. */
declare class DOMException extends Error {
  constructor(message?: string, name?: string);
  readonly code: number;
}

/** The engine's own errors: `out of memory`. */
declare class InternalError extends Error {}

/** Calls a function after the current code has ended. */
declare function queueMicrotask(callback: () => void): void;
/** Encodes bytes as base64. Each character of the text is one byte. */
declare function btoa(text: string): string;
/** Decodes base64 to bytes. Each character of the result is one byte. */
declare function atob(text: string): string;
/** Returns a deep copy. */
declare function structuredClone<T>(value: T): T;

// --- calls to other servers ---------------------------------------------------------------

type SluiceHeadersInit = Headers | Record<string, string | null | undefined> | Iterable<readonly [string, string]>;
type SluiceBody = string | ArrayBuffer | ArrayBufferView | URLSearchParams;

/** Headers of a call or of a response. Names are in lower case. */
declare class Headers implements Iterable<[string, string]> {
  constructor(init?: SluiceHeadersInit);
  append(name: string, value: string): void;
  set(name: string, value: string): void;
  delete(name: string): void;
  has(name: string): boolean;
  get(name: string): string | null;
  getSetCookie(): string[];
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  forEach(visit: (value: string, name: string, headers: Headers) => void, self?: unknown): void;
  [Symbol.iterator](): IterableIterator<[string, string]>;
}

/** Ends a call after a time. */
declare class AbortSignal {
  private constructor();
  static timeout(milliseconds: number): AbortSignal;
  readonly aborted: boolean;
}

/** The response of another server. */
declare class Response {
  private constructor();
  readonly status: number;
  /** Whether the status is 200 to 299. */
  readonly ok: boolean;
  readonly statusText: string;
  /** The URL that answered. */
  readonly url: string;
  readonly redirected: boolean;
  readonly headers: Headers;
  readonly bodyUsed: boolean;
  text(): Promise<string>;
  json(): Promise<any>;
  bytes(): Promise<Uint8Array>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

interface SluiceFetchOptions {
  method?: string;
  headers?: SluiceHeadersInit;
  body?: SluiceBody | null;
  /** What a redirect does. Up to five are followed by default. */
  redirect?: "follow" | "manual" | "error";
  signal?: AbortSignal | null;
}

/**
 * Calls another server, which `[http] allow` in `brand.toml` must name. Several calls are under way at the same
 * time. The promise is rejected with a `TypeError` if there is no response.
 */
declare function fetch(url: string | URL, options?: SluiceFetchOptions): Promise<Response>;

interface SluiceHttpResponse {
  /** The status; 0 if there was no answer. */
  readonly status: number;
  /** Names in lower case. `set-cookie` is a list. */
  readonly headers: Readonly<Record<string, any>>;
  readonly body: string;
  /** Why there was no answer. */
  readonly error?: string;
}

/** Calls other servers and waits for each response. A body that is no text is sent as JSON. */
interface SluiceHttp {
  get(url: string | URL, headers?: SluiceHeadersInit): SluiceHttpResponse;
  post(url: string | URL, body?: unknown, headers?: SluiceHeadersInit): SluiceHttpResponse;
  put(url: string | URL, body?: unknown, headers?: SluiceHeadersInit): SluiceHttpResponse;
  patch(url: string | URL, body?: unknown, headers?: SluiceHeadersInit): SluiceHttpResponse;
  delete(url: string | URL, body?: unknown, headers?: SluiceHeadersInit): SluiceHttpResponse;
}

declare const http: SluiceHttp;
