//! Compiles bytecode of QuickJS to WebAssembly functions, which become part of a page's component.
//!
//! ```text
//! read     the functions of the bytecode
//! decode   instructions and basic blocks        kinds: which instructions are compiled
//! nesting  an order of the blocks that WebAssembly can have
//! emit     the code of one function             runtime: what it calls
//! link     the indices of what it calls
//! module   the page's module
//! ```
//!
//! Bytecode can be anybody's. A function whose bytecode is not as it must be, or is beyond one of the `limits`, is left
//! to the interpreter, and so is each instruction that is not compiled. `docs/decisions` says why this is so.

mod decode;
mod emit;
mod kinds;
mod layout;
mod limits;
mod link;
mod memory;
mod module;
mod nesting;
mod ops;
mod read;
mod runtime;
mod stress;
#[cfg(test)]
mod tests;

use emit::Compiler;
use limits::{BYTECODE_BYTES_MAX, FUNCTIONS_MAX, PAGE_CODE_BYTES_MAX, PAGE_MOVES_MAX, Work};
pub use module::ALLOCATE;
use module::build;
pub use read::checksum;
use read::{Function, Unit};
pub use stress::Stress;

/// A page's module with compiled functions.
#[derive(Debug)]
pub struct Compiled {
    /// The module.
    pub module: Vec<u8>,
    /// How many functions are compiled.
    pub functions: usize,
    /// How many functions the page has.
    pub of_functions: usize,
    /// The bytes of bytecode that are compiled.
    pub bytecode_bytes: usize,
}

/// Compiles what can be compiled of a page. `table_base` is the number of functions in the engine's table.
/// `None` if nothing can be compiled.
///
/// The work and the size of the module are limited, whatever the bytecode is: the module is at most 300 KB larger than
/// the bytecode.
pub fn compile(blob: &[u8], table_base: u32, stress: Stress) -> Option<Compiled> {
    // The number 0 means that a function is not compiled.
    let first_number = i32::try_from(table_base).ok().filter(|number| *number > 0)?;
    first_number.checked_add(i32::try_from(FUNCTIONS_MAX).ok()?)?;
    let units = read::units(blob)?;
    let mut work = Work::new();
    let (mut bytes, mut moves) = (0, 0);
    let mut compiled: Vec<module::Compiled<'_>> = Vec::new();
    for function in units.iter().flat_map(|unit| &unit.functions) {
        if compiled.len() == FUNCTIONS_MAX {
            break;
        }
        let Some(next) = compile_function(blob, function, stress, &mut work) else { continue };
        let fits_code = bytes + next.bytes_max() <= PAGE_CODE_BYTES_MAX;
        if fits_code && moves + next.body.moves <= PAGE_MOVES_MAX {
            bytes += next.bytes_max();
            moves += next.body.moves;
            compiled.push(next);
        }
    }
    if compiled.is_empty() {
        return None;
    }
    let numbered = set_numbers(blob, &units, &compiled, first_number)?;
    Some(Compiled {
        module: build(&compiled, first_number, &numbered)?,
        functions: compiled.len(),
        of_functions: units.iter().map(|unit| unit.numbers_at.len()).sum(),
        bytecode_bytes: compiled.iter().map(|compiled| compiled.function.code.len()).sum(),
    })
}

/// Whether a page can do anything more than once: it has a loop, or a function besides the bodies of the page and
/// its modules.
pub fn can_repeat(blob: &[u8]) -> bool {
    let Some(units) = read::units(blob) else { return false };
    units.iter().any(|unit| {
        let has_loop =
            |function: &Function| blob.get(function.code.clone()).and_then(decode::has_loop).unwrap_or(false);
        unit.numbers_at.len() > 1 || unit.functions.iter().any(has_loop)
    })
}

fn compile_function<'a>(
    blob: &[u8],
    function: &'a Function,
    stress: Stress,
    work: &mut Work,
) -> Option<module::Compiled<'a>> {
    work.begin_function()?;
    let code = blob.get(function.code.clone()).filter(|code| code.len() <= BYTECODE_BYTES_MAX)?;
    work.spend(code.len())?;
    let mut instructions = decode::instructions(code)?;
    stress.apply(&mut instructions);
    let blocks = nesting::order(decode::blocks(function, &instructions)?, work)?;
    let body = Compiler::new(function, &blocks, work)?.compile()?;
    Some(module::Compiled { function, body })
}

/// The bytecode with the numbers of the compiled functions. All others have the number 0.
fn set_numbers(
    blob: &[u8],
    units: &[Unit],
    compiled: &[module::Compiled<'_>],
    first_number: i32,
) -> Option<Vec<u8>> {
    let mut numbered = blob.to_vec();
    for at in units.iter().flat_map(|unit| &unit.numbers_at) {
        numbered.get_mut(*at..at.checked_add(4)?)?.fill(0);
    }
    for (compiled, number) in compiled.iter().zip(first_number..) {
        let at = compiled.function.number_at;
        numbered.get_mut(at..at.checked_add(4)?)?.copy_from_slice(&number.to_le_bytes());
    }
    for unit in units {
        let bytes = numbered.get_mut(unit.bytes.clone())?;
        let sum = checksum(bytes.get(5..)?);
        bytes.get_mut(1..5)?.copy_from_slice(&sum.to_le_bytes());
    }
    Some(numbered)
}
