// The globals of backend scripts. They are read-only: a script cannot replace or change them.

// --- the request ------------------------------------------------------------------------

/** What the visitor sent, deeply frozen. */
interface SluiceRequest {
  readonly method: "GET" | "HEAD" | "POST";
  /** The page's path, decoded: `/weight/checkin`. */
  readonly path: string;
  /** Query parameters; one that is repeated has its last value. */
  readonly query: Readonly<Record<string, string>>;
  /** Query parameters with all their values. */
  readonly queries: Readonly<Record<string, readonly string[]>>;
  /** Four headers reach scripts; one that was not sent is not there. */
  readonly headers: {
    readonly "user-agent"?: string;
    readonly referer?: string;
    readonly "accept-language"?: string;
    readonly host?: string;
  };
  /** The visitor's cookies, percent-encoding undone. Session cookies are left out. */
  readonly cookies: Readonly<Record<string, string>>;
  /**
   * A POST with `application/json` and at most 64 KB: the parsed value. Anything else: `null`.
   * Fields of HTML forms where `brand.toml` says `form_bodies = true`.
   *
   * It can hold anything: validate it with `Schema`.
   */
  readonly body: any;
  /** The visitor's IPv4 address. */
  readonly ip: string | null;
  /** The visitor's IPv6 address. */
  readonly ip6: string | null;
  readonly is_mobile: boolean;
  readonly is_tablet: boolean;
  /** What the wildcards of the page's path caught: `pages/blog/{slug}.html` gives `slug`. */
  readonly route_params: Readonly<Record<string, string>>;
  /** The last of them. */
  readonly route_slug: string | null;
}

/** What the visitor sent. */
declare const request: SluiceRequest;

// --- the customer and the session -------------------------------------------------------

/** The logged-in customer, deeply frozen. */
interface SluiceCustomer {
  readonly email: string;
  readonly name?: string;
  readonly first_name?: string;
  readonly last_name?: string;
  /** As it was given to `session.setCustomer`. */
  readonly id?: any;
}

/** What `session.setCustomer` takes. */
interface SluiceCustomerFields {
  /** Must contain `@`. */
  email: string;
  /** Made of first and last name where it is left out. */
  name?: string;
  first_name?: string;
  last_name?: string;
  /** A string or number becomes the owner of the customer's CRM data. */
  id?: any;
}

/** The logged-in customer; `null` where nobody is logged in. Changes with the session. */
declare const customer: SluiceCustomer | null;

/** Whether somebody is logged in. Changes with the session. */
declare const is_customer: boolean;

/** The same as `customer`. */
declare function getCustomer(): SluiceCustomer | null;

/** Name and email of the logged-in customer; nulls where there is none. */
declare function getUser(): { name: string | null; email: string | null };

interface SluiceSession {
  /** The value of a key; `null` where there is none. Reserved keys read as `null`. */
  get(key: string): any;
  /**
   * Keeps a value for this visitor, on the server. `null` removes the key.
   *
   * `false`, with a warning in the log: the key is reserved (`id`, `email`, `customer`,
   * `customer_id`, `is_customer`, `brand_id`, `csrf`, or it begins with `_`), the value is not
   * JSON, or the session would hold over 64 KB or 128 keys.
   */
  set(key: string, value: unknown): boolean;
  /** Removes a key. */
  delete(key: string): boolean;
  /**
   * Logs a customer in and gives the session a new id. Fields are merged over those of the
   * customer who is logged in, unless the email is another one.
   */
  setCustomer(fields: SluiceCustomerFields): boolean;
  /** Logs the customer out. `false` where nobody was logged in. */
  clearCustomer(): boolean;
  /**
   * A token that logs this customer in on another domain of the brand: `?ef_session=` in an
   * address, or `setFromToken`. It works once, for 1 to 600 seconds. `null` where nobody is
   * logged in.
   */
  getToken(ttlSeconds?: number): string | null;
  /** Logs in whom a token names. `false`: it is not valid, expired, or was used before. */
  setFromToken(token: string): boolean;
}

/** What the host keeps for this visitor between requests: 3 hours, from creation or login. */
declare const session: SluiceSession;

interface SluiceCookieOptions {
  /** Seconds, a whole number. Without it the cookie goes with the browser. */
  maxAge?: number;
  /** Begins with a slash. */
  path?: string;
  /** `true` unless given: scripts in the browser cannot read it. */
  httpOnly?: boolean;
  /** `"Lax"` unless given; `"None"` only with `secure`. */
  sameSite?: "Strict" | "Lax" | "None";
  /** As the visitor came unless given. */
  secure?: boolean;
}

