//! Text that a variable collects: `text += part` appends in place, as in the interpreter, if nothing else has the
//! string.
//!
//! The engine's function takes over the variable's own reference. This is right only if no code of the script runs
//! meanwhile, so what is added must be a string or an integer.

use wasm_encoder::BlockType;

use super::types::Type;
use super::{CTX, Compiler, Entry, Place};
use crate::decode::Instruction;
use crate::layout as at;
use crate::memory::{i32_at, i64_at};
use crate::ops::Op;
use crate::runtime::Helper;

impl Compiler<'_> {
    /// `variable += operand`, for a variable of this function.
    pub(super) fn add_to_variable(&mut self, instruction: Instruction, index: u32) -> Option<()> {
        let ty = *self.variables.get(index as usize).filter(|_| index < self.function.vars)?;
        let b = self.pop()?;
        if self.is_variable_captured(index) {
            let (local, offset) = self.variable_cell(index);
            let x = self.x();
            self.s().local_get(local).i64_load(i64_at(offset)).local_set(x);
            let result = self.begin_append(instruction, x, b);
            if let Some(result) = result {
                self.s().local_get(local).local_get(result).i64_store(i64_at(offset)).else_();
            }
            self.load_new((local, offset));
            let a = self.pop()?;
            let sum = self.arithmetic(instruction, Op::Add, a, b);
            self.set_cell((local, offset), sum);
            self.end_append(result);
            return Some(());
        }
        let local = self.variable(index);
        self.spill_borrows(local);
        let result = if ty == Type::Any { self.begin_append(instruction, local, b) } else { None };
        if let Some(result) = result {
            self.s().local_get(result).local_set(local).else_();
        }
        let a = Entry { place: Place::Borrowed(local), ty };
        let sum = self.arithmetic(instruction, Op::Add, a, b);
        self.set_variable(local, index as usize, sum)?;
        if result.is_some() {
            self.note_type(index as usize, Type::Any);
            *self.variables.get_mut(index as usize)? = Type::Any;
        }
        self.end_append(result);
        Some(())
    }

    /// An addition whose result the next instruction puts into the variable that the first operand comes from.
    /// Returns whether it was one; then the next instruction is done, too.
    pub(super) fn add_and_put(
        &mut self,
        instruction: Instruction,
        next: Option<Instruction>,
    ) -> Option<bool> {
        let Some(next) = next else { return Some(false) };
        let (a, b) = (self.entry_at(1)?, self.entry_at(0)?);
        match (next.op, a.place) {
            (Op::PutLoc, Place::Borrowed(local)) => {
                let index = u32::try_from(next.operand).ok()?;
                let is_same = index < self.function.vars && self.variable(index) == local;
                if !is_same || self.is_variable_captured(index) {
                    return Some(false);
                }
                self.stack.remove(self.stack.len().checked_sub(2)?);
                self.add_to_variable(instruction, index)?;
            }
            (Op::PutVarRef | Op::PutVarRefCheck, Place::Temporary(local))
                if a.ty == Type::Any && can_be_appended(b) && self.from_var_ref.contains(&local) =>
            {
                self.add_to_outer_variable(instruction, next, local)?;
            }
            _ => return Some(false),
        }
        self.is_next_done = true;
        Some(true)
    }

    fn add_to_outer_variable(&mut self, instruction: Instruction, put: Instruction, a: u32) -> Option<()> {
        let (entry, b) = (self.entry_at(1)?, self.entry_at(0)?);
        let before = self.stack.split_off(self.stack.len().checked_sub(2)?);
        self.var_ref(put.operand)?;
        let (p, q) = (self.p(), self.q());
        let result = self.temporary();
        self.is_appendable(a, b);
        self.s().local_get(q).i64_load(i64_at(0)).local_get(a).i64_eq().i32_and();
        self.open_if(BlockType::Empty);
        // The variable has the other reference.
        self.s().local_get(a).i32_wrap_i64().local_tee(p).local_get(p).i32_load(i32_at(0));
        self.s().i32_const(1).i32_sub().i32_store(i32_at(0));
        self.append(instruction, a, b, result);
        self.s().local_get(q).local_get(result).i64_store(i64_at(0)).else_();
        drop(before);
        let sum = self.arithmetic(instruction, Op::Add, entry, b);
        self.stack.push(sum);
        self.use_variable(put)?;
        self.end_append(Some(result));
        Some(())
    }

    /// Opens a block for the case that `b` can be appended to the string in the local `a`. What is left there is the
    /// result, in a temporary. `None` if it can never be.
    fn begin_append(&mut self, instruction: Instruction, a: u32, b: Entry) -> Option<u32> {
        if !can_be_appended(b) {
            return None;
        }
        let result = self.temporary();
        self.is_appendable(a, b);
        self.open_if(BlockType::Empty);
        self.append(instruction, a, b, result);
        Some(result)
    }

    fn end_append(&mut self, result: Option<u32>) {
        if let Some(result) = result {
            self.close();
            self.free_temporaries.push(result);
        }
    }

    /// Leaves a flag on WebAssembly's stack.
    fn is_appendable(&mut self, a: u32, b: Entry) {
        self.is_string(Entry { place: Place::Borrowed(a), ty: Type::Any });
        if b.ty != Type::Int {
            self.is_string(b);
            self.get(b);
            self.s().i64_const(32).i64_shr_u().i64_eqz().i32_or().i32_and();
        }
    }

    fn is_string(&mut self, entry: Entry) {
        self.get(entry);
        self.s().i64_const(32).i64_shr_u().i32_wrap_i64();
        // Strings and ropes.
        self.s().i32_const(at::STRING_TAG).i32_sub().i32_const(2).i32_lt_u();
    }

    fn append(&mut self, instruction: Instruction, a: u32, b: Entry, result: u32) {
        self.make_own(b);
        self.s().local_get(CTX).local_get(a);
        self.get(b);
        self.pc(instruction);
        self.call(Helper::Append);
        self.s().local_set(result);
        self.check_exception(result);
    }
}

fn can_be_appended(b: Entry) -> bool {
    matches!(b.ty, Type::Any | Type::Int)
}
