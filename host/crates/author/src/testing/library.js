// The globals of test files: test, beforeEach, expect, visit, visitor, crm, clock. This library runs in
// the same sandbox as the test. It asks the host for everything else, such as requests.

const { stringify } = JSON;
const { getPrototypeOf, is, keys } = Object;
const { isArray } = Array;
const OWN_FILE = "sluice:testing";

// Removes the library's own stack frames, so that the author's frame comes first.
const authorStack = (stack) =>
  stack
    .split("\n")
    .filter((line) => !line.includes(OWN_FILE) && !line.includes("sluice:test-runner"))
    .join("\n");

const withAuthorStack = (error) => {
  Object.defineProperty(error, "stack", { value: authorStack(error.stack), configurable: true });
  return error;
};

const refuse = (message) => {
  throw withAuthorStack(new TypeError(message));
};

const ask = (call) => {
  const answer = getVariable("sluice:test " + stringify(call));
  if (answer === null) refuse("this works only under `sluice test`");
  if (answer.error !== undefined) refuse(answer.error);
  return answer.value;
};

// --- declaring -------------------------------------------------------------

const tests = [];
const hooks = [];

const declare = (mode, name, run) => {
  if (typeof name !== "string" || name === "") refuse("test needs a name and a function");
  if (typeof run !== "function") refuse(`test "${name}" has no function`);
  if (tests.some((known) => known.name === name)) refuse(`there are two tests with the name "${name}"`);
  tests.push({ name, mode, run, frame: authorStack(new Error().stack).split("\n")[0].trim() });
};

export const test = (name, run) => declare("run", name, run);
test.skip = (name, run = () => {}) => declare("skip", name, run);
test.only = (name, run) => declare("only", name, run);

export const beforeEach = (run) => {
  if (typeof run !== "function") refuse("beforeEach needs a function");
  hooks.push(run);
};

// The host runs the file once to get the list of its tests, and then once for each test.
export const run = async () => {
  const wanted = ask({ call: "plan" });
  if (wanted === null) {
    ask({ call: "tests", tests: tests.map(({ name, mode, frame }) => ({ name, mode, frame })) });
    return;
  }
  const found = tests.find((declared) => declared.name === wanted);
  if (!found) refuse(`test "${wanted}" is missing: a file must declare the same tests each time it runs`);
  for (const hook of hooks) await hook();
  await found.run();
  ask({ call: "passed" });
};

// --- visiting --------------------------------------------------------------

const OPTIONS = ["method", "json", "form", "files", "body", "query", "headers", "cookies", "customer", "session"];

const knownOnly = (given, known, where) => {
  for (const key of keys(given)) {
    if (!known.includes(key)) refuse(`${where} has no option \`${key}\`; it has ${known.join(", ")}`);
  }
};

const encodeForm = (fields) =>
  keys(fields)
    .map((key) => `${encodeURIComponent(key)}=${encodeURIComponent(String(fields[key]))}`)
    .join("&");

// --- forms with files ---

const BOUNDARY = "sluice-test-boundary";
// Each byte as one character.
const asBytes = (content) => {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
};

const encodeFiles = (fields, files) => {
  if (!Array.isArray(files)) refuse("visit: files must be a list of { name, filename, type, content }");
  const quoted = (text) => asBytes(String(text)).replaceAll('"', "%22").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
  const part = (head, content) => `--${BOUNDARY}\r\nContent-Disposition: form-data; ${head}\r\n\r\n${content}\r\n`;
  const texts = keys(fields).map((key) => part(`name="${quoted(key)}"`, asBytes(String(fields[key]))));
  const contents = files.map((file) => {
    knownOnly(file, ["name", "filename", "type", "content"], "a file of visit");
    const { name = "file", filename = "file", type, content = "" } = file;
    const media = type === undefined ? "" : `\r\nContent-Type: ${quoted(type)}`;
    return part(`name="${quoted(name)}"; filename="${quoted(filename)}"${media}`, asBytes(content));
  });
  return `${texts.join("")}${contents.join("")}--${BOUNDARY}--\r\n`;
};

