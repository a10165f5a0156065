
// --- tests: in `*.test.js` files only -----------------------------------------------------

/** What a page answered, and what its script did. */
interface SluiceVisit {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Where a redirect leads. */
  readonly location: string | null;
  /** The body. */
  readonly text: string;
  /** The body, parsed. */
  json(): any;
  /** The page's file; `null` where no page answered. */
  readonly page: string | null;
  /** How the script ended: `ok`, `stopped`, `error`, `compile`, `fuel`, `memory`, `timeout`, `stack`, `template`, `host`. */
  readonly outcome: string | null;
  readonly failure: {
    readonly name: string;
    readonly message: string;
    readonly file: string | null;
    readonly line: number | null;
    readonly column: number | null;
    readonly stack: readonly string[];
  } | null;
  /** What the script used. The same script and input use the same. */
  readonly fuel: number;
  readonly memory_bytes: number;
  /** What `setVariable` set. */
  readonly variables: Readonly<Record<string, any>>;
  /** What the session holds afterwards. */
  readonly session: Readonly<Record<string, any>>;
  /** Who is logged in afterwards. */
  readonly customer: SluiceCustomer | null;
  readonly console: readonly { readonly level: string; readonly text: string }[];
  /** The script's CRM calls, in order. */
  readonly crm: readonly { readonly call: string; readonly options: any; readonly result?: any; readonly refused?: string; readonly error?: string }[];
  /** The visitor's cookies afterwards. */
  readonly cookies: Readonly<Record<string, string>>;
}

interface SluiceVisitOptions {
  /** POST with a body, else GET. */
  method?: "GET" | "HEAD" | "POST";
  /** A body of JSON. */
  json?: unknown;
  /** A body of an HTML form. */
  form?: Record<string, string | number | boolean>;
  /** A body as it is; its type is a header. */
  body?: string;
  query?: Record<string, string | number | boolean>;
  headers?: Record<string, string>;
  cookies?: Record<string, string>;
  /** Logs in first. */
  customer?: SluiceCustomerFields;
  /** Puts this into the session first. */
  session?: Record<string, unknown>;
}

/** Makes a request to a page. Cookies stay with the test's visitor; redirects are not followed. */
declare function visit(address: string, options?: SluiceVisitOptions): SluiceVisit;

/** Another visitor, with cookies of its own. */
declare function visitor(options?: { customer?: SluiceCustomerFields; session?: Record<string, unknown>; https?: boolean }): {
  visit(address: string, options?: SluiceVisitOptions): SluiceVisit;
};

/** CRM data as the pages left it. To write some, use the CRM calls with a `referenceId`. */
declare const crm: {
  /** Entries of all references, or of one, newest first. */
  entries(slug: CrmSlug, options?: { referenceType?: string; referenceId?: string }): SluiceEntry[];
};

interface SluiceTest {
  /** Declares a test. Each runs in a sandbox of its own, on an empty database. */
  (name: string, run: () => void | Promise<void>): void;
  /** Not run. */
  skip(name: string, run?: () => void | Promise<void>): void;
  /** Of this file, only such tests are run. */
  only(name: string, run: () => void | Promise<void>): void;
}

declare const test: SluiceTest;

/** Runs before each test of the file. */
declare function beforeEach(run: () => void | Promise<void>): void;

interface SluiceMatchers {
  /** The very same (`Object.is`). */
  toBe(value: unknown): void;
  /** Alike in every part; keys with `undefined` are as if they were not there. */
  toEqual(value: unknown): void;
  /** Has at least these parts. */
  toMatchObject(value: object): void;
  /** A text with this part, or a list with this item. */
  toContain(item: unknown): void;
  /** A list with an item that is alike. */
  toContainEqual(item: unknown): void;
  toMatch(pattern: RegExp | string): void;
  /** The function throws: a message with this part, a pattern of it, or a class. */
  toThrow(wanted?: string | RegExp | (new (...args: any[]) => unknown)): void;
  toBeTruthy(): void;
  toBeFalsy(): void;
  toBeNull(): void;
  toBeUndefined(): void;
  toBeDefined(): void;
  toBeInstanceOf(type: new (...args: any[]) => unknown): void;
  toBeGreaterThan(limit: number | bigint): void;
  toBeGreaterThanOrEqual(limit: number | bigint): void;
  toBeLessThan(limit: number | bigint): void;
  toBeLessThanOrEqual(limit: number | bigint): void;
  toBeCloseTo(value: number, digits?: number): void;
  toHaveLength(length: number): void;
  toHaveProperty(path: string, value?: unknown): void;
  /** Of what `visit` gave: the page's script used less. */
  toUseFuelBelow(fuel: number): void;
}

declare function expect(received: unknown): SluiceMatchers & { readonly not: SluiceMatchers };

/** The same, to be imported. */
declare module "sluice:testing" {
  const named: {
    test: SluiceTest;
    beforeEach: typeof beforeEach;
    expect: typeof expect;
    visit: typeof visit;
    visitor: typeof visitor;
    crm: typeof crm;
  };
  export const test: typeof named.test;
  export const beforeEach: typeof named.beforeEach;
  export const expect: typeof named.expect;
  export const visit: typeof named.visit;
  export const visitor: typeof named.visitor;
  export const crm: typeof named.crm;
}
