//! The globals that scripts have in a sandbox. A test compares these tables with the engine.

/// Sluice's own functions.
pub const FUNCTIONS: &[&str] = &[
    "AddCrmFieldValue",
    "ClearCrmEntries",
    "CountCrmEntries",
    "CreateCrmEntry",
    "DeleteCrmEntry",
    "EnsureCrmEntity",
    "FindCrmEntries",
    "GetCrmEntries",
    "GetCrmEntry",
    "GetCrmField",
    "GetCrmFieldValues",
    "GetCrmFields",
    "MoveCrmLead",
    "MoveCrmToEntity",
    "MoveCrmToPipeline",
    "MoveCrmToStage",
    "ReassignCrmReference",
    "RemoveCrmRelation",
    "SetCrmField",
    "SetCrmFields",
    "SetCrmRelation",
    "UpdateCrmEntry",
    "addCrmFieldValue",
    "atob",
    "btoa",
    "clearCrmEntries",
    "countCrmEntries",
    "createCrmEntry",
    "deleteCrmEntry",
    "ensureCrmEntity",
    "fetch",
    "findCrmEntries",
    "getCrmEntries",
    "getCrmEntry",
    "getCrmField",
    "getCrmFieldValues",
    "getCrmFields",
    "getCustomer",
    "getUser",
    "getVariable",
    "moveCrmLead",
    "moveCrmToEntity",
    "moveCrmToPipeline",
    "moveCrmToStage",
    "reassignCrmReference",
    "redirect",
    "removeCrmRelation",
    "setCrmField",
    "setCrmFields",
    "setCrmRelation",
    "setHeader",
    "setVariable",
    "structuredClone",
    "updateCrmEntry",
];

/// Frozen objects, each with all of its members.
pub const OBJECTS: &[(&str, &[&str])] = &[
    ("console", &["debug", "error", "info", "log", "warn"]),
    ("cookie", &["delete", "set"]),
    ("crypto", &["getRandomValues", "randomUUID", "subtle"]),
    ("crypto.subtle", &["digest", "exportKey", "generateKey", "importKey", "sign", "verify"]),
    ("files", &["delete", "keep", "list", "url"]),
    ("http", &["calls", "delete", "fake", "get", "patch", "post", "put"]),
    (
        "request",
        &[
            "bodies",
            "body",
            "cookies",
            "files",
            "headers",
            "ip",
            "ip6",
            "is_mobile",
            "is_tablet",
            "method",
            "path",
            "queries",
            "query",
            "rawBody",
            "route_params",
            "route_slug",
            "text",
        ],
    ),
    ("request.headers", &["accept-language", "host", "referer", "user-agent"]),
    ("response", &["json", "send", "status"]),
    ("Schema", &["any", "array", "boolean", "number", "object", "string"]),
    ("secrets", &["get", "ref"]),
    ("cache", &["del", "get", "has", "increment", "purge", "set", "setIfAbsent"]),
    ("queue", &["cancel", "push", "pushed", "run", "status"]),
    ("storage", &["compareAndSet", "del", "get", "has", "increment", "list", "mutate", "set", "setIfAbsent"]),
    ("session", &["clearCustomer", "delete", "get", "getToken", "set", "setCustomer", "setFromToken"]),
];

/// Sluice's other globals: classes and values.
pub const VALUES: &[&str] = &[
    "AbortSignal",
    "CryptoKey",
    "DOMException",
    "Headers",
    "Response",
    "URL",
    "URLSearchParams",
    "customer",
    "is_customer",
];

/// JavaScript's own objects whose members scripts call, each with its members.
pub const STANDARD_OBJECTS: &[(&str, &[&str])] = &[
    ("Array", &["from", "fromAsync", "isArray", "of"]),
    ("Date", &["UTC", "now", "parse"]),
    ("JSON", &["isRawJSON", "parse", "rawJSON", "stringify"]),
    (
        "Math",
        &[
            "E",
            "LN10",
            "LN2",
            "LOG10E",
            "LOG2E",
            "PI",
            "SQRT1_2",
            "SQRT2",
            "abs",
            "acos",
            "acosh",
            "asin",
            "asinh",
            "atan",
            "atan2",
            "atanh",
            "cbrt",
            "ceil",
            "clz32",
            "cos",
            "cosh",
            "exp",
            "expm1",
            "f16round",
            "floor",
            "fround",
            "hypot",
            "imul",
            "log",
            "log10",
            "log1p",
            "log2",
            "max",
            "min",
            "pow",
            "random",
            "round",
            "sign",
            "sin",
            "sinh",
            "sqrt",
            "sumPrecise",
            "tan",
            "tanh",
            "trunc",
        ],
    ),
    (
        "Number",
        &[
            "EPSILON",
            "MAX_SAFE_INTEGER",
            "MAX_VALUE",
            "MIN_SAFE_INTEGER",
            "MIN_VALUE",
            "NEGATIVE_INFINITY",
            "NaN",
            "POSITIVE_INFINITY",
            "isFinite",
            "isInteger",
            "isNaN",
            "isSafeInteger",
            "parseFloat",
            "parseInt",
        ],
    ),
    (
        "Object",
        &[
            "assign",
            "create",
            "defineProperties",
            "defineProperty",
            "entries",
            "freeze",
            "fromEntries",
            "getOwnPropertyDescriptor",
            "getOwnPropertyDescriptors",
            "getOwnPropertyNames",
            "getOwnPropertySymbols",
            "getPrototypeOf",
            "groupBy",
            "hasOwn",
            "is",
            "isExtensible",
            "isFrozen",
            "isSealed",
            "keys",
            "preventExtensions",
            "seal",
            "setPrototypeOf",
            "values",
        ],
    ),
    ("Promise", &["all", "allSettled", "any", "race", "reject", "resolve", "try", "withResolvers"]),
];

