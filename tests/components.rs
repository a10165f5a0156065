//! Components that other tools built: they can use the published world, three interfaces of WASI
//! and nothing else.

use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::{RunContext, Sandbox, SandboxConfig, Script};

use crate::harness::sandbox;
use crate::sandbox::block_on;

/// Searches the memory for a marker. If there is none, writes the marker every STRIDE
/// bytes. `run` returns `result<u32, failure>` through memory: the failure's name is
/// `MarkerFound` if the marker was found.
const MARKER_CORE: &str = r#"
  (memory (export "memory") 160)
  ;; A page of the initial image, so that image pages are written, too.
  (data (i32.const 65536) "initial")
  (data (i32.const 32) "MarkerFound")
  (func $search (result i32)
    (local $at i32)
    (local.set $at (i32.const 131072))
    (loop $next
      (if (i64.eq (i64.load (local.get $at)) (i64.const 0x5a17ce5a17ce5a17)) (then (return (i32.const 1))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 10485760))))
    ;; The image page must have its initial content.
    (i64.ne (i64.load (i32.const 65536)) (i64.const 0x6c616974696e69)))
  (func $fill
    (local $at i32)
    (local.set $at (i32.const 65536))
    (loop $next
      (i64.store (local.get $at) (i64.const 0x5a17ce5a17ce5a17))
      (local.set $at (i32.add (local.get $at) (i32.const STRIDE)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 10485760)))))
  (func $answer (param $found i32) (result i32)
    ;; result<u32, failure>: tag, then name, message, file (pointer, length),
    ;; line, column, stack.
    (i32.store8 (i32.const 64) (local.get $found))
    (i32.store (i32.const 68) (i32.const 32))
    (i32.store (i32.const 72) (i32.const 11))
    (i32.const 64))
  (func $run (result i32)
    (local $found i32)
    (local.set $found (call $search))
    (call $fill)
    (call $answer (local.get $found)))
"#;

/// A component with the core module `core`, which has the functions and exports `run`.
fn component(imports: &str, core: &str) -> Vec<u8> {
    component_of(imports, core, "(instantiate $core)")
}

