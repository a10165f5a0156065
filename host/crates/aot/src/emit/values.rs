//! Values that do not depend on the stack.

use super::types::Type;
use super::{CTX, Compiler, Entry, Place, THIS};
use crate::decode::Instruction;
use crate::layout as at;
use crate::memory::{i32_at, i64_at};
use crate::ops::Op;
use crate::read::Constant;
use crate::runtime::Helper;

impl Compiler<'_> {
    /// Pushes a value that does not depend on the stack.
    pub(super) fn push_value(&mut self, instruction: Instruction) -> Option<()> {
        let operand = instruction.operand;
        let index = u32::try_from(instruction.operand).unwrap_or(u32::MAX);
        match instruction.op {
            Op::PushI32 => self.push_constant(at::int(operand), Type::Int),
            Op::Undefined => self.push_constant(at::UNDEFINED, Type::Plain),
            Op::Null => self.push_constant(at::NULL, Type::Plain),
            Op::PushFalse => self.push_constant(at::FALSE, Type::Bool),
            Op::PushTrue => self.push_constant(at::TRUE, Type::Bool),
            Op::Catch => self.push_constant(at::CATCH | u64::from(index), Type::Catch),
            Op::PushConst => match self.function.constants.get(index as usize)? {
                Constant::Int(value) => self.push_constant(at::int(*value), Type::Int),
                Constant::Float(bits) => self.push_constant(at::float(*bits), Type::Number),
                Constant::Function | Constant::Other => {
                    let bytecode = self.bytecode();
                    self.s().local_get(bytecode).i32_load(i32_at(at::BYTECODE_CONSTANTS));
                    self.s().i64_load(i64_at(8 * u64::from(index)));
                    let local = self.push_new(Type::Any);
                    self.dup(local);
                }
            },
            Op::Fclosure
            | Op::Object
            | Op::PushAtomValue
            | Op::PushEmptyString
            | Op::GetVar
            | Op::GetVarUndef => {
                if instruction.op == Op::Fclosure {
                    let constant = self.function.constants.get(index as usize)?;
                    if !matches!(constant, Constant::Function) {
                        return None;
                    }
                }
                self.s().local_get(CTX);
                self.pc(instruction);
                self.s().i32_const(instruction.op as i32).i32_const(operand);
                self.call(Helper::Push);
                let local = self.push_new(Type::Any);
                self.check_pushed(local);
            }
            Op::PushThis => self.stack.push(Entry { place: Place::Borrowed(THIS), ty: Type::Any }),
            _ => return None,
        }
        Some(())
    }
}
