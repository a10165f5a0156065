//! Calls of functions.

use wasm_encoder::BlockType;

use super::types::Type;
use super::{CTX, Compiler, Entry, Place, VALUE};
use crate::decode::Instruction;
use crate::layout as at;
use crate::link::Gap;
use crate::memory::{i16_at, i32_at, i64_at};
use crate::ops::Op;
use crate::runtime::{Helper, Routine};

impl Compiler<'_> {
    /// Calls a function or a constructor, or makes an array of operands.
    pub(super) fn make_call(&mut self, instruction: Instruction) -> Option<()> {
        let operand = instruction.operand;
        let index = u32::try_from(instruction.operand).unwrap_or(u32::MAX);
        match instruction.op {
            Op::Call => {
                let local = self.js_call(instruction, false)?;
                self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
            }
            Op::CallMethod => {
                let local = self.js_call(instruction, true)?;
                self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
            }
            Op::CallConstructor => {
                let arguments = self.pop_many(index)?;
                let new_target = self.pop()?;
                let function = self.pop()?;
                let base = self.store_many(&arguments, false)?;
                self.s().local_get(CTX);
                self.get(function);
                self.get(new_target);
                self.s().i32_const(operand);
                self.cell_address(base)?;
                self.pc(instruction);
                self.call(Helper::Construct);
                let local = self.temporary();
                self.s().local_set(local);
                for argument in arguments {
                    self.drop_entry(argument);
                }
                self.drop_entry(function);
                self.drop_entry(new_target);
                self.check_exception(local);
                self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
            }
            Op::ArrayFrom => {
                let elements = self.pop_many(index)?;
                let base = self.store_many(&elements, true)?;
                self.s().local_get(CTX).i32_const(operand);
                self.cell_address(base)?;
                self.pc(instruction);
                self.call(Helper::ArrayFrom);
                for element in elements {
                    self.release(element);
                }
                let local = self.push_new(Type::Any);
                self.check_pushed(local);
            }
            _ => return None,
        }
        Some(())
    }

    /// A call. Borrowed arguments stay borrowed.
    pub(super) fn js_call(&mut self, instruction: Instruction, has_this: bool) -> Option<u32> {
        let count = u32::try_from(instruction.operand).ok()?;
        let arguments = self.pop_many(count)?;
        let function = self.pop()?;
        let this = if has_this {
            self.pop()?
        } else {
            Entry { place: Place::Constant(at::UNDEFINED), ty: Type::Plain }
        };
        let base = u32::try_from(self.stack.len()).ok()? + 1 + u32::from(has_this);
        let (p, q) = (self.p(), self.q());
        self.set_pc(instruction);
        let is_direct = !self.function.is_async && !has_this && self.is_from_var_ref(function);
        if is_direct {
            // q: the number of the function's code, or 0
            self.s().i32_const(0).local_set(q);
            self.get(function);
            self.constant(at::OBJECT);
            self.s().i64_ge_u();
            self.open_if(BlockType::Empty);
            self.get(function);
            self.s().i32_wrap_i64().local_tee(p).i32_load16_u(i16_at(at::OBJECT_CLASS));
            self.s().i32_const(at::CLASS_FUNCTION).i32_eq();
            self.open_if(BlockType::Empty);
            self.s().local_get(p).i32_load(i32_at(at::FUNCTION_BYTECODE));
            self.s().i32_load(i32_at(at::BYTECODE_COMPILED)).local_set(q);
            self.close();
            self.close();
            self.s().local_get(q);
            self.code.gap(Gap::Number);
            self.s().i32_eq();
            self.open_if(VALUE);
            self.s().local_get(CTX);
            self.get(function);
            self.get(this);
            for index in 0..self.function.args {
                match arguments.get(index as usize) {
                    Some(argument) => self.get(*argument),
                    None => self.constant(at::UNDEFINED),
                }
            }
            self.code.gap(Gap::Itself);
            self.s().else_();
        }
        for (argument, depth) in arguments.iter().zip(base..) {
            let (local, offset) = self.stack_cell(depth);
            self.s().local_get(local);
            self.get(*argument);
            self.s().i64_store(i64_at(offset));
        }
        self.s().local_get(CTX);
        self.get(function);
        self.get(this);
        self.s().i32_const(count.cast_signed());
        let (local, offset) = self.stack_cell(base);
        self.s().local_get(local).i32_const(i32::try_from(offset).ok()?).i32_add();
        self.routine(Routine::Call);
        if is_direct {
            self.close();
        }
        let local = self.temporary();
        self.s().local_set(local);
        for argument in arguments {
            self.drop_entry(argument);
        }
        self.drop_entry(function);
        if has_this {
            self.drop_entry(this);
        }
        self.check_exception(local);
        Some(local)
    }

    /// Whether it is worth to find out if the callee is this function.
    pub(super) fn is_from_var_ref(&self, entry: Entry) -> bool {
        matches!(entry.place, Place::Temporary(local) if self.from_var_ref.contains(&local))
    }
}