interface SluiceCookie {
  /**
   * Sets a cookie; the value is percent-encoded where need be. `false`, with a warning: the
   * name is not a token or is reserved (`__Host-`, `__Secure-`, `sluice_`), an option is not
   * valid, it is over 4 KB, or there are 20 already.
   */
  set(name: string, value: string | number | boolean, options?: SluiceCookieOptions | null): boolean;
  /** Deletes a cookie; the path must be the one it was set with. */
  delete(name: string, options?: { path?: string } | null): boolean;
}

/** Cookies in the visitor's browser. Read them in `request.cookies`. */
declare const cookie: SluiceCookie;

// --- the answer -------------------------------------------------------------------------

/**
 * Sends the visitor elsewhere. **Ends the run**: nothing after it happens.
 *
 * @param url A path that begins with one slash, or an `http://` or `https://` address.
 * @param status 302 unless given.
 * @throws {TypeError} the address may lead somewhere else than it says
 * @throws {RangeError} the status is none of the five
 */
declare function redirect(url: string, status?: 301 | 302 | 303 | 307 | 308): never;

interface SluiceResponse {
  /**
   * The status of the answer, also of the rendered page.
   * @throws {RangeError} not a whole number from 200 to 599
   */
  status(code: number): void;
  /** Answers with JSON instead of the page. **Ends the run**: nothing after it happens. */
  json(data: unknown): never;
  /** Answers with HTML instead of the page. **Ends the run**: nothing after it happens. */
  send(html: string): never;
}

/** The answer to this request. */
declare const response: SluiceResponse;

/**
 * Sets a header of the answer. `false`, with a warning: it is one of those that the host
 * keeps to itself (`set-cookie`, `location`, `access-control-*`, …) or there are 50 already.
 */
declare function setHeader(name: string, value: string): boolean;

/**
 * Sets a variable of the page's template: `{{ var.name }}`. `false`, with a warning: the name
 * is not made of letters, digits and `_`, the value is not JSON, or a limit is reached
 * (256 variables, 1 MB).
 */
declare function setVariable(name: string, value: unknown): boolean;

/** A variable that this script set, else the brand's of that name, else `null`. */
declare function getVariable(name: string): any;

// --- CRM data ---------------------------------------------------------------------------

/** What entries are attached to. */
interface SluiceReference {
  /** `"customer"` unless given. */
  referenceType?: string | null;
  /** The logged-in customer's id unless given. */
  referenceId?: string | null;
}

interface SluiceAsync {
  /** Checked and stored now, done in the background, exactly once. */
  async?: boolean;
}

interface SluiceEntry {
  id: string;
  /** The value of `title`, else `name`, else `email`. */
  title: any;
  reference_type: string;
  reference_id: string;
  /** Field keys and their values. */
  values_flat: Record<string, any>;
  pipeline_id: number | null;
  pipeline_slug: string | null;
  stage_id: number | null;
  stage_slug: string | null;
  /** ISO 8601, UTC. */
  created_at: string;
  updated_at: string;
}

interface SluiceMoved {
  ok: boolean;
  /** Entries that were moved. */
  moved?: number;
  /** With `async: true`. */
  queued?: true;
  /** Why not: `no_entry`, `unknown_stage`, … */
  error?: string;
  totalMatched?: number;
  pipeline_id?: number;
  stage_id?: number;
  removed_from_old?: number;
}

interface SluicePipeline {
  pipelineId?: number;
  pipelineSlug?: string;
}

interface SluiceStage {
  stageId?: number;
  stageSlug?: string;
}

/** A string, number, boolean, object or array; not `null`. Strings have at most 10,000 characters. */
type SluiceValue = string | number | boolean | object;

/**
 * The value of a field in the newest entry that has it; `null` where none has.
 * @throws {TypeError} the brand has no such entity, or an option is missing
 */
declare function getCrmField<S extends CrmSlug>(options: { slug: S; fieldKey: CrmFieldKey<S> } & SluiceReference): any;

/** The same for several fields, at once: an object with every key that was asked for. */
declare function getCrmFields<S extends CrmSlug, K extends CrmFieldKey<S>>(
  options: { slug: S; fieldKeys: K[] } & SluiceReference,
): Record<K, any>;

