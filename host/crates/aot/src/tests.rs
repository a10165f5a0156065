//! What is compiled, what is left to the interpreter, and that nothing is beyond the limits, whatever the bytecode is.

mod functions;
mod hostile;
mod limits;
mod mutations;
mod pages;
mod unit;

use wasmparser::{Operator, Parser, Payload, Validator, WasmFeatures};

use crate::limits::{FUNCTION_CODE_BYTES_MAX, FUNCTIONS_MAX, PAGE_CODE_BYTES_MAX};
use crate::{Compiled, Stress, compile};

/// The functions in the table of an engine.
const TABLE_BASE: u32 = 1_000;
/// What a module is larger than the bytecode at most, as `compile` promises.
const OVERHEAD_BYTES_MAX: usize = 300 * 1024;

/// Compiles a blob, and checks what must hold for any.
fn compiled(blob: &[u8], stress: Stress) -> Option<Compiled> {
    let compiled = compile(blob, TABLE_BASE, stress)?;
    // What wasmtime accepts includes these.
    let mut validator = Validator::new_with_features(WasmFeatures::WASM2);
    validator.validate_all(&compiled.module).unwrap();
    assert!(compiled.functions <= FUNCTIONS_MAX);
    assert!(compiled.functions <= compiled.of_functions);
    assert!(compiled.module.len() <= blob.len() + OVERHEAD_BYTES_MAX, "{} bytes", compiled.module.len());
    let lengths = function_lengths(&compiled.module);
    assert!(lengths.iter().all(|length| *length <= FUNCTION_CODE_BYTES_MAX), "{lengths:?}");
    assert!(lengths.iter().sum::<usize>() <= PAGE_CODE_BYTES_MAX + 16 * 1024, "{lengths:?}");
    Some(compiled)
}

/// How many functions of a blob are compiled.
fn count(blob: &[u8]) -> usize {
    compiled(blob, Stress::default()).map_or(0, |compiled| compiled.functions)
}

fn function_lengths(module: &[u8]) -> Vec<usize> {
    let payloads = Parser::new(0).parse_all(module).map(Result::unwrap);
    payloads
        .filter_map(|payload| match payload {
            Payload::CodeSectionEntry(body) => Some(body.range().len()),
            _ => None,
        })
        .collect()
}

/// How many instructions of the module are such.
fn instructions(module: &[u8], is_one: impl Fn(&Operator<'_>) -> bool) -> usize {
    let payloads = Parser::new(0).parse_all(module).map(Result::unwrap);
    let bodies = payloads.filter_map(|payload| match payload {
        Payload::CodeSectionEntry(body) => Some(body.get_operators_reader().unwrap()),
        _ => None,
    });
    bodies.flatten().map(Result::unwrap).filter(is_one).count()
}

/// The engine's functions that the module calls.
fn helpers(module: &[u8]) -> Vec<String> {
    let payloads = Parser::new(0).parse_all(module).map(Result::unwrap);
    let imports = payloads.filter_map(|payload| match payload {
        Payload::ImportSection(imports) => {
            Some(imports.into_imports().map(|import| import.unwrap().name.to_owned()))
        }
        _ => None,
    });
    imports.flatten().filter_map(|name| name.strip_prefix("compiled_").map(str::to_owned)).collect()
}

/// The bytecode in the module.
fn bytecode_of(module: &[u8]) -> Vec<u8> {
    let payloads = Parser::new(0).parse_all(module).map(Result::unwrap);
    let data = payloads.filter_map(|payload| match payload {
        Payload::DataSection(data) => Some(data.into_iter().next().unwrap().unwrap().data.to_vec()),
        _ => None,
    });
    data.last().unwrap()
}
