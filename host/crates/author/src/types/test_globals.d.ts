
// --- tests: in `*.test.js` files only -----------------------------------------------------

/** A page's response, and what the page's script did. */
interface SluiceVisit {
  readonly status: number;
  /** The response's headers, with lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** The target of a redirect; `null` if the response is not a redirect. */
  readonly location: string | null;
  /** The body as text. */
  readonly text: string;
  /** Parses the body as JSON. */
  json(): any;
  /** The page's file; `null` if no page answered. */
  readonly page: string | null;
  /** How the script ended: `ok`, `stopped`, `error`, `compile`, `fuel`, `memory`, `timeout`, `stack`, `template`, `host`. */
  readonly outcome: string | null;
  /** The error that ended the script or the template. */
  readonly failure: {
    readonly name: string;
    readonly message: string;
    readonly file: string | null;
    readonly line: number | null;
    readonly column: number | null;
    readonly stack: readonly string[];
  } | null;
  /** The fuel that the script used. The same script with the same input uses the same fuel. */
  readonly fuel: number;
  /** The most memory that the script used. */
  readonly memory_bytes: number;
  /** The variables that the script set with `setVariable`. */
  readonly variables: Readonly<Record<string, any>>;
  /** The session's values after the request. */
  readonly session: Readonly<Record<string, any>>;
  /** The customer who is logged in after the request. */
  readonly customer: SluiceCustomer | null;
  /** The lines that the script logged. */
  readonly console: readonly { readonly level: string; readonly text: string }[];
  /** The script's CRM calls, in order. */
  readonly crm: readonly { readonly call: string; readonly options: any; readonly result?: any; readonly refused?: string; readonly error?: string }[];
  /** The script's calls of `storage` and `cache`, in order. */
  readonly storage: readonly { readonly call: string; readonly arguments: any; readonly result?: any; readonly error?: string }[];
  /** The script's calls of `queue`, in order. */
  readonly queue: readonly { readonly call: string; readonly arguments: any; readonly result?: any; readonly error?: string }[];
  /** The script's calls to other servers, in the order in which they ended. */
  readonly http: readonly { readonly method: string; readonly host: string; readonly status: number | null; readonly ms: number; readonly bytes_sent: number; readonly bytes_received: number; readonly error: string | null }[];
  /** The script's calls of `files`, in order. */
  readonly files: readonly { readonly call: string; readonly options: any; readonly result?: any; readonly error?: string }[];
  /** The visitor's cookies after the request. */
  readonly cookies: Readonly<Record<string, string>>;
}

interface SluiceVisitOptions {
  /** Defaults to POST if there is a body, otherwise to GET. */
  method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Sends this value as JSON. */
  json?: unknown;
  /** Sends these fields as an HTML form. */
  form?: Record<string, string | number | boolean>;
  /** Sends these files, together with the fields of `form`. A `content` that is text is sent as UTF-8. */
  files?: { name?: string; filename?: string; type?: string; content?: string | Uint8Array }[];
  /** Sends this text. Set its type with the header `content-type`. */
  body?: string;
  /** Query parameters, in addition to those in the address. */
  query?: Record<string, string | number | boolean>;
  headers?: Record<string, string>;
  /** Cookies for this request only, in addition to the visitor's. */
  cookies?: Record<string, string>;
  /** Logs this customer in before the request. */
  customer?: SluiceCustomerFields;
  /** Puts these values into the session before the request. */
  session?: Record<string, unknown>;
}

/** Makes a request to a page. The test's visitor keeps the cookies. Redirects are not followed. */
declare function visit(address: string, options?: SluiceVisitOptions): SluiceVisit;

/** Makes another visitor, with its own cookies. */
declare function visitor(options?: { customer?: SluiceCustomerFields; session?: Record<string, unknown>; https?: boolean }): {
  visit(address: string, options?: SluiceVisitOptions): SluiceVisit;
};

