// The globals of backend scripts. They are read-only: a script cannot replace or change them.

// --- the request ------------------------------------------------------------------------

/** The visitor's request, deeply frozen. */
interface SluiceRequest {
  /** `GET` or `POST`, unless `[[page]] methods` in `brand.toml` lists others. */
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** The page's path, percent-decoded: `/weight/checkin`. */
  readonly path: string;
  /** Query parameters. A repeated parameter has its last value. */
  readonly query: Readonly<Record<string, string>>;
  /** Query parameters with all their values. */
  readonly queries: Readonly<Record<string, readonly string[]>>;
  /**
   * These four headers, and those that `[[page]] headers` in `brand.toml` names, in lower case. A header
   * that was not sent is missing.
   */
  readonly headers: {
    readonly "user-agent"?: string;
    readonly referer?: string;
    readonly "accept-language"?: string;
    readonly host?: string;
    readonly [name: string]: string | undefined;
  };
  /** The visitor's cookies, percent-decoded. The session cookie is left out. */
  readonly cookies: Readonly<Record<string, string>>;
  /**
   * The parsed body of a request with `application/json` and at most 64 KB, unless its method is GET. If `brand.toml` says
   * `form_bodies = true`, also the fields of an HTML form. Otherwise `null`.
   *
   * Visitors can send anything, so validate it with `Schema`.
   */
  readonly body: any;
  /** All values of each field of an HTML form, if `brand.toml` says `form_bodies = true`. Otherwise `null`. */
  readonly bodies: Readonly<Record<string, readonly string[]>> | null;
  /**
   * The bytes of the body as they came, of any type, if the page has `raw_body = true` in `brand.toml`.
   * Otherwise `null`.
   */
  readonly rawBody: Uint8Array | null;
  /** The bytes of the body as text. `null` if `rawBody` is. */
  text(): string | null;
  /** The files that the visitor has sent, if the page has `uploads` in `brand.toml`. Otherwise an empty list. */
  readonly files: readonly SluiceUpload[];
  /** The visitor's IPv4 address. */
  readonly ip: string | null;
  /** The visitor's IPv6 address. */
  readonly ip6: string | null;
  readonly is_mobile: boolean;
  readonly is_tablet: boolean;
  /**
   * The values of the wildcards in the page's path: `pages/blog/{slug}.html` gives `slug`. `null` if
   * the path has no wildcards.
   */
  readonly route_params: Readonly<Record<string, string>> | null;
  /** The path from the first wildcard on: `2024/first-post`. `null` if the path has no wildcards. */
  readonly route_slug: string | null;
}

/** The visitor's request. */
declare const request: SluiceRequest;

// --- the customer and the session -------------------------------------------------------

/** The logged-in customer, deeply frozen. */
interface SluiceCustomer {
  readonly email: string;
  readonly name?: string;
  readonly first_name?: string;
  readonly last_name?: string;
  /** The id that was given to `session.setCustomer`. */
  readonly id?: any;
}

/** The argument of `session.setCustomer`. */
interface SluiceCustomerFields {
  /** Must contain `@`. */
  email: string;
  /** Defaults to the first and last name. */
  name?: string;
  first_name?: string;
  last_name?: string;
  /** A string or number becomes the owner of the customer's CRM data. */
  id?: any;
}

/** The logged-in customer; `null` if nobody is logged in. It changes when a customer logs in or out. */
declare const customer: SluiceCustomer | null;

/** Whether a customer is logged in. It changes when a customer logs in or out. */
declare const is_customer: boolean;

/** Returns the same as `customer`. */
declare function getCustomer(): SluiceCustomer | null;

/** Returns the name and email of the logged-in customer. Both are `null` if nobody is logged in. */
declare function getUser(): { name: string | null; email: string | null };