/** The reference's entries, newest first. */
declare function getCrmEntries(
  options: { slug: CrmSlug; /** 50 unless given, at most 200. */ limit?: number } & SluiceReference,
): SluiceEntry[];

/** All values of a field, newest first. */
declare function getCrmFieldValues<S extends CrmSlug>(
  options: { slug: S; fieldKey: CrmFieldKey<S>; /** 50 unless given, at most 200. */ limit?: number } & SluiceReference,
): any[];

/**
 * Writes a field: into the newest entry that has it, else the newest entry, else a new one.
 * `false`, with a warning: the input is not valid, or nobody is logged in and no reference given.
 * @throws {TypeError} the brand has no such entity, or an option is missing
 */
declare function setCrmField<S extends CrmSlug>(
  options: {
    slug: S;
    fieldKey: CrmFieldKey<S>;
    value: SluiceValue;
    /** Straight into the newest entry. */
    force?: boolean;
  } & SluiceReference & SluiceAsync,
): boolean;

/** Writes several fields, all or none. */
declare function setCrmFields<S extends CrmSlug>(
  options: {
    slug: S;
    fields: { fieldKey: CrmFieldKey<S>; value: SluiceValue }[];
    /** Straight into the newest entry. */
    force?: boolean;
  } & SluiceReference & SluiceAsync,
): boolean;

/** Writes a field into a new entry, always. */
declare function addCrmFieldValue<S extends CrmSlug>(
  options: { slug: S; fieldKey: CrmFieldKey<S>; value: SluiceValue } & SluiceReference & SluiceAsync,
): boolean;

/** Deletes the reference's entries. */
declare function clearCrmEntries(
  options: { slug: CrmSlug } & SluiceReference & SluiceAsync,
): { ok: boolean; deleted?: number; queued?: true; error?: string };

/** Moves the newest entry, or all, to a stage; the pipeline follows from it. */
declare function moveCrmToStage(
  options: { slug: CrmSlug; allEntries?: boolean } & SluiceStage & SluicePipeline & SluiceReference & SluiceAsync,
): SluiceMoved;

/** Moves the newest entry, or all, into a pipeline: its first stage, or one that is given. */
declare function moveCrmToPipeline(
  options: { slug: CrmSlug; allEntries?: boolean } & SluicePipeline & SluiceStage & SluiceReference & SluiceAsync,
): SluiceMoved;

/** Moves the newest entry, or all, to a stage of a pipeline; both must be given. */
declare function moveCrmLead(
  options: { slug: CrmSlug; allEntries?: boolean } & SluicePipeline & SluiceStage & SluiceReference & SluiceAsync,
): SluiceMoved;

/** Copies fields of one entity into another, under other keys; all or none. */
declare function moveCrmToEntity(
  options: {
    fromSlug: CrmSlug;
    toSlug: CrmSlug;
    /** Field keys of the source, and those of the target that get their values. */
    fieldMap: Record<string, string>;
    /** Removes what was copied from where it was. */
    removeFromOld?: boolean;
  } & SluicePipeline & SluiceStage & SluiceReference & SluiceAsync,
): SluiceMoved;

/**
 * Gives entries of an anonymous visitor to the customer who has logged in. Only where
 * `fromReferenceId` is what `session.get("quiz_visitor_id")` gives.
 */
declare function reassignCrmReference(
  options: { slug: CrmSlug; fromReferenceType: string; fromReferenceId: string } & SluiceAsync,
): SluiceMoved;

/** Creates what is missing of an entity; deletes nothing. At most 5 calls a run. */
declare function ensureCrmEntity(options: {
  slug: string;
  name?: string;
  mode?: "crm" | "data";
  fields?: { key: string; label?: string; type?: string; options?: string[] }[];
  pipelines?: { slug: string; name?: string; stages?: { slug: string; name?: string; color?: string; status?: string }[] }[];
}): { id: number; slug: string; created: boolean; fields_added: number; fields_skipped: number };

// --- validation -------------------------------------------------------------------------

/** What a validation found. */
interface SluiceValidation<T> {
  valid: boolean;
  /** A clean copy: converted, unknown keys left out. Use it where `valid` is true. */
  value: T;
  /** One sentence for each mistake. */
  errors: string[];
}

