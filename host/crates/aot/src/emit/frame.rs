//! The beginning and the end of a function, and its frame.

use wasm_encoder::BlockType;

use super::{CTX, Compiler, FUNC};
use crate::layout as at;
use crate::link::STACK_POINTER;
use crate::memory::{i32_at, i64_at};
use crate::runtime::Helper;

impl Compiler<'_> {
    /// Counts a jump back, as the interpreter counts jumps: the script may have to stop, and then its position is
    /// that of the jump. The operands are where the next block expects them.
    pub(super) fn poll(&mut self) -> Option<()> {
        let blocks = self.blocks;
        let jump = *blocks.get(self.block)?.instructions.last()?;
        let p = self.p();
        self.s().local_get(CTX).local_get(CTX).i32_load(i32_at(at::CTX_COUNTER)).i32_const(1).i32_sub();
        self.s().local_tee(p).i32_store(i32_at(at::CTX_COUNTER)).local_get(p).i32_const(0).i32_le_s();
        self.open_if(BlockType::Empty);
        self.s().local_get(CTX);
        self.pc(jump);
        self.call(Helper::Poll);
        self.leave_if(0);
        self.close();
        Some(())
    }

    pub(super) fn prologue(&mut self) {
        let function = self.function;
        let (sf, rt, p) = (self.sf(), self.rt(), self.p());
        let (bytecode, var_refs) = (self.bytecode(), self.var_refs());
        self.s().local_get(FUNC).i32_wrap_i64().local_tee(p).i32_load(i32_at(at::FUNCTION_BYTECODE));
        self.s().local_set(bytecode);
        if function.closure_vars > 0 {
            self.s().local_get(p).i32_load(i32_at(at::FUNCTION_VAR_REFS)).local_set(var_refs);
        }
        if function.is_async {
            self.s().local_get(sf).i32_load(i32_at(at::SF_VAR_BUF)).local_set(rt);
        } else {
            self.enter_frame();
        }
        for index in 0..function.vars {
            if !self.is_variable_captured(index) {
                let local = self.variable(index);
                self.constant(at::UNDEFINED);
                self.s().local_set(local);
            }
        }
    }

    /// Makes the frame, unless the stack is at its limit.
    fn enter_frame(&mut self) {
        let function = self.function;
        let (sf, rt, p) = (self.sf(), self.rt(), self.p());
        let bytes = i32::try_from(self.frame_bytes()).unwrap_or(i32::MAX);
        // Counts the call.
        self.s().local_get(CTX).local_get(CTX).i32_load(i32_at(at::CTX_COUNTER)).i32_const(1).i32_sub();
        self.s().local_tee(p).i32_store(i32_at(at::CTX_COUNTER)).local_get(p).i32_const(0).i32_le_s();
        self.open_if(BlockType::Empty);
        self.s().local_get(CTX);
        self.call(Helper::PollCall);
        self.open_if(BlockType::Empty);
        self.constant(at::EXCEPTION);
        self.s().return_();
        self.close();
        self.close();
        self.s().local_get(CTX).i32_load(i32_at(at::CTX_RT)).local_set(rt);
        self.s().global_get(STACK_POINTER).i32_const(bytes).i32_sub().local_tee(sf);
        self.s().local_get(rt).i32_load(i32_at(at::RT_STACK_LIMIT)).i32_lt_u();
        self.open_if(BlockType::Empty);
        self.s().local_get(CTX);
        self.call(Helper::Overflow);
        self.s().return_();
        self.close();
        self.s().local_get(sf).global_set(STACK_POINTER);
        self.s().local_get(sf).local_get(rt).i32_load(i32_at(at::RT_FRAME)).i32_store(i32_at(at::SF_PREV));
        self.s().local_get(rt).local_get(sf).i32_store(i32_at(at::RT_FRAME));
        self.s().local_get(sf).local_get(FUNC).i64_store(i64_at(at::SF_FUNC));
        self.s().local_get(sf).i32_const(0).i32_store(i32_at(at::SF_CUR_PC));
        self.s().local_get(sf).i32_const(function.var_refs.cast_signed());
        self.s().i32_store(i32_at(at::SF_VAR_REF_COUNT));
        self.s().local_get(sf).i32_const(i32::from(function.is_strict)).i32_store(i32_at(at::SF_STRICT));
        if function.var_refs > 0 {
            let arguments = at::SF_SIZE as i32;
            let variables = arguments + 8 * function.args.cast_signed();
            let references = variables + 8 * (function.vars + function.stack).cast_signed();
            for (offset, field) in
                [(arguments, at::SF_ARG_BUF), (variables, at::SF_VAR_BUF), (references, at::SF_VAR_REFS)]
            {
                self.s().local_get(sf).local_get(sf).i32_const(offset).i32_add().i32_store(i32_at(field));
            }
            for index in 0..function.var_refs {
                let offset = u64::from(references.cast_unsigned() + 4 * index);
                self.s().local_get(sf).i32_const(0).i32_store(i32_at(offset));
            }
            for index in 0..function.vars {
                if self.is_variable_captured(index) {
                    let (local, offset) = self.variable_cell(index);
                    self.s().local_get(local);
                    self.constant(at::UNDEFINED);
                    self.s().i64_store(i64_at(offset));
                }
            }
        }
        for index in 0..function.args {
            let local = self.argument(index);
            if self.is_argument_captured(index) {
                self.dup(local);
                let (cell, offset) = self.argument_cell(index);
                self.s().local_get(cell).local_get(local).i64_store(i64_at(offset));
            } else if self.written_args.get(index as usize) == Some(&true) {
                self.dup(local);
            }
        }
    }

    pub(super) fn leave_stack(&mut self) {
        let sf = self.sf();
        let bytes = i32::try_from(self.frame_bytes()).unwrap_or(i32::MAX);
        self.s().local_get(sf).i32_const(bytes).i32_add().global_set(STACK_POINTER);
    }

    pub(super) fn epilogue(&mut self) {
        let function = self.function;
        if function.is_async {
            self.s().unreachable();
            return;
        }
        let (sf, rt, result, y) = (self.sf(), self.rt(), self.result(), self.y());
        if function.var_refs > 0 {
            self.s().local_get(CTX).local_get(sf);
            self.call(Helper::CloseRefs);
        }
        for index in 0..function.vars {
            if self.is_variable_captured(index) {
                let (cell, offset) = self.variable_cell(index);
                self.s().local_get(cell).i64_load(i64_at(offset)).local_set(y);
                self.free(y);
            } else if self.can_be_any.get(index as usize) == Some(&true) {
                let local = self.variable(index);
                self.free(local);
            }
        }
        for index in 0..function.args {
            if self.is_argument_captured(index) {
                let (cell, offset) = self.argument_cell(index);
                self.s().local_get(cell).i64_load(i64_at(offset)).local_set(y);
                self.free(y);
            } else if self.written_args.get(index as usize) == Some(&true) {
                let local = self.argument(index);
                self.free(local);
            }
        }
        self.s().local_get(rt).local_get(sf).i32_load(i32_at(at::SF_PREV)).i32_store(i32_at(at::RT_FRAME));
        self.leave_stack();
        self.s().local_get(result);
    }
}
