//! Properties, and elements of arrays.

use wasm_encoder::BlockType;

use super::types::Type;
use super::{CTX, Compiler, Entry, FLAG, Place, VALUE};
use crate::decode::Instruction;
use crate::layout as at;
use crate::memory::{i16_at, i32_at, i64_at};
use crate::ops::Op;
use crate::runtime::{Helper, Routine};

impl Compiler<'_> {
    /// Reads or writes a property, or converts the key of one.
    pub(super) fn use_property(&mut self, instruction: Instruction) -> Option<()> {
        match instruction.op {
            Op::Typeof | Op::ToPropkey => {
                let entry = self.pop()?;
                self.unary(instruction, instruction.op, entry, Type::Any);
            }
            Op::ToPropkey2 => self.step(instruction, 2, &[Type::Any, Type::Any], 0)?,
            Op::ToPropkeyOf if self.entry_at(0)?.ty == Type::Int => {}
            Op::ToPropkeyOf => self.step(instruction, 2, &[Type::Any, Type::Any], 0)?,
            Op::ToPropkeyUnder if self.entry_at(1)?.ty == Type::Int => {}
            Op::ToPropkeyUnder => self.convert_key_under(instruction)?,
            Op::GetField => self.get_field(instruction, false)?,
            Op::GetField2 => self.get_field(instruction, true)?,
            Op::PutField => self.put_field(instruction)?,
            Op::GetArrayEl => self.get_element(instruction)?,
            Op::PutArrayEl => self.put_element(instruction)?,
            Op::GetLength => self.get_length(instruction)?,
            Op::DefineField => {
                let value = self.pop()?;
                let object = *self.stack.last()?;
                self.make_own(value);
                self.s().local_get(CTX);
                self.get(object);
                self.get(value);
                self.pc(instruction);
                self.call(Helper::DefineField);
                self.release(value);
                self.leave_if(0);
            }
            Op::SetName => {
                let object = *self.stack.last()?;
                self.s().local_get(CTX);
                self.get(object);
                self.pc(instruction);
                self.call(Helper::SetName);
                self.leave_if(0);
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn get_field(&mut self, instruction: Instruction, keeps: bool) -> Option<()> {
        let object = self.pop()?;
        let local = self.temporary();
        self.s().local_get(CTX);
        self.get(object);
        self.pc(instruction);
        self.site();
        self.routine(Routine::GetField);
        self.s().local_set(local);
        if keeps {
            self.stack.push(object);
            self.check_exception(local);
        } else {
            self.drop_entry(object);
            self.check_exception(local);
        }
        self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
        Some(())
    }

    pub(super) fn put_field(&mut self, instruction: Instruction) -> Option<()> {
        let value = self.pop()?;
        let object = self.pop()?;
        self.make_own(value);
        self.s().local_get(CTX);
        self.get(object);
        self.get(value);
        self.pc(instruction);
        self.site();
        self.routine(Routine::PutField);
        let flag = self.flag();
        self.s().local_set(flag);
        self.release(value);
        self.drop_entry(object);
        self.s().local_get(flag);
        self.leave_if(0);
        Some(())
    }

    pub(super) fn get_element(&mut self, instruction: Instruction) -> Option<()> {
        let index = self.pop()?;
        let object = self.pop()?;
        let x = self.x();
        let local = self.temporary();
        self.open_block(VALUE);
        self.open_block(BlockType::Empty);
        self.array_element(object, index);
        self.s().i64_load(i64_at(0)).local_set(x);
        self.dup(x);
        self.s().local_get(x).br(1);
        self.close();
        self.make_own(index);
        self.s().local_get(CTX);
        self.get(object);
        self.get(index);
        self.pc(instruction);
        self.call(Helper::GetElement);
        self.close();
        self.s().local_set(local);
        self.release(index);
        self.drop_entry(object);
        self.check_exception(local);
        self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
        Some(())
    }

    /// The address of an array's element, or a branch out of the innermost block.
    pub(super) fn array_element(&mut self, object: Entry, index: Entry) {
        let p = self.p();
        self.get(object);
        self.constant(at::OBJECT);
        self.s().i64_lt_u().br_if(0);
        if self.are_ints(&[index]) {
            self.s().i32_eqz().br_if(0);
        }
        self.get(object);
        self.s().i32_wrap_i64().local_tee(p).i32_load16_u(i16_at(at::OBJECT_CLASS));
        self.s().i32_const(at::CLASS_ARRAY).i32_ne().br_if(0);
        self.int_of(index);
        self.s().local_get(p).i32_load(i32_at(at::ARRAY_COUNT)).i32_ge_u().br_if(0);
        self.s().local_get(p).i32_load(i32_at(at::ARRAY_VALUES));
        self.int_of(index);
        self.s().i32_const(3).i32_shl().i32_add();
    }

    pub(super) fn put_element(&mut self, instruction: Instruction) -> Option<()> {
        let value = self.pop()?;
        let index = self.pop()?;
        let object = self.pop()?;
        let (q, y, flag) = (self.q(), self.y(), self.flag());
        self.make_own(value);
        self.open_block(FLAG);
        self.open_block(BlockType::Empty);
        self.array_element(object, index);
        self.s().local_tee(q).i64_load(i64_at(0)).local_set(y);
        self.s().local_get(q);
        self.get(value);
        self.s().i64_store(i64_at(0));
        self.free(y);
        self.s().i32_const(0).br(1);
        self.close();
        self.make_own(index);
        self.s().local_get(CTX);
        self.get(object);
        self.get(index);
        self.get(value);
        self.pc(instruction);
        self.call(Helper::PutElement);
        self.close();
        self.s().local_set(flag);
        self.release(value);
        self.release(index);
        self.drop_entry(object);
        self.s().local_get(flag);
        self.leave_if(0);
        Some(())
    }

    pub(super) fn get_length(&mut self, instruction: Instruction) -> Option<()> {
        let object = self.pop()?;
        let p = self.p();
        let local = self.temporary();
        self.open_block(VALUE);
        self.open_block(BlockType::Empty);
        self.get(object);
        self.constant(at::OBJECT);
        self.s().i64_lt_u().br_if(0);
        self.get(object);
        self.s().i32_wrap_i64().local_tee(p).i32_load16_u(i16_at(at::OBJECT_CLASS));
        self.s().i32_const(at::CLASS_ARRAY).i32_ne().br_if(0);
        // The first property, which is a number.
        self.s().local_get(p).i32_load(i32_at(at::OBJECT_PROPERTIES)).i64_load(i64_at(0)).br(1);
        self.close();
        self.s().local_get(CTX);
        self.get(object);
        self.pc(instruction);
        self.call(Helper::GetLength);
        self.close();
        self.s().local_set(local);
        self.drop_entry(object);
        self.check_exception(local);
        self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
        Some(())
    }

    /// Converts the key that is below a value. The engine takes over the key, so that only the value is on the
    /// interpreter's stack if this throws.
    fn convert_key_under(&mut self, instruction: Instruction) -> Option<()> {
        let value = self.pop()?;
        let key = self.pop()?;
        self.stack.push(value);
        self.call_unary(instruction, Op::ToPropkey, key);
        self.release(key);
        let local = self.temporary();
        self.s().local_set(local);
        self.check_exception(local);
        let value = self.pop()?;
        self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
        self.stack.push(value);
        Some(())
    }
}
