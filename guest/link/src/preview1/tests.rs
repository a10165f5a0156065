//! Runs small guests that are merged with adapter.wat.

use super::*;
use wasmtime::{Caller, Engine, Instance, Linker, Store};

const GUEST: &str = r#"
(module
  (import "host" "first" (func $first (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "host" "second" (func $second (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (table (export "table") 1 funcref)
  (elem (i32.const 0) $second)
  (data (i32.const 0) "\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff")
  (type $number (func (result i32)))
  (func (export "clock") (param $id i32) (result i32)
    (call $clock_time_get (local.get $id) (i64.const 0) (i32.const 0)))
  (func (export "random") (param $length i32) (result i32)
    (call $random_get (i32.const 0) (local.get $length)))
  (func (export "write") (result i32)
    (call $fd_write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
  (func (export "first") (result i32) (call $first))
  (func (export "second") (result i32) (call_indirect (type $number) (i32.const 0)))
  (func (export "script_alloc") (param i32) (result i32) (local.get 0)))
"#;

fn guest() -> (Store<u64>, Instance) {
    let module = link(&wat::parse_str(GUEST).unwrap()).unwrap();
    let engine = Engine::default();
    let mut linker = Linker::<u64>::new(&engine);
    linker.func_wrap("host", "first", || 1).unwrap();
    linker.func_wrap("host", "second", || 2).unwrap();
    let wall_now = |mut caller: Caller<'_, u64>, at: u32| {
        let memory = caller.get_export("memory").unwrap().into_memory().unwrap();
        memory.write(&mut caller, at as usize, &7u64.to_le_bytes()).unwrap();
        memory.write(&mut caller, at as usize + 8, &9u64.to_le_bytes()).unwrap();
    };
    linker.func_wrap("wasi:clocks/wall-clock@0.2.12", "now", wall_now).unwrap();
    linker.func_wrap("wasi:clocks/monotonic-clock@0.2.12", "now", || 11u64).unwrap();
    let random = |mut caller: Caller<'_, u64>| {
        *caller.data_mut() += 1;
        0x0807_0605_0403_0201u64
    };
    linker.func_wrap("wasi:random/random@0.2.12", "get-random-u64", random).unwrap();

    let mut store = Store::new(&engine, 0);
    let module = wasmtime::Module::new(&engine, module).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    (store, instance)
}

fn call(store: &mut Store<u64>, instance: &Instance, name: &str, argument: Option<i32>) -> i32 {
    match argument {
        Some(argument) => {
            let function = instance.get_typed_func::<i32, i32>(&mut *store, name).unwrap();
            function.call(store, argument).unwrap()
        }
        None => {
            let function = instance.get_typed_func::<(), i32>(&mut *store, name).unwrap();
            function.call(store, ()).unwrap()
        }
    }
}

fn memory(store: &mut Store<u64>, instance: &Instance) -> Vec<u8> {
    instance.get_memory(&mut *store, "memory").unwrap().data(store)[..20].to_vec()
}

#[test]
fn wall_clock_is_in_nanoseconds_and_leaves_its_neighbours_alone() {
    let (mut store, instance) = guest();
    assert_eq!(call(&mut store, &instance, "clock", Some(0)), 0);
    let memory = memory(&mut store, &instance);
    assert_eq!(memory[..8], 7_000_000_009u64.to_le_bytes());
    assert_eq!(memory[8..], [0xff; 12]);
}

#[test]
fn monotonic_clock_is_passed_on() {
    let (mut store, instance) = guest();
    assert_eq!(call(&mut store, &instance, "clock", Some(1)), 0);
    let memory = memory(&mut store, &instance);
    assert_eq!(memory[..8], 11u64.to_le_bytes());
    assert_eq!(memory[8..], [0xff; 12]);
}

#[test]
fn other_clocks_are_refused() {
    let (mut store, instance) = guest();
    assert_eq!(call(&mut store, &instance, "clock", Some(2)), 28);
    assert_eq!(memory(&mut store, &instance), [0xff; 20]);
}

#[test]
fn random_bytes_fill_the_buffer_and_no_more() {
    for (length, draws) in [(0, 0), (1, 1), (7, 1), (8, 1), (9, 2), (16, 2), (19, 3)] {
        let (mut store, instance) = guest();
        assert_eq!(call(&mut store, &instance, "random", Some(length)), 0);
        let memory = memory(&mut store, &instance);
        let expected = |i| {
            if i < length as usize { (i % 8) as u8 + 1 } else { 0xff }
        };
        assert_eq!(memory, (0..20).map(expected).collect::<Vec<_>>(), "{length} bytes");
        assert_eq!(*store.data(), draws, "{length} bytes");
    }
}

#[test]
fn nothing_can_be_written() {
    let (mut store, instance) = guest();
    assert_eq!(call(&mut store, &instance, "write", None), 8);
}

#[test]
fn other_imports_calls_and_exports_stay() {
    let (mut store, instance) = guest();
    assert_eq!(call(&mut store, &instance, "first", None), 1);
    assert_eq!(call(&mut store, &instance, "second", None), 2);
    assert_eq!(call(&mut store, &instance, "script_alloc", Some(5)), 5);
}

#[test]
fn unknown_function_is_named() {
    let guest = r#"(module (memory 1)
        (import "wasi_snapshot_preview1" "path_open" (func (param i32) (result i32))))"#;
    let error = link(&wat::parse_str(guest.replace("(memory 1)", "")).unwrap()).unwrap_err();
    assert!(error.to_string().contains("one memory"), "{error}");
    let guest = r#"(module
        (import "wasi_snapshot_preview1" "path_open" (func (param i32) (result i32)))
        (memory 1))"#;
    let error = link(&wat::parse_str(guest).unwrap()).unwrap_err();
    assert!(error.to_string().contains("`path_open`"), "{error}");
}

#[test]
fn other_signature_is_named() {
    let guest = r#"(module
        (import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32)))
        (memory 1))"#;
    let error = link(&wat::parse_str(guest).unwrap()).unwrap_err();
    assert!(error.to_string().contains("`fd_close`"), "{error}");
}
