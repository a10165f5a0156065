//! The functions of the published world, and for each the arguments that it must reject.

/// What a function returns, which shows whether the call was accepted.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Gives {
    /// Nothing: the test looks at the run's effects only.
    Nothing,
    /// `true` if the call was accepted.
    Bool,
    /// Some if there was a value.
    Option(&'static str),
    /// Ok if the call was accepted.
    Result(&'static str),
}

/// An argument of a call.
#[derive(Clone)]
pub(super) enum Arg {
    Text(Vec<u8>),
    Number(f64),
    /// A case of an enum, or a truth value.
    Case(u32),
    /// A pointer and a length, which may be invalid.
    Raw(u32, u32),
}

pub(super) struct Function {
    pub(super) interface: &'static str,
    pub(super) name: &'static str,
    /// Names and types.
    pub(super) params: &'static [(&'static str, &'static str)],
    pub(super) gives: Gives,
    /// The arguments of calls that must be rejected.
    pub(super) forbidden: Vec<Vec<Arg>>,
}

pub(super) fn text(text: &str) -> Arg {
    Arg::Text(text.as_bytes().to_vec())
}

/// A JSON value as MessagePack.
pub(super) fn value(json: &str) -> Arg {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    Arg::Text(sluice_kit::value::encode(&value))
}

/// Bytes that are not MessagePack, or not an allowed value.
fn malformed() -> Vec<Arg> {
    let deep = [vec![0x91; 200], vec![0xc0]].concat();
    let not_finite = vec![0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0];
    let promises = vec![0xdd, 0xff, 0xff, 0xff, 0xff];
    [vec![], vec![0xc1], deep, not_finite, promises, vec![0x81, 0x01, 0x01], vec![0xa1, 0xff]]
        .map(Arg::Text)
        .to_vec()
}

fn each(args: impl IntoIterator<Item = Arg>) -> Vec<Vec<Arg>> {
    args.into_iter().map(|arg| vec![arg]).collect()
}

/// `first` with each of `rest`.
fn with(first: &Arg, rest: impl IntoIterator<Item = Arg>) -> Vec<Vec<Arg>> {
    rest.into_iter().map(|arg| vec![first.clone(), arg]).collect()
}

const RESERVED: [&str; 8] =
    ["customer", "customer_id", "email", "id", "csrf", "brand_id", "__proto__", "_own"];

fn session() -> Vec<Function> {
    let f =
        |name, params, gives, forbidden| Function { interface: "session", name, params, gives, forbidden };
    let one = value("1");
    let set = RESERVED.iter().map(|key| vec![text(key), one.clone()]);
    let set = set
        .chain(with(&text("k"), malformed()))
        .chain(with(&text("k"), [value(&format!("\"{}\"", "x".repeat(70_000)))]));
    let customers = ["\"x\"", "{}", "{\"email\": \"nobody\"}", "{\"email\": 1}", "[\"a@b\"]"].map(value);
    vec![
        f("get", &[("key", "string")], Gives::Option("(list u8)"), each(RESERVED.map(text))),
        f("set", &[("key", "string"), ("value", "(list u8)")], Gives::Bool, set.collect()),
        f("delete", &[("key", "string")], Gives::Bool, each(RESERVED.map(text))),
        f("customer", &[], Gives::Option("(list u8)"), vec![vec![]]),
        f(
            "set-customer",
            &[("fields", "(list u8)")],
            Gives::Bool,
            each(malformed().into_iter().chain(customers)),
        ),
        f("clear-customer", &[], Gives::Bool, vec![vec![]]),
        f(
            "get-token",
            &[("ttl-seconds", "f64")],
            Gives::Option("string"),
            each([60.0, f64::NAN, -1.0].map(Arg::Number)),
        ),
        f("set-from-token", &[("token", "string")], Gives::Bool, each(["", "v1.", "v1.AAAA", "x"].map(text))),
    ]
}

fn browser() -> Vec<Function> {
    let f =
        |interface, name, params, gives, forbidden| Function { interface, name, params, gives, forbidden };
    let null = value("null");
    let names = [
        "__Host-sluice",
        "__HOST-x",
        "__Secure-x",
        "sluice_session",
        "SLUICE_x",
        "a b",
        "",
        "a;b",
        "a=b",
        "a\r\nb",
    ];
    let options = [
        "{\"path\": \"x\"}",
        "{\"path\": \"/;\"}",
        "{\"path\": \"/\\r\\n\"}",
        "{\"sameSite\": \"None\"}",
        "{\"maxAge\": 1.5}",
        "[]",
        "1",
    ];
    let options = || malformed().into_iter().chain(options.map(value));
    let set = names.iter().map(|name| vec![text(name), text("v"), null.clone()]);
    let set = set.chain(options().map(|options| vec![text("a"), text("v"), options]));
    let delete = names.iter().map(|name| vec![text(name), null.clone()]);
    let delete = delete.chain(with(&text("a"), options()));
    let headers = [
        "set-cookie",
        "Set-Cookie",
        "location",
        "content-length",
        "transfer-encoding",
        "access-control-allow-origin",
        "x-accel-redirect",
        "a b",
        "",
        "a\r\nb",
    ];
    let urls = [
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "data:,x",
        "https://u:p@h/",
        "x",
        "",
        "/a\r\nb",
    ];
    let redirects = urls.iter().map(|url| vec![text(url), Arg::Number(302.0)]);
    let redirects =
        redirects.chain([200.0, 304.0, f64::NAN, -1.0].map(|status| vec![text("/"), Arg::Number(status)]));
    let name_value: &[_] = &[("name", "string"), ("value", "(list u8)")];
    let names = ["", "1a", "a.b", "a b", "ü", "a\0"];
    let variables =
        names.iter().map(|name| vec![text(name), value("1")]).chain(with(&text("a"), malformed()));
    vec![
        f(
            "cookie",
            "set",
            &[("name", "string"), ("value", "string"), ("options", "(list u8)")],
            Gives::Bool,
            set.collect(),
        ),
        f("cookie", "delete", &[("name", "string"), ("options", "(list u8)")], Gives::Bool, delete.collect()),
        f(
            "response",
            "status",
            &[("code", "f64")],
            Gives::Result(""),
            each([0.0, 199.0, 600.0, 200.5, f64::NAN, f64::INFINITY, -200.0].map(Arg::Number)),
        ),
        f(
            "response",
            "set-header",
            &[("name", "string"), ("value", "string")],
            Gives::Bool,
            headers.iter().map(|name| vec![text(name), text("v")]).collect(),
        ),
        f(
            "response",
            "redirect",
            &[("url", "string"), ("status", "f64")],
            Gives::Result(""),
            redirects.collect(),
        ),
        // Every component may make stop calls. Only malformed text is rejected.
        f("response", "json", &[("text", "string")], Gives::Nothing, vec![]),
        f("response", "send", &[("html", "string")], Gives::Nothing, vec![]),
        f("variables", "set", name_value, Gives::Bool, variables.collect()),
        f(
            "variables",
            "get",
            &[("name", "string")],
            Gives::Option("(list u8)"),
            each(
                [
                    "none",
                    "",
                    "__proto__",
                    "sluice:test {\"call\":\"plan\"}",
                    "sluice:checkpoint 1",
                    "sluice:checkpoint 1 1 1 a\nb",
                ]
                .map(text),
            ),
        ),
        f(
            "console",
            "write",
            &[("level", "$level"), ("text", "string")],
            Gives::Nothing,
            with(&Arg::Case(99), [text("x")]),
        ),
        f(
            "secrets",
            "get",
            &[("name", "string")],
            Gives::Option("string"),
            each(["", "KEY", "../x", "SLUICE_SECRET_A_KEY"].map(text)),
        ),
    ]
}

pub(super) const OPERATIONS: [&str; 22] = [
    "get-field",
    "get-fields",
    "get-entries",
    "get-values",
    "get-entry",
    "find-entries",
    "count-entries",
    "set-field",
    "set-fields",
    "add-value",
    "create-entry",
    "update-entry",
    "delete-entry",
    "set-relation",
    "remove-relation",
    "clear",
    "move-to-stage",
    "move-to-pipeline",
    "move-lead",
    "move-to-entity",
    "reassign",
    "ensure-entity",
];

/// Every operation: on an entity of another brand, and with invalid options.
fn crm() -> Vec<Function> {
    let theirs = "{\"slug\": \"theirs\", \"fromSlug\": \"theirs\", \"toSlug\": \"theirs-too\", \"referenceId\": \"1\",
        \"fieldKey\": \"a\", \"fieldKeys\": [\"a\"], \"value\": 1, \"fields\": [{\"fieldKey\": \"a\", \"value\": 1}],
        \"fieldMap\": {\"a\": \"b\"}, \"stageSlug\": \"new\", \"pipelineSlug\": \"sales\", \"stageId\": 1, \"pipelineId\": 1,
        \"fromReferenceType\": \"customer\", \"fromReferenceId\": \"1\"}";
    let options = [theirs, "{}", "[]", "\"x\"", "{\"slug\": {}}"].map(value).into_iter().chain(malformed());
    let options: Vec<Arg> = options.collect();
    let [is_partial, is_whole] = [0, 1].map(Arg::Case);
    let mut forbidden = Vec::new();
    for operation in 0..OPERATIONS.len() as u32 {
        // These calls return `ok: false` or null instead of an error: a brand may create its
        // own entities, a slug of a wrong type creates none, and without a customer a
        // reassignment ends before the entity is looked up.
        let answered: &[usize] = match OPERATIONS[operation as usize] {
            "ensure-entity" => &[0, 4],
            "reassign" => &[0],
            _ => &[],
        };
        let refused = options.iter().enumerate().filter(|(index, _)| !answered.contains(index));
        forbidden.extend(
            refused.map(|(_, options)| vec![Arg::Case(operation), options.clone(), is_whole.clone()]),
        );
        if answered.is_empty() {
            forbidden.push(vec![Arg::Case(operation), value(theirs), is_partial.clone()]);
        }
    }
    forbidden.push(vec![Arg::Case(99), Arg::Text(vec![0x80]), is_whole]);
    let params = &[("operation", "$operation"), ("options", "(list u8)"), ("is-whole", "bool")];
    vec![Function { interface: "crm", name: "call", params, gives: Gives::Result("(list u8)"), forbidden }]
}

/// Calls of every URL that no script may reach, and calls that are not valid.
fn http() -> Vec<Function> {
    let options = |url: &str| {
        value(
            &serde_json::json!({ "method": "GET", "url": url, "headers": [], "redirect": "follow" })
                .to_string(),
        )
    };
    let none = || [Arg::Case(0), Arg::Raw(0, 0)];
    let urls = include_str!("../attacks/http-urls.txt").lines();
    let urls = urls.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let urls = urls.map(|url| options(&url.replace("PORT", "8080")));
    let with = |part: &str| {
        let plain =
            "{\"method\": \"GET\", \"url\": \"http://1.1.1.1/\", \"headers\": [], \"redirect\": \"follow\"}";
        let mut call: serde_json::Value = serde_json::from_str(plain).unwrap();
        let part: serde_json::Value = serde_json::from_str(part).unwrap();
        call.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        value(&call.to_string())
    };
    let wrong = [
        "{\"method\": \"CONNECT\"}",
        "{\"method\": \"GET / HTTP/1.1\\r\\nhost: evil\"}",
        "{\"method\": 1}",
        "{\"url\": null}",
        "{\"redirect\": \"always\"}",
        "{\"timeout_ms\": -1}",
        "{\"timeout_ms\": 1.5}",
        "{\"headers\": {}}",
        "{\"headers\": [\"host\"]}",
        "{\"headers\": [\"host\", \"evil\"]}",
        "{\"headers\": [\"content-length\", \"1\"]}",
        "{\"headers\": [\"transfer-encoding\", \"chunked\"]}",
        "{\"headers\": [\"connection\", \"upgrade\"]}",
        "{\"headers\": [\"x-a\", \"b\\r\\nhost: evil\"]}",
        "{\"headers\": [\"x a\", \"b\"]}",
        "{\"headers\": [1, 2]}",
    ];
    let calls = urls.chain(wrong.map(with)).chain(malformed()).chain([value("null"), value("[]")]);
    let begin = Function {
        interface: "http",
        name: "begin",
        params: &[("options", "(list u8)"), ("body", "(option (list u8))")],
        gives: Gives::Result("u32"),
        forbidden: calls.map(|options| [vec![options], none().to_vec()].concat()).collect(),
    };
    let wait = Function {
        interface: "http",
        name: "wait",
        params: &[("calls", "(list u32)")],
        gives: Gives::Result("$ended"),
        // Calls that were never begun.
        forbidden: vec![vec![Arg::Raw(0, 0)], vec![Arg::Raw(0, 1)], vec![Arg::Raw(0, 1_000)]],
    };
    vec![begin, wait]
}

/// Files that are not of this run or this brand, and names that lead elsewhere.
fn files() -> Vec<Function> {
    let id = "a~p00000000000000000000000000000000.png";
    let mut forbidden = Vec::new();
    for (operation, options) in [
        (0, serde_json::json!({ "id": "1", "name": "a", "public": true })),
        (0, serde_json::json!({ "id": "0", "name": "../a", "public": true })),
        (0, serde_json::json!({ "id": 1 })),
        (1, serde_json::json!({ "id": id, "ttl": 0 })),
        (1, serde_json::json!({ "id": id, "ttl": 604_801 })),
        (1, serde_json::json!({ "id": id, "ttl": "9" })),
        (1, serde_json::json!({ "id": format!("../other/{id}"), "ttl": 9 })),
        (2, serde_json::json!({ "id": format!("../other/{id}") })),
        (2, serde_json::json!({ "id": "" })),
        (3, serde_json::json!({ "prefix": "../", "after": "~", "limit": 1 })),
        (3, serde_json::json!({ "prefix": "a~", "after": "", "limit": 1 })),
    ] {
        forbidden.push(vec![Arg::Case(operation), value(&options.to_string())]);
    }
    forbidden.extend(malformed().into_iter().map(|options| vec![Arg::Case(0), options]));
    let params = &[("operation", "$operation"), ("options", "(list u8)")];
    vec![Function { interface: "files", name: "call", params, gives: Gives::Result("(list u8)"), forbidden }]
}

pub(super) const STORAGE_OPERATIONS: [&str; 9] =
    ["get", "set", "del", "has", "set-if-absent", "compare-and-set", "increment", "list", "purge"];

fn storage() -> Vec<Function> {
    let long = format!("[\"{}\", 1, 1]", "k".repeat(201));
    let keys = [
        "null",
        "{}",
        "[]",
        "[7]",
        "[null, 1, 1]",
        "[\"\", 1, 1]",
        "[\"a b\", 1, 1]",
        "[\"a\\u0000\", 1, 1]",
    ];
    let lists = [
        "[7]",
        "[{\"prefix\": 1}]",
        "[{\"limit\": 0}]",
        "[{\"limit\": 201}]",
        "[{\"limt\": 1}]",
        "[{\"after\": \"\"}]",
    ];
    let mut forbidden = Vec::new();
    for area in 0..2 {
        for operation in 0..STORAGE_OPERATIONS.len() as u32 {
            let wrong = if STORAGE_OPERATIONS[operation as usize] == "list" { &lists[..] } else { &keys[..] };
            let wrong = wrong.iter().copied().chain([long.as_str()]).map(value).chain(malformed());
            forbidden.extend(wrong.map(|args| vec![Arg::Case(area), Arg::Case(operation), args]));
        }
    }
    let large = format!("[\"k\", \"{}\"]", "x".repeat(65_536));
    forbidden.push(vec![Arg::Case(0), Arg::Case(1), value(&large)]);
    // `cache` has neither `compareAndSet` nor `list`.
    forbidden.push(vec![Arg::Case(1), Arg::Case(5), value("[\"k\", null, 1]")]);
    forbidden.push(vec![Arg::Case(1), Arg::Case(7), value("[]")]);
    forbidden.push(vec![Arg::Case(2), Arg::Case(0), value("[\"k\"]")]);
    forbidden.push(vec![Arg::Case(0), Arg::Case(99), value("[\"k\"]")]);
    let params = &[("area", "$area"), ("operation", "$operation"), ("arguments", "(list u8)")];
    vec![Function {
        interface: "storage",
        name: "call",
        params,
        gives: Gives::Result("(list u8)"),
        forbidden,
    }]
}

pub(super) const QUEUE_OPERATIONS: [&str; 3] = ["push", "cancel", "status"];

fn queue() -> Vec<Function> {
    let large = format!("[\"m\", \"{}\"]", "x".repeat(65_536));
    let pushes = [
        "[\"n\", 1]",
        "[\"../m\", 1]",
        "[\"m\", 1, {\"fn\": \"toString\"}]",
        "[\"m\", 1, 7]",
        "[\"m\", 1, {\"delay\": -1}]",
        "[\"m\", 1, {\"delay\": 2592001}]",
        "[\"m\", 1, {\"delay\": 0.5}]",
        "[\"m\", 1, {\"at\": \"2100-01-01\"}]",
        "[\"m\", 1, {\"at\": 1e300}]",
        "[\"m\", 1, {\"at\": 1, \"delay\": 1}]",
        "[\"m\", 1, {\"tag\": \"\"}]",
        "[\"m\", 1, {\"key\": \"a\\u0000\"}]",
        "[\"m\", 1, {\"dealy\": 1}]",
        large.as_str(),
    ];
    let mut forbidden: Vec<Vec<Arg>> =
        pushes.iter().map(|arguments| vec![Arg::Case(0), value(arguments)]).collect();
    for operation in 0..QUEUE_OPERATIONS.len() as u32 {
        let wrong =
            ["null", "[]", "[7]", "[\"\"]", "[\"a\\u0001\"]"].map(value).into_iter().chain(malformed());
        forbidden.extend(wrong.map(|arguments| vec![Arg::Case(operation), arguments]));
    }
    forbidden.push(vec![Arg::Case(99), value("[\"m\"]")]);
    let params = &[("operation", "$operation"), ("arguments", "(list u8)")];
    vec![Function { interface: "queue", name: "call", params, gives: Gives::Result("(list u8)"), forbidden }]
}

pub(super) fn functions() -> Vec<Function> {
    let read = Function {
        interface: "request",
        name: "read",
        params: &[("part", "string")],
        gives: Gives::Nothing,
        forbidden: vec![],
    };
    let raw_body = Function {
        interface: "request",
        name: "raw-body",
        params: &[],
        gives: Gives::Option("(list u8)"),
        forbidden: vec![vec![]],
    };
    [session(), browser(), crm(), http(), files(), storage(), queue(), vec![read, raw_body]]
        .into_iter()
        .flatten()
        .collect()
}

/// Arguments that are not values at all: outside the memory, or not UTF-8.
pub(super) fn out_of_bounds(function: &Function) -> Vec<Vec<Arg>> {
    let wrong =
        [Arg::Raw(u32::MAX, 10), Arg::Raw(0, u32::MAX), Arg::Raw(1 << 20, 1), Arg::Text(vec![0xff, 0xfe])];
    let fine = |kind: &str| match kind {
        "f64" => Arg::Number(302.0),
        "$level" | "$operation" | "$area" => Arg::Case(0),
        "bool" => Arg::Case(1),
        "(list u32)" => Arg::Raw(0, 0),
        "string" => text("a"),
        _ => value("null"),
    };
    let mut out = Vec::new();
    for (index, (_, kind)) in
        function.params.iter().enumerate().filter(|(_, (_, kind))| matches!(*kind, "string" | "(list u8)"))
    {
        for arg in &wrong {
            if matches!(arg, Arg::Text(_)) && *kind != "string" {
                continue;
            }
            let args = function.params.iter().enumerate().flat_map(|(at, (_, kind))| match *kind {
                _ if at == index => vec![arg.clone()],
                // None.
                "(option (list u8))" => vec![Arg::Case(0), Arg::Raw(0, 0)],
                kind => vec![fine(kind)],
            });
            out.push(args.collect());
        }
    }
    out
}