interface SluiceSession {
  /** Returns the value of a key; `null` if it has none. Reserved keys return `null`. */
  get(key: string): any;
  /**
   * Stores a value for this visitor on the server. `null` removes the key.
   *
   * Returns `false`, and logs a warning, if the key is reserved (`id`, `email`, `customer`,
   * `customer_id`, `is_customer`, `brand_id`, `csrf`, or it begins with `_`), the value is not
   * JSON, or the session would exceed 64 KB or 128 keys.
   */
  set(key: string, value: unknown): boolean;
  /** Removes a key. */
  delete(key: string): boolean;
  /**
   * Logs a customer in and gives the session a new id. If the same email is logged in already,
   * its other fields are kept unless they are given.
   */
  setCustomer(fields: SluiceCustomerFields): boolean;
  /** Logs the customer out. Returns `false` if nobody was logged in. */
  clearCustomer(): boolean;
  /**
   * Returns a token that logs this customer in on another domain of the brand: add
   * `?ef_session=` and the token to an address, or call `setFromToken`. The token works once, and
   * expires after 1 to 600 seconds. Returns `null` if nobody is logged in.
   */
  getToken(ttlSeconds?: number): string | null;
  /** Logs in the customer of a token. Returns `false` if it is invalid, expired or already used. */
  setFromToken(token: string): boolean;
}

/** Values that the server keeps for this visitor between requests: for 3 hours after creation or login. */
declare const session: SluiceSession;

interface SluiceCookieOptions {
  /** Lifetime in seconds, a whole number. Without it, the cookie is deleted when the browser closes. */
  maxAge?: number;
  /** Begins with a slash. */
  path?: string;
  /** Whether scripts in the browser cannot read the cookie. Defaults to `true`. */
  httpOnly?: boolean;
  /** Defaults to `"Lax"`. `"None"` needs `secure`. */
  sameSite?: "Strict" | "Lax" | "None";
  /** Defaults to whether the request came over https. */
  secure?: boolean;
}

interface SluiceCookie {
  /**
   * Sets a cookie. The value is percent-encoded if necessary. Returns `false`, and logs a
   * warning, if the name is not a token or is reserved (`__Host-`, `__Secure-`, `sluice_`), an
   * option is invalid, the cookie is larger than 4 KB, or 20 cookies were set already.
   */
  set(name: string, value: string | number | boolean, options?: SluiceCookieOptions | null): boolean;
  /** Deletes a cookie. The path must be the one that the cookie was set with. */
  delete(name: string, options?: { path?: string } | null): boolean;
}

/** Sets cookies in the visitor's browser. Read them with `request.cookies`. */
declare const cookie: SluiceCookie;

// --- the response -----------------------------------------------------------------------

/**
 * Redirects the visitor. **Ends the run**: nothing after it runs.
 *
 * @param url A path that begins with one slash, or an `http://` or `https://` address.
 * @param status Defaults to 302.
 * @throws {TypeError} if browsers might read the address differently than it looks
 * @throws {RangeError} if the status is not one of the five
 */
declare function redirect(url: string, status?: 301 | 302 | 303 | 307 | 308): never;

interface SluiceResponse {
  /**
   * Sets the status of the response. It also applies to the rendered page.
   * @throws {RangeError} if the code is not a whole number from 200 to 599
   */
  status(code: number): void;
  /** Responds with JSON instead of the page. **Ends the run**: nothing after it runs. */
  json(data: unknown): never;
  /** Responds with HTML instead of the page. **Ends the run**: nothing after it runs. */
  send(html: string): never;
}

/** The response to this request. */
declare const response: SluiceResponse;

/**
 * Sets a header of the response. Returns `false`, and logs a warning, if the header is reserved
 * for the server (`set-cookie`, `location`, `access-control-*`, …) or 50 headers were set already.
 */
declare function setHeader(name: string, value: string): boolean;

/**
 * Sets a variable of the page's template: `{{ var.name }}`. Returns `false`, and logs a warning,
 * if the name has other characters than letters, digits and `_`, the value is not JSON, or a
 * limit is reached (256 variables, 1 MB).
 */
declare function setVariable(name: string, value: unknown): boolean;

/** Returns the variable that this script set, or the brand's variable of that name, or `null`. */
declare function getVariable(name: string): any;

// --- CRM data ---------------------------------------------------------------------------

/** The owner of entries. */
interface SluiceReference {
  /** Defaults to `"customer"`. */
  referenceType?: string | null;
  /** Defaults to the logged-in customer's id. */
  referenceId?: string | null;
}

interface SluiceAsync {
  /** Checks and queues the write now. It is then done in the background, exactly once. */
  async?: boolean;
}