/** Reads the test's CRM data. To write CRM data, use the CRM functions with a `referenceId`. */
declare const crm: {
  /** Returns the entries of all references, or of one, newest first. */
  entries(slug: CrmSlug, options?: { referenceType?: string; referenceId?: string }): SluiceEntry[];
};

/**
 * The time of the test, which pages, jobs and the test itself see. It starts at 2026-01-01T00:00:00Z and stands
 * still. Both functions return the new time in Unix milliseconds.
 */
declare const clock: {
  /** Sets the time: a text such as `"2026-07-01T09:00:00Z"`, a `Date` or a number of milliseconds. */
  set(time: string | number | Date): number;
  /** Moves the time on, by a duration such as `"90s"`, `"15m"`, `"2h"` or `"30d"`, or by a number of seconds. */
  advance(duration: string | number): number;
};

interface SluiceTest {
  /** Declares a test. Each test runs in its own sandbox, on its own empty database. */
  (name: string, run: () => void | Promise<void>): void;
  /** Declares a test that is not run. */
  skip(name: string, run?: () => void | Promise<void>): void;
  /** Declares a test. If a file has tests with `only`, its other tests are not run. */
  only(name: string, run: () => void | Promise<void>): void;
}

declare const test: SluiceTest;

/** Registers a function that runs before each test of the file. */
declare function beforeEach(run: () => void | Promise<void>): void;

interface SluiceMatchers {
  /** The same value (`Object.is`). */
  toBe(value: unknown): void;
  /** Deeply equal. A key whose value is `undefined` counts as missing. */
  toEqual(value: unknown): void;
  /** An object that has at least these properties, deeply equal. */
  toMatchObject(value: object): void;
  /** A string that contains this text, or a list that contains this item. */
  toContain(item: unknown): void;
  /** A list that contains a deeply equal item. */
  toContainEqual(item: unknown): void;
  /** A string that matches this expression or contains this text. */
  toMatch(pattern: RegExp | string): void;
  /**
   * A function that throws. Give a part of the message, an expression that the message matches,
   * or the error's class.
   */
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
  /** A result of `visit` whose script used less fuel than this. */
  toUseFuelBelow(fuel: number): void;
}

declare function expect(received: unknown): SluiceMatchers & { readonly not: SluiceMatchers };

/** The same functions, for files that prefer to import them. */
declare module "sluice:testing" {
  const named: {
    test: SluiceTest;
    beforeEach: typeof beforeEach;
    expect: typeof expect;
    visit: typeof visit;
    visitor: typeof visitor;
    crm: typeof crm;
    clock: typeof clock;
  };
  export const test: typeof named.test;
  export const beforeEach: typeof named.beforeEach;
  export const expect: typeof named.expect;
  export const visit: typeof named.visit;
  export const visitor: typeof named.visitor;
  export const crm: typeof named.crm;
  export const clock: typeof named.clock;
}

interface SluiceQueue {
  /** For tests: the jobs that are still to run, in the order in which they are due. */
  pushed(): {
    jobId: string;
    module: string;
    fn: string;
    payload: any;
    tag: string | null;
    key: string | null;
    /** When it is due, in Unix milliseconds. */
    at: number;
  }[];
  /**
   * For tests: runs the jobs that are due at the time of the test, and those that they push, in the order in
   * which they are due. Returns how many have run. A job that fails makes it throw.
   */
  run(): number;
}

interface SluiceHttp {
  /**
   * For tests: calls of pages to URLs that match the pattern get this response. `*` stands for any text, and
   * the newest fake has precedence. A test calls no server, so a call without a fake throws a `TypeError`.
   */
  fake(
    pattern: string,
    response?: {
      method?: string;
      status?: number;
      headers?: Record<string, string>;
      /** A text, or a value that is sent as JSON. */
      body?: unknown;
      /** There is no answer, for this reason. */
      error?: string;
    },
  ): void;
  /** For tests: the calls that pages have made so far. */
  calls(): { method: string; url: string; headers: Record<string, string>; body: string }[];
}
