//! Where things are: in WebAssembly variables, or in cells of the frame. A cell is a WebAssembly variable with an
//! address, and an offset.

use super::{Compiler, FRAME_EXTRA_BYTES, SCRATCH_I32, SCRATCH_I64};
use crate::layout as at;

impl Compiler<'_> {
    /// The first variable behind the parameters.
    fn base(&self) -> u32 {
        if self.function.is_async { 5 } else { 3 + self.function.args }
    }
    /// The address of the frame.
    pub(super) fn sf(&self) -> u32 {
        if self.function.is_async { 4 } else { self.base() }
    }
    pub(super) fn var_refs(&self) -> u32 {
        self.base() + 1
    }
    pub(super) fn rt(&self) -> u32 {
        self.base() + 2
    }
    /// The function's bytecode.
    pub(super) fn bytecode(&self) -> u32 {
        self.base() + 3
    }
    /// For any address. `dup` uses it.
    pub(super) fn p(&self) -> u32 {
        self.base() + 4
    }
    /// For any address.
    pub(super) fn q(&self) -> u32 {
        self.base() + 5
    }
    /// How many operands the interpreter continues with.
    pub(super) fn depth(&self) -> u32 {
        self.base() + 6
    }
    /// The offset at which the interpreter continues, plus 1; 0 for an exception.
    pub(super) fn resume_at(&self) -> u32 {
        self.base() + 7
    }
    /// 1 if the last condition is true, otherwise 0.
    pub(super) fn flag(&self) -> u32 {
        self.base() + 8
    }
    /// For any value.
    pub(super) fn x(&self) -> u32 {
        self.base() + SCRATCH_I32
    }
    /// For any value.
    pub(super) fn y(&self) -> u32 {
        self.base() + SCRATCH_I32 + 1
    }
    /// What the function returns.
    pub(super) fn result(&self) -> u32 {
        self.base() + SCRATCH_I32 + 2
    }
    pub(super) fn variable(&self, index: u32) -> u32 {
        self.base() + SCRATCH_I32 + SCRATCH_I64 + index
    }
    /// The operand of a depth, between blocks.
    pub(super) fn slot(&self, depth: u32) -> u32 {
        self.variable(self.function.vars) + depth
    }
    pub(super) fn argument(&self, index: u32) -> u32 {
        3 + index
    }

    /// A variable that is free until it is released.
    pub(super) fn temporary(&mut self) -> u32 {
        self.free_temporaries.pop().unwrap_or_else(|| {
            self.temporaries += 1;
            self.slot(self.function.stack) + self.temporaries - 1
        })
    }
    pub(super) fn is_variable_captured(&self, index: u32) -> bool {
        self.function.is_captured.get((self.function.args + index) as usize).copied().unwrap_or(false)
    }
    pub(super) fn is_argument_captured(&self, index: u32) -> bool {
        self.function.is_captured.get(index as usize).copied().unwrap_or(false)
    }
    pub(super) fn argument_cell(&self, index: u32) -> (u32, u64) {
        (self.sf(), at::SF_SIZE + 8 * u64::from(index))
    }

    pub(super) fn variable_cell(&self, index: u32) -> (u32, u64) {
        if self.function.is_async {
            // `rt` is not needed otherwise: it holds the address of the variables.
            (self.rt(), 8 * u64::from(index))
        } else {
            self.argument_cell(self.function.args + index)
        }
    }
    pub(super) fn stack_cell(&self, depth: u32) -> (u32, u64) {
        self.variable_cell(self.function.vars + depth)
    }

    /// Puts the address of an operand's cell on WebAssembly's stack.
    pub(super) fn cell_address(&mut self, depth: u32) -> Option<()> {
        let (local, offset) = self.stack_cell(depth);
        self.s().local_get(local).i32_const(i32::try_from(offset).ok()?).i32_add();
        Some(())
    }

    pub(super) fn frame_bytes(&self) -> u64 {
        let function = self.function;
        let values = u64::from(function.args + function.vars + function.stack);
        let bytes = at::SF_SIZE + 8 * values + 4 * u64::from(function.var_refs) + FRAME_EXTRA_BYTES;
        (bytes + 15) & !15
    }
}
