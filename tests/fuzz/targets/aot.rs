//! Checks that bytecode of any form is compiled to a valid module within the limits, or left to the interpreter.
//! The first byte of the input says what the others are: a page, a unit without its header, or the code of a function.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_aot::{Stress, checksum, compile};
use wasmparser::{Validator, WasmFeatures};

const TABLE_FUNCTIONS: u32 = 1_000;
/// As `compile` promises.
const OVERHEAD_BYTES_MAX: usize = 300 * 1024;
const FUNCTIONS_MAX: usize = 1_000;

/// A page with a unit, of which everything after the checksum is given.
fn page(body: &[u8]) -> Vec<u8> {
    let mut unit = vec![26];
    unit.extend(checksum(body).to_le_bytes());
    unit.extend(body);
    // Code and file are empty.
    let mut page = vec![0; 8];
    page.extend((unit.len() as u32).to_le_bytes());
    page.extend(unit);
    page
}

/// A unit with a function: five counts below 64, whether each variable is captured, and its code.
fn function(bytes: &[u8]) -> Option<Vec<u8>> {
    let ([args, vars, stack, refs, outer, captured, one_of], code) = bytes.split_first_chunk()?;
    let [args, vars, stack, refs, outer] = [args, vars, stack, refs, outer].map(|count| count % 64);
    let variables = args + vars;
    let is_async = captured & 1 == 1;
    let mut body = vec![0, 12, u8::from(is_async) << 5, 0, one_of & 1, 0, 0, 0, 0];
    body.extend([0, args, vars, args, stack, refs, outer, 2]);
    let length = code.len() as u32;
    body.extend([length as u8 | 0x80, (length >> 7) as u8 | 0x80, (length >> 14) as u8 & 0x7f, variables]);
    for variable in 0..variables {
        body.extend([0, 0, 0]);
        match captured >> (variable % 8) & 1 {
            0 => body.push(0),
            _ => body.extend([1 << 6, variable % refs.max(1)]),
        }
    }
    body.extend((0..outer).flat_map(|_| [0, 0, 0]));
    // Two constants: an integer, and a function that returns.
    body.extend([5, 84, 12, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 41]);
    body.extend(code);
    Some(body)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let blob = match kind % 3 {
        0 => rest.to_vec(),
        1 => page(rest),
        _ => match function(rest) {
            Some(body) => page(&body),
            None => return,
        },
    };
    for one_of in [0, u32::from(kind >> 4)] {
        let Some(compiled) = compile(&blob, TABLE_FUNCTIONS, Stress { one_of, seed: 1 }) else { continue };
        let mut validator = Validator::new_with_features(WasmFeatures::WASM2);
        validator.validate_all(&compiled.module).expect("a valid module");
        assert!(compiled.functions <= FUNCTIONS_MAX.min(compiled.of_functions), "{}", compiled.functions);
        assert!(compiled.module.len() <= blob.len() + OVERHEAD_BYTES_MAX, "{}", compiled.module.len());
    }
});
