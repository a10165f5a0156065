//! A component that the engine has no part in calls every import of the published
//! world with arguments that are forbidden, malformed or out of bounds, and gets
//! nowhere.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use sluice_crm::CrmSchema;
use sluice_crm::access::CrmAccess;
use sluice_kit::keys::Keys;
use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::{RunContext, RunReport, Sandbox, SandboxConfig};
use sluice_session::handoff::Handoff;
use sluice_store::Store;
use sluice_store::sqlite::{SqliteOptions, SqliteStore};

use crate::sandbox::block_on;

/// What a function gives back, and with that how to tell that it did something.
#[derive(Clone, Copy, PartialEq)]
enum Gives {
    Nothing,
    /// `true` when it did.
    Bool,
    /// Some when there was something.
    Option(&'static str),
    /// Ok when it did.
    Result(&'static str),
}

#[derive(Clone)]
enum Arg {
    Text(Vec<u8>),
    Number(f64),
    /// Of an enum.
    Case(u32),
    Some(Vec<u8>),
    /// Pointer and length as they are.
    Raw(u32, u32),
}

struct Function {
    interface: &'static str,
    name: &'static str,
    /// Names and types.
    params: &'static [(&'static str, &'static str)],
    gives: Gives,
    /// Arguments that must not get through.
    forbidden: Vec<Vec<Arg>>,
}

fn text(text: &str) -> Arg {
    Arg::Text(text.as_bytes().to_vec())
}

/// MessagePack of one JSON value.
fn value(json: &str) -> Arg {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    Arg::Text(sluice_kit::value::encode(&value))
}

/// MessagePack that is none, or that no value may be.
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
        // Stop calls may be made by anybody: only malformed text is refused.
        f("response", "json", &[("text", "string")], Gives::Nothing, vec![]),
        f("response", "send", &[("html", "string")], Gives::Nothing, vec![]),
        f("variables", "set", name_value, Gives::Bool, variables.collect()),
        f(
            "variables",
            "get",
            &[("name", "string")],
            Gives::Option("(list u8)"),
            each(["none", "", "__proto__", "sluice:test {\"call\":\"plan\"}"].map(text)),
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

const OPERATIONS: [&str; 14] = [
    "get-field",
    "get-fields",
    "get-entries",
    "get-values",
    "set-field",
    "set-fields",
    "add-value",
    "clear",
    "move-to-stage",
    "move-to-pipeline",
    "move-lead",
    "move-to-entity",
    "reassign",
    "ensure-entity",
];

/// Every operation on an entity of another brand, and with options that are none.
fn crm() -> Vec<Function> {
    let theirs = "{\"slug\": \"theirs\", \"fromSlug\": \"theirs\", \"toSlug\": \"theirs-too\", \"referenceId\": \"1\",
        \"fieldKey\": \"a\", \"fieldKeys\": [\"a\"], \"value\": 1, \"fields\": [{\"fieldKey\": \"a\", \"value\": 1}],
        \"fieldMap\": {\"a\": \"b\"}, \"stageSlug\": \"new\", \"pipelineSlug\": \"sales\", \"stageId\": 1, \"pipelineId\": 1,
        \"fromReferenceType\": \"customer\", \"fromReferenceId\": \"1\"}";
    let options = [theirs, "{}", "[]", "\"x\"", "{\"slug\": {}}"].map(value).into_iter().chain(malformed());
    let options: Vec<Arg> = options
        .map(|arg| match arg {
            Arg::Text(bytes) => Arg::Some(bytes),
            other => other,
        })
        .collect();
    let mut forbidden = Vec::new();
    for operation in 0..OPERATIONS.len() as u32 {
        // A brand may make entities of its own; without a customer a reassignment is
        // answered before the entity is looked for; and a slug of a wrong type makes no
        // entity. These calls answer with `ok: false` or null.
        let answered: &[usize] = match OPERATIONS[operation as usize] {
            "ensure-entity" => &[0, 4],
            "reassign" => &[0],
            _ => &[],
        };
        let refused = options.iter().enumerate().filter(|(index, _)| !answered.contains(index));
        forbidden.extend(refused.map(|(_, options)| vec![Arg::Case(operation), options.clone()]));
    }
    forbidden.push(vec![Arg::Case(99), Arg::Some(vec![0x80])]);
    let params = &[("operation", "$operation"), ("options", "(option (list u8))")];
    vec![Function { interface: "crm", name: "call", params, gives: Gives::Result("(list u8)"), forbidden }]
}

fn functions() -> Vec<Function> {
    let read = Function {
        interface: "request",
        name: "read",
        params: &[],
        gives: Gives::Nothing,
        forbidden: vec![],
    };
    [session(), browser(), crm(), vec![read]].into_iter().flatten().collect()
}

/// Arguments that are no values at all: outside the memory, or not UTF-8.
fn out_of_bounds(function: &Function) -> Vec<Vec<Arg>> {
    let wrong =
        [Arg::Raw(u32::MAX, 10), Arg::Raw(0, u32::MAX), Arg::Raw(1 << 20, 1), Arg::Text(vec![0xff, 0xfe])];
    let fine = |kind: &str| match kind {
        "f64" => Arg::Number(302.0),
        "$level" | "$operation" => Arg::Case(0),
        "(option (list u8))" => Arg::Some(vec![0xc0]),
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
            let mut args: Vec<Arg> = function.params.iter().map(|(_, kind)| fine(kind)).collect();
            args[index] = arg.clone();
            out.push(args);
        }
    }
    out
}

/// The component: one import, one call of it, and the answer is a failure named
/// `Through` when the call did something.
fn component(function: &Function, args: &[Arg]) -> Vec<u8> {
    let (mut data, mut pushes, mut core_params, mut at) =
        (String::new(), String::new(), String::new(), 4096u32);
    for arg in args {
        match arg {
            Arg::Number(number) => {
                core_params.push_str(" f64");
                let bits = number.to_bits();
                write!(pushes, "(f64.reinterpret_i64 (i64.const {bits}))").unwrap();
            }
            Arg::Case(case) => {
                core_params.push_str(" i32");
                write!(pushes, "(i32.const {case})").unwrap();
            }
            Arg::Raw(pointer, length) => {
                core_params.push_str(" i32 i32");
                write!(pushes, "(i32.const {pointer}) (i32.const {length})").unwrap();
            }
            Arg::Text(bytes) | Arg::Some(bytes) => {
                if matches!(arg, Arg::Some(_)) {
                    core_params.push_str(" i32");
                    pushes.push_str("(i32.const 1)");
                }
                core_params.push_str(" i32 i32");
                write!(pushes, "(i32.const {at}) (i32.const {})", bytes.len()).unwrap();
                let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
                write!(data, "(data (i32.const {at}) \"{escaped}\")").unwrap();
                at += u32::try_from(bytes.len()).unwrap() + 16;
            }
        }
    }
    let returns_by_pointer =
        matches!(function.gives, Gives::Option(_) | Gives::Result(_)) || function.name == "read";
    let result = if function.gives == Gives::Bool { "(result i32)" } else { "" };
    if returns_by_pointer {
        core_params.push_str(" i32");
        pushes.push_str("(i32.const 64)");
    }
    let call = format!("(call $import {pushes})");
    let through = match function.gives {
        Gives::Nothing => format!("{call} (i32.const 0)"),
        Gives::Bool => call,
        Gives::Option(_) => format!("{call} (i32.load8_u (i32.const 64))"),
        Gives::Result(_) => format!("{call} (i32.eqz (i32.load8_u (i32.const 64)))"),
    };
    let params: String =
        function.params.iter().map(|(name, kind)| format!("(param \"{name}\" {kind}) ")).collect();
    let gives = match function.gives {
        Gives::Nothing if function.name == "read" => "(result (list u8))".to_owned(),
        Gives::Nothing => String::new(),
        Gives::Bool => "(result bool)".to_owned(),
        Gives::Option(of) => format!("(result (option {of}))"),
        Gives::Result(ok) => format!("(result (result {ok} (error $exception)))"),
    };
    let (interface, name) = (function.interface, function.name);
    let wat = format!(
        r#"(component
  (import "sluice:page/types@0.1.0" (instance $types
    (type $class' (enum "type-error" "range-error" "error"))
    (export "error-class" (type $class (eq $class')))
    (type $exception' (record (field "class" $class) (field "message" string)))
    (export "exception" (type (eq $exception')))))
  (alias export $types "exception" (type $exception))
  (import "sluice:page/{interface}@0.1.0" (instance $interface
    (alias outer 1 $exception (type $outer))
    (export "exception" (type $exception (eq $outer)))
    (type $level' (enum "debug" "info" "log" "warn" "error"))
    (export "level" (type $level (eq $level')))
    (type $operation' (enum {operations}))
    (export "operation" (type $operation (eq $operation')))
    (export "{name}" (func {params} {gives}))))
  (core module $memory
    (memory (export "memory") 16)
    (global $next (mut i32) (i32.const 524288))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $next))
      (global.set $next (i32.and (i32.add (i32.add (local.get $at) (local.get 3)) (i32.const 15)) (i32.const -16)))
      (local.get $at)))
  (core instance $mem (instantiate $memory))
  (alias core export $mem "memory" (core memory $bytes))
  (alias core export $mem "realloc" (core func $realloc))
  (core func $lowered (canon lower (func $interface "{name}")
    (memory $bytes) (realloc $realloc)))
  (core module $main
    (import "env" "memory" (memory 16))
    (import "env" "call" (func $import (param{core_params}) {result}))
    (data (i32.const 32) "Through")
    {data}
    (func (export "run") (param i32) (result i32)
      (local $through i32)
      (local.set $through {through_block})
      (i32.store8 (i32.const 128) (local.get $through))
      (i32.store (i32.const 132) (i32.const 32))
      (i32.store (i32.const 136) (i32.const 7))
      (i32.const 128)))
  (core instance $env (export "memory" (memory $bytes)) (export "call" (func $lowered)))
  (core instance $run (instantiate $main (with "env" (instance $env))))
  (type $failure' (record
    (field "name" string) (field "message" string) (field "file" string)
    (field "line" u32) (field "column" u32) (field "stack" string)))
  (component $shim
    (import "failure" (type $import (eq $failure')))
    (import "run" (func $run (param "heap-bytes-max" u32) (result (result (error $import)))))
    (export $failure "failure" (type $import))
    (export "run" (func $run) (func (param "heap-bytes-max" u32) (result (result (error $failure))))))
  (func $run (param "heap-bytes-max" u32) (result (result (error $failure')))
    (canon lift (core func $run "run") (memory $bytes)))
  (instance $script (instantiate $shim (with "failure" (type $failure')) (with "run" (func $run))))
  (export "sluice:page/script@0.1.0" (instance $script)))"#,
        operations = OPERATIONS.map(|name| format!("\"{name}\"")).join(" "),
        through_block = format_args!("(block (result i32) {through})"),
    );
    // An interface has only the types that it uses.
    let unused = |line: &&str| {
        let has = |types: &[&str]| types.iter().any(|name| line.contains(name));
        let in_interface = line.starts_with("    (type")
            || line.starts_with("    (export")
            || line.starts_with("    (alias");
        let of_exception = has(&["outer 1 $exception", "(eq $outer)"]);
        in_interface
            && ((of_exception && !matches!(function.gives, Gives::Result(_)))
                || (has(&["$level'"]) && interface != "console")
                || (has(&["$operation'"]) && interface != "crm"))
    };
    let wat: String = wat.lines().filter(|line| !unused(line)).map(|line| format!("{line}\n")).collect();
    wat::parse_str(&wat).unwrap_or_else(|error| panic!("{interface}.{name}: {error}\n{wat}"))
}

struct World {
    sandbox: Sandbox,
    store: Arc<SqliteStore>,
    _data: tempfile::TempDir,
}

impl World {
    /// A brand with nothing in it beside one that has the entity `theirs`.
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(data.path().join("db"))).await.unwrap();
        let schema = CrmSchema::parse("[[entity]]\nslug = 'theirs'", "crm.toml").unwrap();
        sluice_crm::CrmStore::apply_crm_schema(&store, "b", schema).await.unwrap();
        Self {
            sandbox: Sandbox::new(&SandboxConfig::default()).unwrap(),
            store: Arc::new(store),
            _data: data,
        }
    }

    async fn run(&self, component: &[u8]) -> RunReport {
        let key = "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let handoff = Handoff {
            keys: Arc::new(Keys::load(Some(key), None, None).unwrap()),
            tokens: Arc::clone(&self.store) as _,
            brand: "a".into(),
        };
        let crm = CrmAccess::new(Arc::clone(&self.store) as Arc<dyn Store>, "a", Arc::default());
        let context = RunContext { crm: Some(crm), handoff: Some(handoff), ..RunContext::default() };
        let script = self.sandbox.load(component).unwrap();
        self.sandbox.run(&script, context).await.unwrap()
    }
}

#[test]
fn forbidden_arguments_get_nowhere() {
    block_on(async {
        let world = World::new().await;
        for function in functions() {
            let name = format!("{}.{}", function.interface, function.name);
            let forbidden = function.forbidden.iter().cloned();
            for (index, args) in forbidden.chain(out_of_bounds(&function)).enumerate() {
                let report = world.run(&component(&function, &args)).await;
                let through = report.failure.as_ref().is_some_and(|failure| failure.name == "Through");
                assert!(!through, "{name}, call {index} got through");
                // The component is to blame, or was told no: the host never failed.
                assert!(
                    matches!(report.outcome, Outcome::Ok | Outcome::Error),
                    "{name}, call {index}: {:?} {:?}",
                    report.outcome,
                    report.failure
                );
                let effects = report.effects;
                assert!(
                    effects.cookies.is_empty() && effects.headers.is_empty() && effects.variables.is_empty(),
                    "{name}, call {index}"
                );
                assert_eq!((effects.stop, effects.status), (None, None), "{name}, call {index}");
                assert!(report.session.changes().is_empty(), "{name}, call {index}");
            }
        }
    });
}

/// The test's own check: the same component does get through with arguments that
/// are allowed.
#[test]
fn allowed_arguments_do_get_through() {
    block_on(async {
        let world = World::new().await;
        for (interface, name, args) in [
            ("session", "set", vec![text("k"), value("1")]),
            ("session", "set-customer", vec![value("{\"email\": \"a@b\"}")]),
            ("cookie", "set", vec![text("a"), text("v"), value("null")]),
            ("response", "set-header", vec![text("x-a"), text("v")]),
            ("response", "status", vec![Arg::Number(201.0)]),
            ("variables", "set", vec![text("a"), value("1")]),
        ] {
            let function = functions()
                .into_iter()
                .find(|known| (known.interface, known.name) == (interface, name))
                .unwrap();
            let report = world.run(&component(&function, &args)).await;
            assert_eq!(
                report.failure.map(|failure| failure.name).as_deref(),
                Some("Through"),
                "{interface}.{name}"
            );
        }
    });
}

#[test]
fn every_function_of_the_published_world_is_called() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut published = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let interface = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if interface != "script" {
            let text = std::fs::read_to_string(&path).unwrap();
            let functions = text.lines().filter_map(|line| line.trim().split_once(": func("));
            published.extend(functions.map(|(name, _)| format!("{interface}.{name}")));
        }
    }
    published.sort();
    let mut called: Vec<String> = functions().iter().map(|f| format!("{}.{}", f.interface, f.name)).collect();
    called.sort();
    assert_eq!(called, published);
}
