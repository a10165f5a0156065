//! The ways out of a function.

use wasm_encoder::BlockType;

use super::{CTX, Compiler, Label, THIS};
use crate::decode::Instruction;
use crate::layout as at;
use crate::memory::i64_at;
use crate::runtime::Helper;

impl Compiler<'_> {
    /// Puts the operands into the frame and leaves. They are still the compiler's afterwards: this code is
    /// behind a branch.
    pub(super) fn leave(&mut self, extra_depth: u32) {
        for depth in 0..self.stack.len() {
            let entry = self.stack.get(depth).copied();
            let cell = self.stack_cell(u32::try_from(depth).unwrap_or(0));
            if let Some(entry) = entry {
                self.store_in(cell, entry);
            }
        }
        let depth = i32::try_from(self.stack.len()).unwrap_or(0) + extra_depth.cast_signed();
        let local = self.depth();
        self.s().i32_const(depth).local_set(local);
        self.br(Label::Leave);
    }

    /// Leaves if the number on WebAssembly's stack is not 0.
    pub(super) fn leave_if(&mut self, extra_depth: u32) {
        if self.stack.is_empty() && extra_depth == 0 {
            self.br_if(Label::Leave);
        } else {
            self.open_if(BlockType::Empty);
            self.leave(extra_depth);
            self.close();
        }
    }

    pub(super) fn check_exception(&mut self, local: u32) {
        self.s().local_get(local);
        self.constant(at::EXCEPTION);
        self.s().i64_eq();
        self.leave_if(0);
    }

    /// The interpreter continues at this instruction.
    pub(super) fn resume(&mut self, offset: u32) {
        let local = self.resume_at();
        self.s().i32_const(offset.cast_signed() + 1).local_set(local);
        self.leave(0);
    }

    /// Checks the value that was pushed last, which has no owner if it is an exception.
    pub(super) fn check_pushed(&mut self, local: u32) {
        if let Some(pushed) = self.stack.pop() {
            self.check_exception(local);
            self.stack.push(pushed);
        }
    }

    pub(super) fn check_initialized(&mut self, instruction: Instruction, is_ref: bool) {
        // The value is on WebAssembly's stack.
        self.constant(at::UNINITIALIZED);
        self.s().i64_eq();
        self.open_if(BlockType::Empty);
        self.s().local_get(CTX);
        self.pc(instruction);
        self.s().i32_const(instruction.operand).i32_const(i32::from(is_ref));
        self.call(Helper::Uninitialized);
        self.leave(0);
        self.close();
    }

    /// Ends the function. The result is set.
    pub(super) fn end(&mut self) {
        while let Some(entry) = self.stack.pop() {
            self.drop_entry(entry);
        }
        self.br(Label::Return);
    }

    /// The interpreter continues. It frees what is in the frame.
    pub(super) fn interpret(&mut self) {
        let function = self.function;
        for index in 0..function.vars {
            if !self.is_variable_captured(index) {
                let (cell, offset) = self.variable_cell(index);
                let local = self.variable(index);
                self.s().local_get(cell).local_get(local).i64_store(i64_at(offset));
            }
        }
        let (depth, resume_at) = (self.depth(), self.resume_at());
        if function.is_async {
            self.s().local_get(depth).i64_extend_i32_u().i64_const(32).i64_shl();
            self.s().local_get(resume_at).i32_const(1).i32_sub().i64_extend_i32_u().i64_or().return_();
            return;
        }
        for index in 0..function.args {
            if !self.is_argument_captured(index) {
                let local = self.argument(index);
                if self.written_args.get(index as usize) != Some(&true) {
                    self.dup(local);
                }
                let (cell, offset) = self.argument_cell(index);
                self.s().local_get(cell).local_get(local).i64_store(i64_at(offset));
            }
        }
        let sf = self.sf();
        self.s().local_get(CTX).local_get(sf).local_get(THIS);
        self.s().local_get(resume_at).i32_const(1).i32_sub().local_get(depth);
        self.call(Helper::Resume);
        self.leave_stack();
        self.s().return_();
    }
}
