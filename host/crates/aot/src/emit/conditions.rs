//! What is true or false.

use super::types::Type;
use super::{CTX, Compiler, Entry, FLAG, Place};
use crate::decode::Instruction;
use crate::layout as at;
use crate::ops::Op;
use crate::runtime::Helper;

impl Compiler<'_> {
    /// Finds out whether something is true. Returns whether the block ends with it.
    pub(super) fn decide(&mut self, instruction: Instruction, next: Option<Instruction>) -> Option<bool> {
        match instruction.op {
            Op::Lt | Op::Lte | Op::Gt | Op::Gte | Op::Eq | Op::Neq | Op::StrictEq | Op::StrictNeq => {
                let b = self.pop()?;
                let a = self.pop()?;
                self.compare(instruction, instruction.op, a, b);
                match next.filter(|next| matches!(next.op, Op::IfFalse | Op::IfTrue)) {
                    Some(next) => {
                        self.jump_if(next.op)?;
                        return Some(true);
                    }
                    None => self.push_flag(),
                }
            }
            Op::In | Op::Instanceof | Op::Delete => {
                let b = self.pop()?;
                let a = self.pop()?;
                self.make_own(a);
                self.make_own(b);
                self.s().local_get(CTX);
                self.get(a);
                self.get(b);
                self.pc(instruction);
                self.s().i32_const(instruction.op as i32);
                self.call(Helper::Binary);
                self.release(a);
                self.release(b);
                let local = self.push_new(Type::Bool);
                self.check_pushed(local);
            }
            Op::TypeofIsUndefined | Op::TypeofIsFunction => {
                let entry = self.pop()?;
                self.unary(instruction, instruction.op, entry, Type::Bool);
            }
            Op::Lnot => {
                let entry = self.pop()?;
                self.truth(entry);
                let flag = self.flag();
                self.s().local_get(flag).i32_eqz().local_set(flag);
                self.push_flag();
            }
            Op::IsUndefined | Op::IsNull | Op::IsUndefinedOrNull => {
                let entry = self.pop()?;
                let flag = self.flag();
                self.get(entry);
                self.s().i64_const(32).i64_shr_u();
                if instruction.op == Op::IsUndefinedOrNull {
                    self.s().i64_const(1).i64_or();
                }
                let tag = if instruction.op == Op::IsNull { at::NULL } else { at::UNDEFINED } >> 32;
                self.constant(tag);
                self.s().i64_eq().local_set(flag);
                self.drop_entry(entry);
                self.push_flag();
            }
            _ => return None,
        }
        Some(false)
    }

    /// Sets the flag.
    pub(super) fn compare(&mut self, instruction: Instruction, op: Op, a: Entry, b: Entry) {
        let are_numbers = a.ty.is_number() && b.ty.is_number();
        let (flag, y) = (self.flag(), self.y());
        let unknown = self.are_ints(&[a, b]);
        if unknown {
            self.open_if(FLAG);
        }
        self.int_of(a);
        self.int_of(b);
        match op {
            Op::Lt => self.s().i32_lt_s(),
            Op::Lte => self.s().i32_le_s(),
            Op::Gt => self.s().i32_gt_s(),
            Op::Gte => self.s().i32_ge_s(),
            Op::Eq | Op::StrictEq => self.s().i32_eq(),
            _ => self.s().i32_ne(),
        };
        if unknown {
            self.s().else_();
            self.slow(instruction, op, a, b);
            self.s().local_tee(y).i32_wrap_i64();
            if !are_numbers {
                self.s().local_get(y);
                self.constant(at::EXCEPTION);
                self.s().i64_eq();
                self.leave_if(0);
            }
            self.close();
        }
        self.s().local_set(flag);
        self.release(a);
        self.release(b);
    }

    pub(super) fn push_flag(&mut self) {
        let flag = self.flag();
        self.s().local_get(flag).i64_extend_i32_u();
        self.constant(at::FALSE);
        self.s().i64_or();
        self.push_new(Type::Bool);
    }

    /// Sets the flag to whether the value is true. Takes it over.
    pub(super) fn truth(&mut self, entry: Entry) {
        let flag = self.flag();
        match (entry.place, entry.ty) {
            (Place::Constant(bits), _) => {
                let number = f64::from_bits(bits.wrapping_add(at::FLOAT_ADDEND));
                let is_float = entry.ty == Type::Number && bits >> 32 != 0;
                let is_true = if is_float { number != 0.0 && !number.is_nan() } else { bits as u32 != 0 };
                self.s().i32_const(i32::from(is_true)).local_set(flag);
            }
            (_, Type::Bool | Type::Int) => {
                self.int_of(entry);
                self.s().i32_const(0).i32_ne().local_set(flag);
            }
            _ => {
                self.get(entry);
                self.constant(at::UNINITIALIZED);
                self.s().i64_lt_u();
                self.open_if(FLAG);
                self.int_of(entry);
                self.s().i32_const(0).i32_ne();
                self.s().else_();
                self.make_own(entry);
                self.s().local_get(CTX);
                self.get(entry);
                self.call(Helper::ToBool);
                self.close();
                self.s().local_set(flag);
            }
        }
        self.release(entry);
    }
}