class Visit {
  constructor(answer) {
    const { response, run } = answer;
    this.status = response.status;
    this.headers = response.headers;
    this.location = response.headers.location ?? null;
    this.text = response.body;
    this.page = run?.page ?? null;
    this.outcome = run?.outcome ?? null;
    this.failure = run?.failure ?? null;
    this.fuel = run?.fuel ?? 0;
    this.memory_bytes = run?.memory_bytes ?? 0;
    this.variables = answer.variables ?? {};
    this.session = answer.session?.values ?? {};
    this.customer = answer.session?.customer ?? null;
    this.console = answer.console ?? [];
    this.crm = answer.crm;
    this.storage = answer.storage;
    this.queue = answer.queue;
    this.http = answer.http;
    this.files = answer.files;
    this.cookies = answer.cookies;
  }

  json() {
    try {
      return JSON.parse(this.text);
    } catch (error) {
      refuse(`the response is not JSON (${error.message}): ${shorten(this.text, 200)}`);
    }
  }
}

const send = (number, address, options = {}) => {
  if (typeof address !== "string") refuse("visit needs an address, such as \"/weight/checkin\"");
  knownOnly(options, OPTIONS, "visit");
  const { json, form, body, query, headers = {}, cookies = {}, customer, session } = options;
  const bodies = {
    json: () => stringify(json),
    form: () => encodeForm(form),
    files: () => encodeFiles(form ?? {}, options.files),
    body: () => String(body),
  };
  let given = keys(bodies).filter((key) => options[key] !== undefined);
  // Fields and files are one form.
  if (given.length === 2 && given[0] === "form" && given[1] === "files") given = ["files"];
  if (given.length > 1) refuse(`visit can send one body, not ${given.join(" and ")}`);
  const types = {
    json: "application/json",
    form: "application/x-www-form-urlencoded",
    files: `multipart/form-data; boundary=${BOUNDARY}`,
    body: null,
  };
  const search = query ? encodeForm(query) : "";
  return new Visit(
    ask({
      call: "visit",
      visitor: number,
      method: options.method ?? (given.length > 0 ? "POST" : "GET"),
      address: search ? address + (address.includes("?") ? "&" : "?") + search : address,
      body: given.length > 0 ? bodies[given[0]]() : null,
      is_bytes: given[0] === "files",
      content_type: given.length > 0 ? types[given[0]] : null,
      headers: keys(headers).map((name) => [name, String(headers[name])]),
      cookies: keys(cookies).map((name) => [name, String(cookies[name])]),
      customer: customer ?? null,
      session: session ?? {},
    }),
  );
};

export const visitor = (options = {}) => {
  knownOnly(options, ["customer", "session", "https"], "visitor");
  const { customer = null, session = {}, https = false } = options;
  const number = ask({ call: "visitor", customer, session, https });
  return { visit: (address, options) => send(number, address, options) };
};

// The test's own visitor is made at the first visit.
let own;
export const visit = (address, options) => (own ??= visitor()).visit(address, options);

export const crm = {
  entries: (slug, options = {}) => {
    knownOnly(options, ["referenceType", "referenceId"], "crm.entries");
    const { referenceType = null, referenceId = null } = options;
    return ask({ call: "entries", slug: String(slug), reference_type: referenceType, reference_id: referenceId });
  },
};

// --- time -------------------------------------------------------------------

const { isSafeInteger } = Number;
const UNITS = { s: 1, m: 60, h: 3_600, d: 86_400 };
// The last moment of the year 9999.
const LATEST = 253_402_300_799_999;

const moveTo = (call, now_ms) => {
  if (!(now_ms >= 0 && now_ms <= LATEST)) refuse(`${call}: the time of a test can be from 1970 to 9999`);
  ask({ call: "clock", now_ms });
  return now_ms;
};

