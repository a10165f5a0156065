//! Arithmetic and bits. Integers have a quick way.

use super::types::Type;
use super::{CTX, Compiler, Entry, Place, VALUE};
use crate::decode::Instruction;
use crate::layout as at;
use crate::ops::Op;
use crate::runtime::{Helper, Routine};

impl Compiler<'_> {
    /// Arithmetic and bits.
    pub(super) fn calculate(&mut self, instruction: Instruction) -> Option<()> {
        match instruction.op {
            Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Mod | Op::Pow => {
                let b = self.pop()?;
                let a = self.pop()?;
                let result = self.arithmetic(instruction, instruction.op, a, b);
                self.stack.push(result);
            }
            Op::And | Op::Or | Op::Xor | Op::Shl | Op::Sar | Op::Shr => {
                let b = self.pop()?;
                let a = self.pop()?;
                let result = self.bitwise(instruction, instruction.op, a, b);
                self.stack.push(result);
            }
            Op::Inc | Op::Dec => {
                let entry = self.pop()?;
                let result = self.increment(instruction, instruction.op, entry);
                self.stack.push(result);
            }
            Op::PostInc | Op::PostDec => {
                let mut entry = self.pop()?;
                if !entry.ty.is_number() {
                    let local = self.temporary();
                    self.get(entry);
                    self.s().i64_const(32).i64_shr_u().i64_eqz();
                    self.open_if(VALUE);
                    self.get(entry);
                    self.s().else_();
                    self.call_unary(instruction, Op::PostInc, entry);
                    self.close();
                    self.s().local_set(local);
                    self.release(entry);
                    self.check_exception(local);
                    entry = Entry { place: Place::Temporary(local), ty: Type::Any };
                }
                self.stack.push(entry);
                let copy = self.copy(entry);
                let result = self.increment(instruction, instruction.op, copy);
                self.stack.push(result);
            }
            Op::Neg => {
                let entry = self.pop()?;
                let ty = if entry.ty.is_number() { Type::Number } else { Type::Any };
                self.unary(instruction, Op::Neg, entry, ty);
            }
            Op::Plus => {
                let entry = self.pop()?;
                if entry.ty.is_number() {
                    self.stack.push(entry);
                } else {
                    self.unary(instruction, Op::Plus, entry, Type::Number);
                }
            }
            Op::Not => {
                let entry = self.pop()?;
                if entry.ty == Type::Int {
                    self.int_of(entry);
                    self.s().i32_const(-1).i32_xor().i64_extend_i32_u();
                    self.release(entry);
                    self.push_new(Type::Int);
                } else {
                    self.unary(instruction, Op::Not, entry, Type::Any);
                }
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn int_of(&mut self, entry: Entry) {
        if let Place::Constant(bits) = entry.place {
            self.s().i32_const((bits as u32).cast_signed());
        } else {
            self.get(entry);
            self.s().i32_wrap_i64();
        }
    }

    pub(super) fn long_of(&mut self, entry: Entry) {
        if let Place::Constant(bits) = entry.place {
            self.s().i64_const(i64::from((bits as u32).cast_signed()));
        } else {
            self.get(entry);
            self.s().i64_extend32_s();
        }
    }

    /// Whether all of them are integers. `false` if that is known.
    pub(super) fn are_ints(&mut self, entries: &[Entry]) -> bool {
        let unknown: Vec<Entry> = entries.iter().filter(|entry| entry.ty != Type::Int).copied().collect();
        let Some((first, rest)) = unknown.split_first() else { return false };
        self.get(*first);
        for entry in rest {
            self.get(*entry);
            self.s().i64_or();
        }
        self.s().i64_const(32).i64_shr_u().i64_eqz();
        true
    }

    /// The slow way of an instruction with two operands, which it takes over.
    pub(super) fn slow(&mut self, instruction: Instruction, op: Op, a: Entry, b: Entry) {
        let flags = u32::from(Self::is_borrowed(a)) | u32::from(Self::is_borrowed(b)) << 1;
        self.s().local_get(CTX);
        self.get(a);
        self.get(b);
        self.s().i32_const((instruction.next << 2 | flags).cast_signed());
        self.routine(Routine::Binary(op));
    }

    pub(super) fn arithmetic(&mut self, instruction: Instruction, op: Op, a: Entry, b: Entry) -> Entry {
        let are_numbers = a.ty.is_number() && b.ty.is_number();
        let x = self.x();
        let local = self.temporary();
        let unknown = self.are_ints(&[a, b]);
        if unknown {
            self.open_if(VALUE);
        }
        match op {
            Op::Add | Op::Sub => {
                self.long_of(a);
                self.long_of(b);
                if op == Op::Add {
                    self.s().i64_add();
                } else {
                    self.s().i64_sub();
                }
                self.s().local_tee(x).local_get(x).i64_extend32_s().i64_eq();
                self.open_if(VALUE);
                self.s().local_get(x).i64_const(0xffff_ffff).i64_and();
                self.s().else_();
                self.s().local_get(x).f64_convert_i64_s();
                self.routine(Routine::Box);
                self.close();
            }
            Op::Mul => {
                self.long_of(a);
                self.long_of(b);
                self.s().i64_mul().local_tee(x).local_get(x).i64_extend32_s().i64_eq();
                self.s().local_get(x).i64_eqz().i32_eqz().i32_and();
                self.open_if(VALUE);
                self.s().local_get(x).i64_const(0xffff_ffff).i64_and();
                self.s().else_();
                self.slow(instruction, op, a, b);
                self.close();
            }
            Op::Mod => {
                self.int_of(a);
                self.s().i32_const(0).i32_ge_s();
                self.int_of(b);
                self.s().i32_const(0).i32_gt_s().i32_and();
                self.open_if(VALUE);
                self.int_of(a);
                self.int_of(b);
                self.s().i32_rem_u().i64_extend_i32_u();
                self.s().else_();
                self.slow(instruction, op, a, b);
                self.close();
            }
            _ => self.slow(instruction, op, a, b),
        }
        if unknown {
            self.s().else_();
            self.slow(instruction, op, a, b);
            self.close();
        }
        self.end_binary(local, a, b);
        let ty = if are_numbers { Type::Number } else { Type::Any };
        Entry { place: Place::Temporary(local), ty }
    }

    pub(super) fn bitwise(&mut self, instruction: Instruction, op: Op, a: Entry, b: Entry) -> Entry {
        let are_numbers = a.ty.is_number() && b.ty.is_number();
        let local = self.temporary();
        let unknown = self.are_ints(&[a, b]);
        if unknown {
            self.open_if(VALUE);
        }
        self.int_of(a);
        self.int_of(b);
        match op {
            Op::And => self.s().i32_and(),
            Op::Or => self.s().i32_or(),
            Op::Xor => self.s().i32_xor(),
            Op::Shl => self.s().i32_shl(),
            Op::Sar => self.s().i32_shr_s(),
            _ => self.s().i32_shr_u(),
        };
        if op == Op::Shr {
            let q = self.q();
            self.s().local_tee(q).i32_const(0).i32_ge_s();
            self.open_if(VALUE);
            self.s().local_get(q).i64_extend_i32_u();
            self.s().else_();
            self.s().local_get(q).f64_convert_i32_u();
            self.routine(Routine::Box);
            self.close();
        } else {
            self.s().i64_extend_i32_u();
        }
        if unknown {
            self.s().else_();
            self.slow(instruction, op, a, b);
            self.close();
        }
        self.end_binary(local, a, b);
        let ty = match (are_numbers, op) {
            (false, _) => Type::Any,
            (true, Op::Shr) => Type::Number,
            (true, _) => Type::Int,
        };
        Entry { place: Place::Temporary(local), ty }
    }

    pub(super) fn increment(&mut self, instruction: Instruction, op: Op, entry: Entry) -> Entry {
        let is_inc = matches!(op, Op::Inc | Op::IncLoc | Op::PostInc);
        if entry.ty.is_number() {
            let one = Entry { place: Place::Constant(at::int(1)), ty: Type::Int };
            return self.arithmetic(instruction, if is_inc { Op::Add } else { Op::Sub }, entry, one);
        }
        let local = self.temporary();
        let (limit, step) = if is_inc { (i32::MAX, 1) } else { (i32::MIN, -1) };
        self.get(entry);
        self.s().i64_const(32).i64_shr_u().i64_eqz();
        self.get(entry);
        self.constant(at::int(limit));
        self.s().i64_ne().i32_and();
        self.open_if(VALUE);
        self.int_of(entry);
        self.s().i32_const(step).i32_add().i64_extend_i32_u();
        self.s().else_();
        self.call_unary(instruction, if is_inc { Op::Inc } else { Op::Dec }, entry);
        self.close();
        self.s().local_set(local);
        self.release(entry);
        self.check_exception(local);
        Entry { place: Place::Temporary(local), ty: Type::Any }
    }

    pub(super) fn unary(&mut self, instruction: Instruction, op: Op, entry: Entry, ty: Type) {
        self.call_unary(instruction, op, entry);
        self.release(entry);
        let local = self.push_new(ty);
        self.check_pushed(local);
    }

    /// Leaves the engine's result for an instruction with one operand on WebAssembly's stack. It takes over the
    /// operand.
    pub(super) fn call_unary(&mut self, instruction: Instruction, op: Op, entry: Entry) {
        self.make_own(entry);
        self.s().local_get(CTX);
        self.get(entry);
        self.pc(instruction);
        self.s().i32_const(op as i32);
        self.call(Helper::Unary);
    }

    /// Ends an instruction with two operands, whose result is on WebAssembly's stack.
    fn end_binary(&mut self, local: u32, a: Entry, b: Entry) {
        self.s().local_set(local);
        self.release(a);
        self.release(b);
        if !(a.ty.is_number() && b.ty.is_number()) {
            self.check_exception(local);
        }
    }
}