interface SluiceEntry {
  id: string;
  /** The value of the field `title`, or of `name`, or of `email`. */
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
  /** How many entries are in the stage now, or were given away; of `moveCrmToEntity`, how many fields. */
  moved?: number;
  /** Set with `async: true`. */
  queued?: true;
  /** Why nothing was moved: `no_entry`, `unknown_stage`, … */
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

/** A string of at most 10,000 characters, a number, boolean, object or array, but not `null`. */
type SluiceValue = string | number | boolean | object;

/**
 * Returns the value of a field in the newest entry that has it; `null` if no entry has it.
 * @throws {TypeError} if the brand has no such entity, or an option is missing
 */
declare function getCrmField<S extends CrmSlug>(options: { slug: S; fieldKey: CrmFieldKey<S> } & SluiceReference): any;

/** Reads several fields at once. Returns an object with all given keys. */
declare function getCrmFields<S extends CrmSlug, K extends CrmFieldKey<S>>(
  options: { slug: S; fieldKeys: K[] } & SluiceReference,
): Record<K, any>;

/** Returns the reference's entries, newest first. */
declare function getCrmEntries(
  options: { slug: CrmSlug; /** Defaults to 50, at most 200. */ limit?: number } & SluiceReference,
): SluiceEntry[];

/** Returns all values of a field, newest first. */
declare function getCrmFieldValues<S extends CrmSlug>(
  options: { slug: S; fieldKey: CrmFieldKey<S>; /** Defaults to 50, at most 200. */ limit?: number } & SluiceReference,
): any[];

/** Returns the entry with this id, of any reference; `null` if the entity does not have it. */
declare function getCrmEntry(options: { slug: CrmSlug; id: string }): SluiceEntry | null;

/** A value that filters compare with. */
type SluiceScalar = string | number | boolean;

/** Conditions for a field, which all have to hold. Values of another type never match, except with `ne`. */
interface SluiceConditions {
  eq?: SluiceScalar;
  /** Also entries that do not have the field. */
  ne?: SluiceScalar;
  lt?: string | number;
  lte?: string | number;
  gt?: string | number;
  gte?: string | number;
  /** At most 100 values in all `in` of a filter. */
  in?: SluiceScalar[];
  startsWith?: string;
  exists?: boolean;
}

/** Conditions for fields, which all have to hold. At most 32 conditions in 8 levels of `and` and `or`. */
interface SluiceFilter {
  [fieldKey: string]: SluiceConditions | SluiceFilter[];
}

interface SluiceSearch {
  slug: CrmSlug;
  /** A field with more than 1,000 entries needs `index = true` in crm.toml. */
  where?: SluiceFilter;
  /** Only entries of this reference. Defaults to all references. */
  referenceId?: string | null;
  /** Defaults to `"customer"` if `referenceId` is given. */
  referenceType?: string | null;
}

/**
 * Searches the entries of all references. Newest first, unless `orderBy` names `created_at` or a declared field.
 * `next` is the value of `after` for the next page, and `null` on the last one. A page can have fewer entries than
 * `limit` although others follow.
 * @throws {TypeError} if the filter, the order or the cursor is invalid, or if a field needs an index
 */
declare function findCrmEntries(
  options: SluiceSearch & {
    orderBy?: { [fieldKey: string]: "asc" | "desc" };
    /** Defaults to 50, at most 200. */
    limit?: number;
    /** `next` of the page before. */
    after?: string | null;
  },
): { entries: SluiceEntry[]; next: string | null; error?: string };

/** Counts entries. If `complete` is false, there are more than `count`. */
declare function countCrmEntries(options: SluiceSearch): { count: number; complete: boolean; error?: string };

/** Creates an entry. A field with the value `null` is left out. */
declare function createCrmEntry(
  options: { slug: CrmSlug; fields: Record<string, SluiceValue | null> } & SluiceReference & SluiceAsync,
): { ok: boolean; id?: string | null; queued?: true; error?: string };

/** Changes fields of the entry with this id. `null` removes a field. */
declare function updateCrmEntry(
  options: {
    slug: CrmSlug;
    id: string;
    fields: Record<string, SluiceValue | null>;
    /** `updated_at` of the entry that you have read. If it was changed since, the `error` is `"conflict"`. */
    ifUpdatedAt?: string;
  } & SluiceAsync,
): { ok: boolean; updated_at?: string; queued?: true; error?: string };

/** Deletes the entry with this id. */
declare function deleteCrmEntry(
  options: { slug: CrmSlug; id: string } & SluiceAsync,
): { ok: boolean; queued?: true; error?: string };

/**
 * Lets a field of the type `reference` or `multi_reference` lead to an entry. `changed` is false if it did already.
 * @throws {TypeError} if the field is declared with another type
 */
declare function setCrmRelation<S extends CrmSlug>(
  options: {
    slug: S;
    id: string;
    fieldKey: CrmFieldKey<S>;
    targetId: string;
    /** The entity of the target. Defaults to that in the field's `options`, or to `slug`. */
    targetSlug?: CrmSlug;
  },
): { ok: boolean; changed: boolean; error?: string };

/** Removes a relation, or all relations of the field if `targetId` is missing. */
declare function removeCrmRelation<S extends CrmSlug>(
  options: { slug: S; id: string; fieldKey: CrmFieldKey<S>; targetId?: string },
): { ok: boolean; changed: boolean; error?: string };

/**
 * Writes a field into the newest entry that has it. If no entry has it, writes it into the
 * newest entry; if there is none, into a new one. Returns `false`, and logs a warning, if the
 * input is invalid, or if nobody is logged in and no reference is given.
 * @throws {TypeError} if the brand has no such entity, or an option is missing
 */
declare function setCrmField<S extends CrmSlug>(
  options: {
    slug: S;
    fieldKey: CrmFieldKey<S>;
    value: SluiceValue;
    /** Always writes into the newest entry. */
    force?: boolean;
  } & SluiceReference & SluiceAsync,
): boolean;

/** Writes several fields. Either all of them are written, or none. */
declare function setCrmFields<S extends CrmSlug>(
  options: {
    slug: S;
    fields: { fieldKey: CrmFieldKey<S>; value: SluiceValue }[];
    /** Always writes into the newest entry. */
    force?: boolean;
  } & SluiceReference & SluiceAsync,
): boolean;

/** Writes a field into a new entry. */
declare function addCrmFieldValue<S extends CrmSlug>(
  options: { slug: S; fieldKey: CrmFieldKey<S>; value: SluiceValue } & SluiceReference & SluiceAsync,
): boolean;

/** Deletes the reference's entries. */
declare function clearCrmEntries(
  options: { slug: CrmSlug } & SluiceReference & SluiceAsync,
): { ok: boolean; deleted?: number; queued?: true; error?: string };

/** Moves the newest entry, or all entries, to a stage and so to the stage's pipeline. */
declare function moveCrmToStage(
  options: { slug: CrmSlug; allEntries?: boolean } & SluiceStage & SluicePipeline & SluiceReference & SluiceAsync,
): SluiceMoved;

/** Moves the newest entry, or all entries, to a pipeline: to the given stage, or to its first. */
declare function moveCrmToPipeline(
  options: { slug: CrmSlug; allEntries?: boolean } & SluicePipeline & SluiceStage & SluiceReference & SluiceAsync,
): SluiceMoved;

/** Moves the newest entry, or all entries, to a stage of a pipeline. Both are required. */
declare function moveCrmLead(
  options: { slug: CrmSlug; allEntries?: boolean } & SluicePipeline & SluiceStage & SluiceReference & SluiceAsync,
): SluiceMoved;

/** Copies fields of one entity to other keys in another entity. Either all are copied, or none. */
declare function moveCrmToEntity(
  options: {
    fromSlug: CrmSlug;
    toSlug: CrmSlug;
    /** Maps field keys of the source to field keys of the target. */
    fieldMap: Record<string, string>;
    /** Removes the copied fields from the source. */
    removeFromOld?: boolean;
  } & SluicePipeline & SluiceStage & SluiceReference & SluiceAsync,
): SluiceMoved;

/**
 * Moves entries of an anonymous visitor to the customer who has logged in. This works only if
 * `fromReferenceId` equals `session.get("quiz_visitor_id")`.
 */
declare function reassignCrmReference(
  options: { slug: CrmSlug; fromReferenceType: string; fromReferenceId: string } & SluiceReference & SluiceAsync,
): SluiceMoved;

/** Settings of an entity or a field. They are stored and shown, and nothing follows from them. */
interface SluiceCrmSettings {
  ui_editable?: any;
  uiEditable?: any;
  reporting_config?: any;
  reportingConfig?: any;
  validation_rules?: any;
  validationRules?: any;
  visible_to_team_ids?: any;
  visibleToTeamIds?: any;
}

/** The result of `ensureCrmEntity`. */
interface SluiceEnsured {
  /** `null` if nothing was done; then `error` says why. */
  id: number | null;
  slug?: string;
  /** Whether the entity is new. */
  created: boolean;
  /** How many fields are new. */
  fields_added?: number;
  /** How many fields existed before. They were not changed. */
  fields_skipped?: number;
  fields_added_keys?: string[];
  fields_skipped_keys?: string[];
  ok?: false;
  /** `"rate_limited"` for the sixth call of a run. */
  error?: string;
}

/**
 * Creates an entity, or those of its parts that are missing. Deletes nothing. A run may call it
 * 5 times.
 */
declare function ensureCrmEntity(options: {
  slug: string;
  name?: string;
  mode?: "crm" | "data";
  /** The same as `mode`. */
  entityMode?: "crm" | "data";
  fields?: (string | ({ key: string; label?: string; type?: string; options?: any } & SluiceCrmSettings))[];
  pipelines?: { slug: string; name?: string; stages?: { slug: string; name?: string; color?: string; status?: string }[] }[];
} & SluiceCrmSettings): SluiceEnsured;

// Each call has a second name that starts with a capital letter.
declare const GetCrmField: typeof getCrmField;
declare const GetCrmFields: typeof getCrmFields;
declare const GetCrmEntries: typeof getCrmEntries;
declare const GetCrmFieldValues: typeof getCrmFieldValues;
declare const GetCrmEntry: typeof getCrmEntry;
declare const FindCrmEntries: typeof findCrmEntries;
declare const CountCrmEntries: typeof countCrmEntries;
declare const CreateCrmEntry: typeof createCrmEntry;
declare const UpdateCrmEntry: typeof updateCrmEntry;
declare const DeleteCrmEntry: typeof deleteCrmEntry;
declare const SetCrmRelation: typeof setCrmRelation;
declare const RemoveCrmRelation: typeof removeCrmRelation;
declare const SetCrmField: typeof setCrmField;
declare const SetCrmFields: typeof setCrmFields;
declare const AddCrmFieldValue: typeof addCrmFieldValue;
declare const ClearCrmEntries: typeof clearCrmEntries;
declare const MoveCrmToStage: typeof moveCrmToStage;
declare const MoveCrmToPipeline: typeof moveCrmToPipeline;
declare const MoveCrmLead: typeof moveCrmLead;
declare const MoveCrmToEntity: typeof moveCrmToEntity;
declare const ReassignCrmReference: typeof reassignCrmReference;
declare const EnsureCrmEntity: typeof ensureCrmEntity;

// --- validation -------------------------------------------------------------------------

/** The result of a validation. */
interface SluiceValidation<T> {
  valid: boolean;
  /** A converted copy of the input without unknown keys. Use it only if `valid` is true. */
  value: T;
  /** One sentence for each mistake. */
  errors: string[];
}

/** A validator. Every call returns a new one; validators never change. */
interface SluiceSchema<T> {
  /** A missing value (`undefined`, `null`, `""`) is a mistake. */
  required(): SluiceSchema<NonNullable<T>>;
  /** A missing value is allowed. This is the default. */
  optional(): SluiceSchema<T | undefined>;
  /** The value to use if the input is missing. */
  default(value: NonNullable<T>): SluiceSchema<NonNullable<T>>;
  /** The name at the start of messages. */
  label(text: string): this;
  /** Allows only these values. */
  valid<V extends NonNullable<T>>(...values: V[]): this;
  /** Validates the value, but leaves it out of the result. */
  strip(): this;
  /** Adds your own check, which returns a message if the value is invalid. */
  custom(check: (value: NonNullable<T>, label: string) => string | null | undefined | void): this;
  validate(input: unknown): SluiceValidation<T>;
}

interface SluiceStringSchema<T = string | undefined> extends SluiceSchema<T> {
  required(): SluiceStringSchema<string>;
  optional(): SluiceStringSchema<string | undefined>;
  default(value: string): SluiceStringSchema<string>;
  /** The least number of characters. */
  min(characters: number): this;
  /** The greatest number of characters. */
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
  /** The least number of items. */
  min(items: number): this;
  /** The greatest number of items. */
  max(items: number): this;
  /** The validator for every item. */
  items<E>(schema: SluiceSchema<E>): SluiceArraySchema<NonNullable<E>>;
}

interface SluiceObjectSchema<T> extends SluiceSchema<T> {
  /** The validator for the values of all keys that are not in the map. */
  pattern_values(schema: SluiceSchema<any>): SluiceObjectSchema<T & Record<string, any>>;
}

interface SluiceSchemas {
  /** Text. */
  string(): SluiceStringSchema;
  /** A finite number. Numbers in text are converted. */
  number(): SluiceNumberSchema;
  /** `true` or `false`. `"true"`, `"1"`, `"false"` and `"0"` are converted. */
  boolean(): SluiceSchema<boolean | undefined>;
  array(): SluiceArraySchema;
  /** An object with these keys. Other keys are left out of the value. */
  object<M extends Record<string, SluiceSchema<any>>>(
    map: M,
  ): SluiceObjectSchema<{ [K in keyof M]: M[K] extends SluiceSchema<infer T> ? T : never }>;
  object(): SluiceObjectSchema<Record<string, any>>;
  any(): SluiceSchema<any>;
}

/** Makes validators for the data that visitors send. */
declare const Schema: SluiceSchemas;

// --- storage, cache ---------------------------------------------------------------------

interface SluiceStorageOptions {
  /** A group of keys: letters, digits and `_ . : -`, at most 64. `"default"` if left out. */
  namespace?: string;
  /** The lifetime in seconds, at most a year. Without it, the value is kept until it is removed. */
  ttl?: number;
}

interface SluiceListOptions {
  /** Lists the keys that begin like this. */
  prefix?: string;
  /** Lists the keys that follow this one. */
  after?: string | null;
  /** The most keys, from 1 to 200. 50 if left out. */
  limit?: number;
  /** A group of keys. `"default"` if left out. */
  namespace?: string;
}

interface SluiceListedKey {
  key: string;
  value: any;
  /** The end of its lifetime in Unix milliseconds; `null` if it has none. */
  expires_at: number | null;
}

/** Values that the brand keeps, the same on every host. Keys have 1 to 191 letters, digits and `_ . : -`. */
declare const storage: {
  /** Returns a value; `null` if there is none. */
  get(key: string, options?: SluiceStorageOptions): any;
  /** Stores a value of at most 64 KB. Returns `false` if the brand has no room for it. */
  set(key: string, value: unknown, options?: SluiceStorageOptions): boolean;
  /** Removes a value. */
  del(key: string, options?: SluiceStorageOptions): true;
  /** Returns whether there is a value. */
  has(key: string, options?: SluiceStorageOptions): boolean;
  /** Stores a value if there is none. Returns `true` for exactly one of any number of callers. */
  setIfAbsent(key: string, value: unknown, options?: SluiceStorageOptions): boolean;
  /** Stores `next` if the value is `expected`. `null` also stands for no value. */
  compareAndSet(
    key: string,
    expected: unknown,
    next: unknown,
    options?: SluiceStorageOptions,
  ): boolean;
  /** Adds to a number and returns the sum. No value counts as 0. */
  increment(key: string, amount?: number, options?: SluiceStorageOptions): number;
  /**
   * Replaces a value by what `fn` makes of it, and returns what is stored. `fn` is called again if somebody
   * else has changed the value meanwhile. If it returns `undefined`, nothing changes.
   */
  mutate(
    key: string,
    fn: (current: any) => unknown,
    options?: SluiceStorageOptions,
  ): any;
  /** Lists keys in their order. `next` is the `after` of the following keys, or `null`. */
  list(options?: SluiceListOptions): { keys: SluiceListedKey[]; next: string | null };
};

/**
 * Values that can be made again: the cache may forget them at any time. The lifetime is in seconds, an
 * hour if left out and at most a day. Keys have 1 to 200 letters, digits and `_ . : -`.
 */
declare const cache: {
  /** Returns a value; `null` if there is none. */
  get(key: string, ttlSeconds?: number): any;
  /** Stores a value of at most 64 KB. */
  set(key: string, value: unknown, ttlSeconds?: number): boolean;
  /** Removes a value. */
  del(key: string, ttlSeconds?: number): true;
  /** Returns whether there is a value. */
  has(key: string, ttlSeconds?: number): boolean;
  /** Stores a value if there is none. */
  setIfAbsent(key: string, value: unknown, ttlSeconds?: number): boolean;
  /** Adds to a number and returns the sum. Only a new number gets the lifetime. */
  increment(key: string, amount?: number, ttlSeconds?: number): number;
  /**
   * Drops the answers of pages with this tag (`cache` of a `[[page]]` in brand.toml), on every host. Returns
   * `false` if no page has the tag.
   */
  purge(tag: string): boolean;
};

// --- queue ------------------------------------------------------------------------------

interface SluicePushOptions {
  /** The exported function of the module. `"default"` if left out. */
  fn?: string;
  /** In how many seconds the job runs: a whole number up to 2,592,000 (30 days). */
  delay?: number;
  /** When the job runs: a time such as `"2026-07-01T09:00:00Z"`, a Date or Unix milliseconds. */
  at?: string | Date | number;
  /** Jobs with the same tag can be cancelled together. */
  tag?: string;
  /** A job that is still pending with the same key is replaced. */
  key?: string;
}

/** The second argument of a function that runs as a job. */
interface SluiceJob {
  jobId: string;
  /** The number of this try, from 1. */
  attempt: number;
  /** When the job was first due, in Unix milliseconds. */
  scheduledFor: number;
}

interface SluiceJobStatus {
  state: "pending" | "running" | "parked" | "done";
  /** The tries so far. */
  attempts: number;
  /** When the job was first due, in Unix milliseconds. */
  scheduledFor: number;
}

interface SluiceQueue {
  /**
   * Runs an exported function of a module in `modules/` with a payload of at most 64 KB. The job is stored
   * when the run ends.
   */
  push(module: string, payload?: unknown, options?: SluicePushOptions): { ok: true; jobId: string };
  /** Removes the pending jobs of the brand that have this tag. */
  cancel(tag: string): { ok: true; cancelled: number };
  /** Looks a job up; `null` if there is no such job, or an hour after it was done (or after 10,000 others). */
  status(jobId: string): SluiceJobStatus | null;
}

/** Functions of modules that run later, at least once and without a visitor. */
declare const queue: SluiceQueue;

// --- log, secrets -----------------------------------------------------------------------

interface SluiceConsole {
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
  debug(...values: unknown[]): void;
}

/** Writes to the log of this run: at most 200 lines and 64 KB in total. */
declare const console: SluiceConsole;

/** A file that a visitor has sent. What the script does not keep is gone after the run. */
interface SluiceUpload {
  /** The name of the field. */
  readonly name: string;
  /** The name of the visitor's file. */
  readonly filename: string;
  /** The type by its content, such as `image/png`. */
  readonly type: string;
  /** The size in bytes. */
  readonly size: number;
  /** The id of the file in this run. */
  readonly id: string;
}

/** A file that the brand keeps. */
interface SluiceKeptFile {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly public: boolean;
  /** When it was kept, in milliseconds since 1970. */
  readonly kept_at: number;
}

/** The files that the brand keeps. */
declare const files: {
  /**
   * Keeps a file of `request.files`. The `url` of a public file works for everybody and always, that of another file
   * for an hour.
   */
  keep(file: SluiceUpload | string, options?: { name?: string; public?: boolean }): { id: string; url: string };
  /** An address of a kept file that works for so many seconds: 3,600 by default, at most a week. */
  url(file: { id: string } | string, seconds?: number): string;
  /** Deletes a kept file. `true`, also if there is none. */
  delete(file: { id: string } | string): true;
  /** Kept files whose name begins with `prefix`. Pass `next` as `after` for those that follow. */
  list(options?: { prefix?: string; after?: string | null; limit?: number }): {
    files: SluiceKeptFile[];
    next: string | null;
  };
};

/** Secrets that the operator has given to this brand. */
declare const secrets: {
  /** Returns a secret; `null` if there is none with this name. Secrets are removed from the log. */
  get(name: string): string | null;
  /**
   * Returns a placeholder of a secret that scripts cannot read: `[secrets.NAME] hosts` in `brand.toml`. In a
   * header of a call to one of these hosts, it is replaced by the secret.
   */
  ref(name: string): string;
};