/** A validator. Every call gives a new one; none is ever changed. */
interface SluiceSchema<T> {
  /** Missing (`undefined`, `null`, `""`) is a mistake. */
  required(): SluiceSchema<NonNullable<T>>;
  /** Missing is no mistake; so it is unless `required` was called. */
  optional(): SluiceSchema<T | undefined>;
  /** Used where the input is missing. */
  default(value: NonNullable<T>): SluiceSchema<NonNullable<T>>;
  /** The name that messages begin with. */
  label(text: string): this;
  /** One of these values. */
  valid<V extends NonNullable<T>>(...values: V[]): this;
  /** Validated, and left out of the value. */
  strip(): this;
  /** A check of one's own: gives a message, or nothing. */
  custom(check: (value: NonNullable<T>, label: string) => string | null | undefined | void): this;
  validate(input: unknown): SluiceValidation<T>;
}

interface SluiceStringSchema<T = string | undefined> extends SluiceSchema<T> {
  required(): SluiceStringSchema<string>;
  optional(): SluiceStringSchema<string | undefined>;
  default(value: string): SluiceStringSchema<string>;
  /** At least so many characters. */
  min(characters: number): this;
  /** At most so many characters. */
  max(characters: number): this;
  email(): this;
  /** An `http` or `https` address. */
  url(): this;
  pattern(expression: RegExp): this;
  lowercase(): this;
}

interface SluiceNumberSchema<T = number | undefined> extends SluiceSchema<T> {
  required(): SluiceNumberSchema<number>;
  optional(): SluiceNumberSchema<number | undefined>;
  default(value: number): SluiceNumberSchema<number>;
  min(least: number): this;
  max(most: number): this;
  integer(): this;
  positive(): this;
  negative(): this;
}

interface SluiceArraySchema<I = any, T = I[] | undefined> extends SluiceSchema<T> {
  required(): SluiceArraySchema<I, I[]>;
  optional(): SluiceArraySchema<I, I[] | undefined>;
  default(value: I[]): SluiceArraySchema<I, I[]>;
  /** At least so many items. */
  min(items: number): this;
  /** At most so many items. */
  max(items: number): this;
  /** What every item must be. */
  items<E>(schema: SluiceSchema<E>): SluiceArraySchema<NonNullable<E>>;
}

interface SluiceObjectSchema<T> extends SluiceSchema<T> {
  /** What every value must be whose key is not in the map. */
  pattern_values(schema: SluiceSchema<any>): SluiceObjectSchema<T & Record<string, any>>;
}

interface SluiceSchemas {
  /** Text. */
  string(): SluiceStringSchema;
  /** A finite number; numbers in text are converted. */
  number(): SluiceNumberSchema;
  /** `true` or `false`; `"true"`, `"1"`, `"false"` and `"0"` are converted. */
  boolean(): SluiceSchema<boolean | undefined>;
  array(): SluiceArraySchema;
  /** An object with these keys; others are left out of the value. */
  object<M extends Record<string, SluiceSchema<any>>>(
    map: M,
  ): SluiceObjectSchema<{ [K in keyof M]: M[K] extends SluiceSchema<infer T> ? T : never }>;
  object(): SluiceObjectSchema<Record<string, any>>;
  any(): SluiceSchema<any>;
}

/** Validators for what visitors send. */
declare const Schema: SluiceSchemas;

// --- log, secrets -----------------------------------------------------------------------

interface SluiceConsole {
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
  debug(...values: unknown[]): void;
}

/** Lines in the log of this run: at most 200, 64 KB in all. */
declare const console: SluiceConsole;

/** What the operator has entrusted to this brand. */
declare const secrets: {
  /** `null` where there is no secret of this name. Its value never gets into the log. */
  get(name: string): string | null;
};

// --- the web's own ----------------------------------------------------------------------

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
  /** A random UUID, version 4. */
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

/** An address, taken apart. */
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

/** Text to UTF-8. */
declare class TextEncoder {
  readonly encoding: "utf-8";
  encode(text?: string): Uint8Array;
}

/** UTF-8 to text. */
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  readonly encoding: string;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  decode(bytes?: SluiceBytes, options?: { stream?: boolean }): string;
}

/** What `atob`, `structuredClone` and `crypto` throw. */
declare class DOMException extends Error {
  constructor(message?: string, name?: string);
  readonly code: number;
}

/** What the engine throws of itself: `out of memory`. */
declare class InternalError extends Error {}

/** Calls a function when what runs now has ended. */
declare function queueMicrotask(callback: () => void): void;
/** Bytes, one a character, as base64. */
declare function btoa(text: string): string;
/** Base64 as bytes, one a character. */
declare function atob(text: string): string;
/** A deep copy. */
declare function structuredClone<T>(value: T): T;