export const clock = {
  set: (time) => {
    const ms = time instanceof Date ? time.getTime() : typeof time === "string" ? Date.parse(time) : time;
    if (!isSafeInteger(ms)) {
      refuse(`clock.set needs a time such as "2026-07-01T09:00:00Z", a Date or a number of milliseconds, got ${show(time)}`);
    }
    return moveTo("clock.set", ms);
  },
  advance: (duration) => {
    const [, count, unit] = (typeof duration === "string" && /^(\d+)([smhd])$/.exec(duration)) || [];
    const seconds = unit === undefined ? duration : Number(count) * UNITS[unit];
    if (!isSafeInteger(seconds) || seconds < 0) {
      refuse(`clock.advance needs a duration such as "90s", "15m", "2h" or "30d", or a number of seconds, got ${show(duration)}`);
    }
    return moveTo("clock.advance", Date.now() + seconds * 1_000);
  },
};

// --- expecting -------------------------------------------------------------

const shorten = (text, max) => (text.length > max ? text.slice(0, max) + "…" : text);

const show = (value, depth = 0) => {
  if (typeof value === "string") return stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return `[function ${value.name || "(anonymous)"}]`;
  if (value === null || typeof value !== "object") return is(value, -0) ? "-0" : String(value);
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (value instanceof Date || value instanceof RegExp) return String(value);
  if (depth > 5) return isArray(value) ? "[…]" : "{…}";
  if (value instanceof Map || value instanceof Set) return `${value.constructor.name} ${show([...value], depth)}`;
  const inside = (text) => (text ? `{ ${text} }` : "{}");
  if (isArray(value)) return `[${value.map((item) => show(item, depth + 1)).join(", ")}]`;
  return inside(keys(value).map((key) => `${key}: ${show(value[key], depth + 1)}`).join(", "));
};

