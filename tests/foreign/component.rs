//! Builds a component that calls one function of the published world.

use std::fmt::Write as _;

use super::functions::{Arg, Function, Gives, OPERATIONS, QUEUE_OPERATIONS, STORAGE_OPERATIONS};

/// A component that imports one function and calls it once. Its run fails with the name
/// `Through` if the call was accepted.
pub(super) fn component(function: &Function, args: &[Arg]) -> Vec<u8> {
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
            Arg::Text(bytes) => {
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
    let operations: &[&str] = match interface {
        "files" => &["keep", "address", "delete", "list"],
        "storage" => &STORAGE_OPERATIONS,
        "queue" => &QUEUE_OPERATIONS,
        _ => &OPERATIONS,
    };
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
    (type $ended' (record (field "call" u32) (field "head" (list u8)) (field "body" (list u8))))
    (export "ended" (type $ended (eq $ended')))
    (type $area' (enum "storage" "cache"))
    (export "area" (type $area (eq $area')))
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
    (import "run" (func $run (param "heap-bytes-max" u32) (result (result u32 (error $import)))))
    (export $failure "failure" (type $import))
    (export "run" (func $run) (func (param "heap-bytes-max" u32) (result (result u32 (error $failure))))))
  (func $run (param "heap-bytes-max" u32) (result (result u32 (error $failure')))
    (canon lift (core func $run "run") (memory $bytes)))
  (instance $script (instantiate $shim (with "failure" (type $failure')) (with "run" (func $run))))
  (export "sluice:page/script@0.1.0" (instance $script)))"#,
        operations = operations.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" "),
        through_block = format_args!("(block (result i32) {through})"),
    );
    // An interface must declare only the types that it uses.
    let unused = |line: &&str| {
        let has = |types: &[&str]| types.iter().any(|name| line.contains(name));
        let in_interface = line.starts_with("    (type")
            || line.starts_with("    (export")
            || line.starts_with("    (alias");
        let of_exception = has(&["outer 1 $exception", "(eq $outer)"]);
        in_interface
            && ((of_exception && !matches!(function.gives, Gives::Result(_)))
                || (has(&["$level'"]) && interface != "console")
                || (has(&["$ended'"]) && function.name != "wait")
                || (has(&["$area'"]) && interface != "storage")
                || (has(&["$operation'"]) && !["crm", "files", "storage", "queue"].contains(&interface)))
    };
    let wat: String = wat.lines().filter(|line| !unused(line)).map(|line| format!("{line}\n")).collect();
    wat::parse_str(&wat).unwrap_or_else(|error| panic!("{interface}.{name}: {error}\n{wat}"))
}
