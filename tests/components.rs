//! Components that were not built by the engine. They may use only the published world.

use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::{RunContext, Sandbox, SandboxConfig};

use crate::sandbox::block_on;

/// Searches the memory for a marker. If there is none, writes the marker every STRIDE
/// bytes. `run` returns `result<_, failure>` through memory: the failure's name is
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
    ;; The image page must be as it was at first.
    (i64.ne (i64.load (i32.const 65536)) (i64.const 0x6c616974696e69)))
  (func $fill
    (local $at i32)
    (local.set $at (i32.const 65536))
    (loop $next
      (i64.store (local.get $at) (i64.const 0x5a17ce5a17ce5a17))
      (local.set $at (i32.add (local.get $at) (i32.const STRIDE)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 10485760)))))
  (func $answer (param $found i32) (result i32)
    ;; result<_, failure>: tag, then name, message, file (pointer, length),
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
    let text = format!(
        r#"(component
  {imports}
  (core module $core {core})
  (core instance $main (instantiate $core))
  (alias core export $main "memory" (core memory $memory))
  (type $failure' (record
    (field "name" string) (field "message" string) (field "file" string)
    (field "line" u32) (field "column" u32) (field "stack" string)))
  (component $shim
    (import "failure" (type $import (eq $failure')))
    (import "run" (func $run (param "heap-bytes-max" u32) (result (result (error $import)))))
    (export $failure "failure" (type $import))
    (export "run" (func $run) (func (param "heap-bytes-max" u32) (result (result (error $failure))))))
  (func $run (param "heap-bytes-max" u32) (result (result (error $failure')))
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

#[test]
fn links_only_the_published_world() {
    block_on(async {
        let sandbox = Sandbox::new(&SandboxConfig::default()).unwrap();
        let core = format!("{} (func (export \"run\") (param i32) (result i32) (call $run))", marker_core(8));
        for import in [
            r#"(import "wasi:cli/environment@0.2.12" (instance (export "get-environment" (func (result (list (tuple string string)))))))"#,
            r#"(import "wasi:filesystem/preopens@0.2.12" (instance (export "x" (func))))"#,
            r#"(import "wasi:sockets/tcp@0.2.12" (instance (export "x" (func))))"#,
            r#"(import "wasi:random/insecure@0.2.12" (instance (export "get-insecure-random-u64" (func (result u64)))))"#,
            r#"(import "sluice:page/compiler@0.1.0" (instance (export "compile" (func))))"#,
        ] {
            let refused = sandbox.load(&component(import, &core));
            let name = import.split('"').nth(1).unwrap();
            let message = refused.err().unwrap_or_else(|| panic!("{name} was linked")).to_string();
            assert!(message.contains(name.split('@').next().unwrap()), "{message}");
        }
    });
}

#[test]
fn rejects_bytes_that_are_not_a_component() {
    let sandbox = Sandbox::new(&SandboxConfig::default()).unwrap();
    for bytes in [&b""[..], b"\0asm\x01\0\0\0", b"not wasm"] {
        assert!(sandbox.load(bytes).is_err());
    }
}

#[test]
fn foreign_components_have_the_same_limits() {
    block_on(async {
        let sandbox = Sandbox::new(&SandboxConfig::default()).unwrap();
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