/// The same with the expression that instantiates `$core`.
fn component_of(imports: &str, core: &str, instance: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
  {imports}
  (core module $core {core})
  (core instance $main {instance})
  (alias core export $main "memory" (core memory $memory))
  (type $failure' (record
    (field "name" string) (field "message" string) (field "file" string)
    (field "line" u32) (field "column" u32) (field "stack" string)))
  (component $shim
    (import "failure" (type $import (eq $failure')))
    (import "run" (func $run (param "heap-bytes-max" u32) (result (result u32 (error $import)))))
    (export $failure "failure" (type $import))
    (export "run" (func $run) (func (param "heap-bytes-max" u32) (result (result u32 (error $failure))))))
  (func $run (param "heap-bytes-max" u32) (result (result u32 (error $failure')))
    (canon lift (core func $main "run") (memory $memory)))
  (instance $script (instantiate $shim (with "failure" (type $failure')) (with "run" (func $run))))
  (export "sluice:page/script@0.1.0" (instance $script)))"#
    );
    wat::parse_str(&text).unwrap()
}

fn marker_core(stride: u32) -> String {
    MARKER_CORE.replace("STRIDE", &stride.to_string())
}

/// Searches for the marker, and then writes it every `stride` bytes.
pub(crate) fn marker_component(stride: u32) -> Vec<u8> {
    let core = marker_core(stride);
    component("", &format!("{core} (func (export \"run\") (param i32) (result i32) (call $run))"))
}

/// Does the same twice in one run, so that the second search finds the marker.
pub(crate) fn marker_component_twice(stride: u32) -> Vec<u8> {
    let core = marker_core(stride);
    component(
        "",
        &format!("{core} (func (export \"run\") (param i32) (result i32) (drop (call $run)) (call $run))"),
    )
}

/// An interface that is not linked, with the type of one function or resource in it. The type is
/// the one that wasmtime-wasi would link, so that a component is rejected only because the
/// interface is missing. All other interfaces of WASI need a resource of one of these.
const UNLINKED: [(&str, &str); 18] = [
    ("wasi:cli/environment", r#"(export "get-environment" (func (result (list (tuple string string)))))"#),
    ("wasi:cli/environment", r#"(export "get-arguments" (func (result (list string))))"#),
    ("wasi:cli/exit", r#"(export "exit" (func (param "status" (result))))"#),
    ("wasi:cli/terminal-input", r#"(export "terminal-input" (type (sub resource)))"#),
    ("wasi:cli/terminal-output", r#"(export "terminal-output" (type (sub resource)))"#),
    ("wasi:io/error", r#"(export "error" (type (sub resource)))"#),
    ("wasi:io/poll", r#"(export "pollable" (type (sub resource)))"#),
    ("wasi:io/streams", r#"(export "input-stream" (type (sub resource)))"#),
    ("wasi:io/streams", r#"(export "output-stream" (type (sub resource)))"#),
    ("wasi:filesystem/types", r#"(export "descriptor" (type (sub resource)))"#),
    ("wasi:sockets/network", r#"(export "network" (type (sub resource)))"#),
    ("wasi:sockets/tcp", r#"(export "tcp-socket" (type (sub resource)))"#),
    ("wasi:sockets/udp", r#"(export "udp-socket" (type (sub resource)))"#),
    ("wasi:sockets/ip-name-lookup", r#"(export "resolve-address-stream" (type (sub resource)))"#),
    ("wasi:random/insecure", r#"(export "get-insecure-random-u64" (func (result u64)))"#),
    (
        "wasi:random/insecure",
        r#"(export "get-insecure-random-bytes" (func (param "len" u64) (result (list u8))))"#,
    ),
    ("wasi:random/insecure-seed", r#"(export "insecure-seed" (func (result (tuple u64 u64))))"#),
    ("wasi:http/types", r#"(export "fields" (type (sub resource)))"#),
];

/// Functions of linked interfaces that no component can import, because they return the resource
/// `pollable` of an interface that is not linked.
const UNREACHABLE: [(&str, &str); 2] = [
    (
        "wasi:clocks/monotonic-clock",
        r#"(export "pollable" (type $pollable (sub resource)))
           (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))"#,
    ),
    (
        "wasi:clocks/monotonic-clock",
        r#"(export "pollable" (type $pollable (sub resource)))
           (export "subscribe-instant" (func (param "when" u64) (result (own $pollable))))"#,
    ),
];

/// All functions of WASI that a component can import.
const LINKED: [(&str, &str); 6] = [
    (
        "wasi:clocks/wall-clock",
        r#"(type $datetime' (record (field "seconds" u64) (field "nanoseconds" u32)))
           (export "datetime" (type $datetime (eq $datetime')))
           (export "now" (func (result $datetime)))"#,
    ),
    (
        "wasi:clocks/wall-clock",
        r#"(type $datetime' (record (field "seconds" u64) (field "nanoseconds" u32)))
           (export "datetime" (type $datetime (eq $datetime')))
           (export "resolution" (func (result $datetime)))"#,
    ),
    ("wasi:clocks/monotonic-clock", r#"(export "now" (func (result u64)))"#),
    ("wasi:clocks/monotonic-clock", r#"(export "resolution" (func (result u64)))"#),
    ("wasi:random/random", r#"(export "get-random-u64" (func (result u64)))"#),
    ("wasi:random/random", r#"(export "get-random-bytes" (func (param "len" u64) (result (list u8))))"#),
];

fn load_with_import(
    sandbox: &Sandbox,
    interface: &str,
    version: &str,
    exports: &str,
) -> Result<Script, String> {
    let core = format!("{} (func (export \"run\") (param i32) (result i32) (call $run))", marker_core(8));
    let import = format!("(import \"{interface}@{version}\" (instance {exports}))");
    sandbox.load(&component(&import, &core)).map_err(|error| error.to_string())
}

#[test]
fn links_only_the_published_world() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        for (interface, exports) in UNLINKED.into_iter().chain(UNREACHABLE) {
            let rejected = load_with_import(&sandbox, interface, "0.2.12", exports);
            let message = rejected.err().unwrap_or_else(|| panic!("{interface} {exports} was linked"));
            assert!(message.contains(interface), "{message}");
        }
        let compiler = r#"(export "compile" (func))"#;
        let rejected = load_with_import(&sandbox, "sluice:page/compiler", "0.1.0", compiler);
        assert!(rejected.err().expect("the compiler was linked").contains("sluice:page/compiler"));
    });
}

#[test]
fn links_clocks_and_random_numbers() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        for (interface, exports) in LINKED {
            let loaded = load_with_import(&sandbox, interface, "0.2.12", exports);
            assert_eq!(loaded.err(), None, "{interface} {exports}");
        }
    });
}

/// Calls `get-random-bytes` for `length` bytes, `calls` times.
fn random_bytes_component(length: u64, calls: u32) -> Vec<u8> {
    let imports = r#"
  (import "wasi:random/random@0.2.12" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (core module $memory
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $heap (instantiate $memory))
  (alias core export $heap "memory" (core memory $bytes))
  (alias core export $heap "realloc" (core func $realloc))
  (core func $lowered (canon lower (func $random "get-random-bytes") (memory $bytes) (realloc $realloc)))
  (core instance $env (export "memory" (memory $bytes)) (export "get-random-bytes" (func $lowered)))"#;
    let core = format!(
        r#"(import "env" "get-random-bytes" (func $get (param i64 i32)))
  (import "env" "memory" (memory 2))
  (export "memory" (memory 0))
  (func (export "run") (param i32) (result i32)
    (local $left i32)
    (local.set $left (i32.const {calls}))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (call $get (i64.const {length}) (i32.const 1024))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next)))
    (i32.const 0))"#
    );
    let instance = r#"(instantiate $core (with "env" (instance $env)))"#;
    component_of(imports, &core, instance)
}

#[test]
fn random_bytes_are_bounded_and_charged() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let run = async |length, calls| {
            let script = sandbox.load(&random_bytes_component(length, calls)).unwrap();
            sandbox.run(&script, RunContext::default()).await.unwrap()
        };
        let one = run(8, 1).await;
        assert_eq!(one.outcome, Outcome::Ok, "{:?}", one.failure);
        let many = run(8, 1_001).await;
        // 10,000 for each call, and 10 for each byte.
        assert!(many.fuel - one.fuel >= 1_000 * 10_080, "{} and {}", one.fuel, many.fuel);
        for length in [9, 1 << 20, u64::MAX] {
            assert_eq!(run(length, 1).await.outcome, Outcome::Error, "{length} bytes");
        }
    });
}

#[test]
fn rejects_bytes_that_are_not_a_component() {
    let sandbox = sandbox(&SandboxConfig::default());
    for bytes in [&b""[..], b"\0asm\x01\0\0\0", b"not wasm"] {
        assert!(sandbox.load(bytes).is_err());
    }
}

#[test]
fn foreign_components_have_the_same_limits() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let endless = r#"(memory (export "memory") 1)
            (func (export "run") (param i32) (result i32) (loop $again (br $again)) (i32.const 0))"#;
        let greedy = r#"(memory (export "memory") 1)
            (func (export "run") (param i32) (result i32) (drop (memory.grow (i32.const 1000))) (i32.const 0))"#;
        let gives_up = r#"(memory (export "memory") 1)
            (func (export "run") (param i32) (result i32) unreachable)"#;
        for (core, outcome) in
            [(endless, Outcome::Fuel), (greedy, Outcome::Memory), (gives_up, Outcome::Error)]
        {
            let script = sandbox.load(&component("", core)).unwrap();
            let mut context = RunContext::default();
            context.limits.fuel = 100_000_000;
            assert_eq!(sandbox.run(&script, context).await.unwrap().outcome, outcome);
        }
    });
}

/// How a hostile component ends: what the error says when it is loaded, or the outcome of its run.
#[derive(Debug)]
enum Ends {
    Rejected(&'static str),
    Run(Outcome),
}

/// What must happen to each file in `tests/fuzz/seeds/component/`.
const HOSTILE: &[(&str, Ends)] = &[
    ("asynchronous", Ends::Rejected("async component functions")),
    ("compiler", Ends::Rejected("sluice:page/compiler@0.1.0")),
    ("copies", Ends::Run(Outcome::Fuel)),
    ("data-outside", Ends::Run(Outcome::Stack)),
    ("empty", Ends::Rejected("no exported instance named")),
    ("ends", Ends::Run(Outcome::Ok)),
    ("engine", Ends::Rejected("not a valid extern name")),
    ("environment", Ends::Rejected("wasi:cli/environment")),
    ("fails", Ends::Run(Outcome::Error)),
    ("grows", Ends::Run(Outcome::Memory)),
    ("large", Ends::Rejected("exceeds the limit of")),
    ("loops", Ends::Run(Outcome::Fuel)),
    ("many", Ends::Rejected("defined tables count of 3")),
    ("memory64", Ends::Rejected("64-bit memories")),
    ("misaligned", Ends::Run(Outcome::Error)),
    ("module", Ends::Rejected("parse a wasm module with a component parser")),
    ("no-run", Ends::Rejected("does not have export `run`")),
    ("other-engine", Ends::Rejected("the component was built for engine 000000000000")),
    ("other-type", Ends::Rejected("expected `list` found `u64`")),
    ("other-version", Ends::Rejected("sluice:page/request@9.9.9")),
    ("outside", Ends::Run(Outcome::Error)),
    ("random", Ends::Run(Outcome::Fuel)),
    ("recursion", Ends::Run(Outcome::Stack)),
    ("shared", Ends::Rejected("shared memories")),
    ("starts", Ends::Run(Outcome::Fuel)),
    ("table-grows", Ends::Run(Outcome::Ok)),
    ("tail-calls", Ends::Run(Outcome::Fuel)),
    ("traps", Ends::Run(Outcome::Error)),
    ("two-memories", Ends::Rejected("defined memories count of 2")),
    ("unwinds", Ends::Rejected("exceptions proposal not enabled")),
    ("vectors", Ends::Run(Outcome::Fuel)),
];

#[test]
fn hostile_components_are_rejected_or_end_at_a_limit() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds/component");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.trim_end_matches(".wat").to_owned())
        .collect();
    names.sort();
    let listed: Vec<&str> = HOSTILE.iter().map(|(name, _)| *name).collect();
    let mut wrong = Vec::new();
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let usual = sandbox.load(&marker_component(8)).unwrap();
        for name in &names {
            let bytes = wat::parse_file(folder.join(format!("{name}.wat"))).unwrap();
            let ended = match sandbox.load(&bytes) {
                Err(error) => Err(format!("{error:#}")),
                Ok(script) => {
                    let mut context = RunContext::default();
                    context.limits.fuel = 100_000_000;
                    Ok(sandbox.run(&script, context).await.unwrap().outcome)
                }
            };
            let is_expected = match (HOSTILE.iter().find(|(listed, _)| listed == name), &ended) {
                (Some((_, Ends::Rejected(text))), Err(error)) => error.contains(text),
                (Some((_, Ends::Run(outcome))), Ok(ended)) => ended == outcome,
                _ => false,
            };
            if !is_expected {
                wrong.push(format!("{name}: {ended:?}"));
            }
            // The next run in the same sandboxes finds nothing of it.
            let next = sandbox.run(&usual, RunContext::default()).await.unwrap();
            assert_eq!(next.outcome, Outcome::Ok, "after {name}: {:?}", next.failure);
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(names, listed, "each file has its line");
}
