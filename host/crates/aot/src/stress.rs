//! A setting for tests.

use crate::decode::Instruction;
use crate::kinds::needs_interpreter;
use crate::ops::Op;

/// Leaves some of the instructions that could be compiled to the interpreter. Tests use it to go from compiled
/// code to the interpreter at every kind of instruction and with every form of operands. What a page does must not
/// depend on it. [`Stress::default`] leaves none, and is what pages are compiled with outside of tests.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stress {
    /// Leaves about one of so many instructions; 0 for none.
    pub one_of: u32,
    /// Chooses the instructions. Each number chooses others, and always the same.
    pub seed: u32,
}

impl Stress {
    /// Replaces the chosen instructions by one that is never compiled.
    pub(crate) fn apply(self, instructions: &mut [Instruction]) {
        if self.one_of == 0 {
            return;
        }
        for instruction in instructions {
            let hash = (instruction.at ^ self.seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b) >> 8;
            // Of two that have the same place, the second cannot be left to the interpreter. A function with one
            // that needs the interpreter from its start must still be known by it.
            let is_left = instruction.op != Op::GetLoc && !needs_interpreter(instruction.op);
            if hash.is_multiple_of(self.one_of) && is_left {
                instruction.op = Op::Invalid;
            }
        }
    }
}