// Deep equality. A key whose value is undefined counts as missing.
const alike = (a, b, subset = false) => {
  if (is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (getPrototypeOf(a) !== getPrototypeOf(b) && !subset) {
    if (isArray(a) !== isArray(b) || a instanceof Date !== b instanceof Date) return false;
  }
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
  if (a instanceof RegExp && b instanceof RegExp) return String(a) === String(b);
  if (a instanceof Error && b instanceof Error) return a.name === b.name && a.message === b.message;
  if (a instanceof Map && b instanceof Map) return alike([...a], [...b]);
  if (a instanceof Set && b instanceof Set) return alike([...a], [...b]);
  if (isArray(a) !== isArray(b) || (isArray(a) && a.length !== b.length)) return false;
  const named = subset ? keys(b) : [...new Set([...keys(a), ...keys(b)])];
  return named.every((key) => alike(a[key], b[key], subset));
};

const number = (value, what) => {
  if (typeof value !== "number" && typeof value !== "bigint") refuse(`${what} is not a number: ${show(value)}`);
  return value;
};

const compare = (holds, words) => (received, limit) => ({
  pass: holds(number(received, "what was received"), number(limit, "the limit")),
  expected: `${words} ${show(limit)}`,
});

const lengthOf = (value) => value?.length ?? value?.size;

const contains = (received, item) => {
  if (typeof received === "string") return received.includes(item);
  if (typeof received?.[Symbol.iterator] !== "function") refuse(`this has no items: ${show(received)}`);
  return [...received].some((found) => is(found, item));
};

const thrownBy = (received) => {
  if (typeof received !== "function") refuse("toThrow needs a function: expect(() => …).toThrow()");
  try {
    if (received() instanceof Promise) refuse("toThrow needs a function that is not async");
  } catch (error) {
    return { error };
  }
  return null;
};

const isThe = (error, wanted) => {
  const message = error instanceof Error ? error.message : String(error);
  if (wanted === undefined) return true;
  if (wanted instanceof RegExp) return wanted.test(message);
  return typeof wanted === "function" ? error instanceof wanted : message.includes(String(wanted));
};

const property = (value, path) =>
  path.split(".").reduce((at, key) => (at !== null && typeof at === "object" && key in at ? { v: at[key] }.v : undefined), value);

// Each matcher returns whether it holds, and what was expected, in words.
const MATCHERS = {
  toBe: (received, value) => ({ pass: is(received, value), expected: show(value) }),
  toEqual: (received, value) => ({ pass: alike(received, value), expected: show(value) }),
  toMatchObject: (received, value) => ({ pass: alike(received, value, true), expected: `at least ${show(value)}` }),
  toContain: (received, item) => ({ pass: contains(received, item), expected: `something with ${show(item)}` }),
  toContainEqual: (received, item) => ({
    pass: [...received].some((found) => alike(found, item)),
    expected: `something with ${show(item)}`,
  }),
  toMatch: (received, pattern) => ({
    pass: pattern instanceof RegExp ? pattern.test(String(received)) : String(received).includes(pattern),
    expected: `text that matches ${show(pattern)}`,
  }),
  toThrow: (received, wanted) => {
    const thrown = thrownBy(received);
    return {
      pass: thrown !== null && isThe(thrown.error, wanted),
      expected: wanted === undefined ? "an exception" : `an exception: ${show(wanted)}`,
      received: thrown === null ? "no exception" : show(thrown.error),
    };
  },
  toBeTruthy: (received) => ({ pass: Boolean(received), expected: "something true" }),
  toBeFalsy: (received) => ({ pass: !received, expected: "something false" }),
  toBeNull: (received) => ({ pass: received === null, expected: "null" }),
  toBeUndefined: (received) => ({ pass: received === undefined, expected: "undefined" }),
  toBeDefined: (received) => ({ pass: received !== undefined, expected: "anything but undefined" }),
  toBeInstanceOf: (received, type) => ({ pass: received instanceof type, expected: `an instance of ${type.name}` }),
  toBeGreaterThan: compare((a, b) => a > b, "more than"),
  toBeGreaterThanOrEqual: compare((a, b) => a >= b, "at least"),
  toBeLessThan: compare((a, b) => a < b, "less than"),
  toBeLessThanOrEqual: compare((a, b) => a <= b, "at most"),
  toBeCloseTo: (received, value, digits = 2) => ({
    pass: Math.abs(received - value) < 10 ** -digits / 2,
    expected: `${show(value)}, to ${digits} digits`,
  }),
  toHaveLength: (received, length) => ({
    pass: lengthOf(received) === length,
    expected: `length ${length}`,
    received: `length ${lengthOf(received)}: ${show(received)}`,
  }),
  toHaveProperty: (received, path, ...value) => {
    const found = property(received, String(path));
    const pass = value.length > 0 ? alike(found, value[0]) : found !== undefined;
    return { pass, expected: `${path}${value.length > 0 ? `: ${show(value[0])}` : ""}` };
  },
  toUseFuelBelow: (received, fuel) => {
    if (!(received instanceof Visit)) refuse("toUseFuelBelow needs the result of visit()");
    return {
      pass: received.fuel < number(fuel, "the budget"),
      expected: `less than ${fuel} units of fuel`,
      received: `${received.fuel} units of fuel`,
    };
  },
};

class AssertionError extends Error {
  constructor(message) {
    super(message);
    this.name = "AssertionError";
  }
}

const matchersOf = (received, negated) => {
  const matchers = {};
  for (const name of keys(MATCHERS)) {
    matchers[name] = (...args) => {
      const outcome = MATCHERS[name](received, ...args);
      if (outcome.pass !== negated) return;
      const call = `expect(…)${negated ? ".not" : ""}.${name}`;
      const expected = shorten(`${negated ? "not " : ""}${outcome.expected}`, 2000);
      const shown = shorten(outcome.received ?? show(received), 2000);
      ask({ call: "failed", expected, received: shown });
      throw withAuthorStack(new AssertionError(`${call} does not hold`));
    };
  }
  return matchers;
};

export const expect = (received) => ({ ...matchersOf(received, false), not: matchersOf(received, true) });

// Test files can use these without an import.
for (const [name, value] of Object.entries({ test, beforeEach, expect, visit, visitor, crm, clock })) {
  Object.defineProperty(globalThis, name, { value, enumerable: true });
}