/// JavaScript's other globals.
const STANDARD: &[&str] = &[
    "AggregateError",
    "ArrayBuffer",
    "AsyncDisposableStack",
    "BigInt",
    "BigInt64Array",
    "BigUint64Array",
    "Boolean",
    "DataView",
    "DisposableStack",
    "Error",
    "EvalError",
    "FinalizationRegistry",
    "Float16Array",
    "Float32Array",
    "Float64Array",
    "Function",
    "Infinity",
    "Int16Array",
    "Int32Array",
    "Int8Array",
    "InternalError",
    "Iterator",
    "Map",
    "NaN",
    "Proxy",
    "RangeError",
    "ReferenceError",
    "Reflect",
    "RegExp",
    "Set",
    "SharedArrayBuffer",
    "String",
    "SuppressedError",
    "Symbol",
    "SyntaxError",
    "TextDecoder",
    "TextEncoder",
    "TypeError",
    "URIError",
    "Uint16Array",
    "Uint32Array",
    "Uint8Array",
    "Uint8ClampedArray",
    "WeakMap",
    "WeakRef",
    "WeakSet",
    "decodeURI",
    "decodeURIComponent",
    "encodeURI",
    "encodeURIComponent",
    "escape",
    "eval",
    "globalThis",
    "isFinite",
    "isNaN",
    "parseFloat",
    "parseInt",
    "queueMicrotask",
    "undefined",
    "unescape",
];

/// The methods of schemas. With each method stand the kinds of schema that have it; an
/// empty list means all kinds.
pub const SCHEMA_METHODS: &[(&str, &[&str])] = &[
    ("custom", &[]),
    ("default", &[]),
    ("email", &["string"]),
    ("integer", &["number"]),
    ("items", &["array"]),
    ("label", &[]),
    ("lowercase", &["string"]),
    ("max", &["string", "number", "array"]),
    ("min", &["string", "number", "array"]),
    ("negative", &["number"]),
    ("optional", &[]),
    ("pattern", &["string"]),
    ("pattern_values", &["object"]),
    ("positive", &["number"]),
    ("required", &[]),
    ("strip", &[]),
    ("url", &["string"]),
    ("valid", &[]),
    ("validate", &[]),
];

/// Members that every object inherits.
const OF_EVERY_OBJECT: &[&str] = &[
    "__proto__",
    "constructor",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "toString",
    "valueOf",
];
/// Members that every function inherits in addition.
const OF_EVERY_FUNCTION: &[&str] = &["apply", "bind", "call", "length", "name", "prototype"];

/// Globals of browsers and other servers, and what to use instead.
const ELSEWHERE: &[(&str, &str)] = &[
    ("Buffer", "use Uint8Array, TextEncoder, btoa and atob"),
    ("Deno", "scripts run in a sandbox of their own, not in Deno"),
    ("AbortController", "end a call after a time with `AbortSignal.timeout(milliseconds)`"),
    ("Request", "pass the address and options to `fetch(url, options)`"),
    ("WebSocket", NO_SOCKETS),
    ("XMLHttpRequest", CALLS),
    ("axios", CALLS),
    ("__dirname", NO_FILES),
    ("__filename", NO_FILES),
    ("alert", BROWSER),
    ("body", "read `request.body`"),
    ("clearInterval", NO_TIMERS),
    ("clearTimeout", NO_TIMERS),
    ("cookies", COOKIES),
    ("crm", "CRM calls are functions: `getCrmField({ slug, fieldKey })`"),
    ("document", BROWSER),
    ("env", NO_ENVIRONMENT),
    ("exports", "write `export` in front of what others may import"),
    ("fs", NO_FILES),
    ("headers", "read `request.headers`, write with `setHeader(name, value)`"),
    ("history", BROWSER),
    ("localStorage", "keep values of a visitor with `session.set(key, value)`"),
    ("location", "read `request.path`, send visitors elsewhere with `redirect(url)`"),
    ("module", "write `export` in front of what others may import"),
    ("navigator", "read `request.headers[\"user-agent\"]`, `request.is_mobile` or `request.is_tablet`"),
    ("params", "read `request.query` or `request.route_params`"),
    ("process", NO_ENVIRONMENT),
    ("query", "read `request.query`"),
    ("req", "it is called `request`"),
    ("require", "write `import { name } from \"module\"` at the top of the script"),
    ("res", "it is called `response`"),
    ("sessionStorage", "keep values of a visitor with `session.set(key, value)`"),
    ("setImmediate", NO_TIMERS),
    ("setInterval", NO_TIMERS),
    ("setTimeout", NO_TIMERS),
    ("window", BROWSER),
];
const COOKIES: &str = "read `request.cookies[\"name\"]`, write with `cookie.set(name, value)`";
const NO_ENVIRONMENT: &str = "there is no environment to read; secrets come from `secrets.get(name)`";
const CALLS: &str = "call other servers with `fetch(url, options)` or `http.get(url)`";
const NO_SOCKETS: &str = "scripts open no sockets; call other servers with `fetch(url, options)`";
const NO_TIMERS: &str = "there are no timers, because a run ends with the request; do the work at once";
const NO_FILES: &str =
    "scripts cannot reach the server's files; keep values with `storage`, uploaded files with `files.keep`";
const BROWSER: &str = "it exists in browsers only; put this code into a script without `scope`, or pass values to the page with `setVariable`";

/// Members that objects of other servers have, and what to use instead.
const MEMBERS_ELSEWHERE: &[(&str, &[&str], &str)] = &[
    ("cookie", &["get", "getAll", "has", "parse"], "read `request.cookies[\"name\"]`"),
    ("request", &["cookie", "getCookie"], "read `request.cookies[\"name\"]`"),
    ("request", &["form", "formData", "json"], "read `request.body`, which is the parsed body"),
    ("request", &["get", "header"], "read `request.headers[\"user-agent\"]`"),
    ("request", &["param", "params"], "read `request.route_params`, or `request.query` for what follows `?`"),
    ("request", &["searchParams"], "read `request.query`"),
    ("request", &["session"], "use the global `session`"),
    ("request", &["url"], "read `request.path` and `request.query`"),
    ("request", &["user"], "use the global `customer`"),
    ("response", &["cookie", "cookies", "setCookie"], "use `cookie.set(name, value)`"),
    ("response", &["end", "html", "write"], "use `response.send(html)`"),
    ("response", &["header", "headers", "set", "setHeader"], "use `setHeader(name, value)`"),
    ("response", &["redirect"], "use `redirect(url)`"),
    (
        "response",
        &["render"],
        "set variables with `setVariable(name, value)`; the page is rendered after the script",
    ),
    ("response", &["sendStatus", "statusCode"], "use `response.status(code)`"),
    ("session", &["clear", "destroy", "logout"], "log out with `session.clearCustomer()`"),
    ("session", &["customer", "user"], "use the global `customer`"),
    ("session", &["getCustomer"], "call `getCustomer()`"),
    ("session", &["login"], "call `session.setCustomer(fields)`"),
];

/// The properties of `customer`, and those that earlier versions of the product stored in it.
pub const CUSTOMER: &[&str] =
    &["currency", "email", "first_name", "id", "last_name", "name", "order_ids", "total"];
/// The properties of what `getUser()` returns.
pub const USER: &[&str] = &["email", "name"];

/// Every global.
pub fn all() -> impl Iterator<Item = &'static str> {
    let objects = OBJECTS.iter().chain(STANDARD_OBJECTS).map(|(name, _)| *name);
    objects.filter(|name| !name.contains('.')).chain(FUNCTIONS.iter().chain(VALUES).chain(STANDARD).copied())
}

/// Whether a global with this name exists.
pub fn is_known(name: &str) -> bool {
    all().any(|known| known == name)
}

/// Whether assigning to this global throws.
pub fn is_read_only(name: &str) -> bool {
    let own = OBJECTS.iter().map(|(name, _)| *name).chain(FUNCTIONS.iter().chain(VALUES).copied());
    own.chain(["Infinity", "NaN", "TextDecoder", "TextEncoder", "undefined"]).any(|known| known == name)
}

/// The members of an object such as `session`, `crypto.subtle` or `Math`. `None` if they
/// are not known.
pub fn members(path: &str) -> Option<&'static [&'static str]> {
    OBJECTS.iter().chain(STANDARD_OBJECTS).find(|(name, _)| *name == path).map(|(_, members)| *members)
}

/// Whether the object `path` has or inherits `member`. True if its members are not known.
pub fn has_member(path: &str, member: &str) -> bool {
    let is_function = path.starts_with(char::is_uppercase);
    members(path).is_none_or(|members| members.contains(&member))
        || OF_EVERY_OBJECT.contains(&member)
        || (is_function && OF_EVERY_FUNCTION.contains(&member))
}

/// What to use instead of a global that only other platforms have.
pub fn elsewhere(name: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(known, _)| *known == name).map(|(_, help)| *help)
}

/// What to use instead of a member that only objects of other servers have.
pub fn member_elsewhere(path: &str, member: &str) -> Option<&'static str> {
    let own = MEMBERS_ELSEWHERE.iter().find(|(of, names, _)| *of == path && names.contains(&member));
    own.map(|(_, _, help)| *help)
}

/// Whether every object inherits a member of this name.
pub fn is_inherited(member: &str) -> bool {
    OF_EVERY_OBJECT.contains(&member)
}
