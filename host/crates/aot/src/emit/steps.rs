//! Instructions that the engine carries out on operands in memory.

use super::types::Type;
use super::{CTX, Compiler};
use crate::decode::Instruction;
use crate::memory::i64_at;
use crate::ops::Op;
use crate::runtime::Helper;

impl Compiler<'_> {
    /// An instruction that the engine carries out on operands in memory.
    pub(super) fn run_step(&mut self, instruction: Instruction) -> Option<()> {
        let operand = instruction.operand;
        let index = u32::try_from(instruction.operand).unwrap_or(u32::MAX);
        match instruction.op {
            Op::Apply => self.step(instruction, 3, &[Type::Any], operand)?,
            Op::Regexp => self.step(instruction, 2, &[Type::Any], 0)?,
            Op::Append => self.step(instruction, 3, &[Type::Any, Type::Any], 0)?,
            Op::DefineArrayEl => self.step(instruction, 3, &[Type::Any, Type::Any], 0)?,
            Op::GetArrayEl2 => self.step(instruction, 2, &[Type::Any, Type::Any], 0)?,
            Op::ForOfStart => self.step(instruction, 1, &[Type::Any, Type::Any, Type::Catch], 0)?,
            Op::ForOfNext => {
                let types = self.stack.iter().rev().take(index as usize + 3).map(|entry| entry.ty);
                let mut types: Vec<Type> = types.collect();
                types.reverse();
                types.extend([Type::Any, Type::Bool]);
                // The iterator may have been a constant.
                *types.first_mut()? = Type::Any;
                self.step(instruction, index.checked_add(3)?, &types, operand)?;
            }
            Op::IteratorClose => {
                // The engine does not free it.
                if self.stack.last()?.ty != Type::Catch {
                    return None;
                }
                self.step(instruction, 3, &[], 0)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// An instruction on the stack in memory.
    pub(super) fn step(
        &mut self,
        instruction: Instruction,
        inputs: u32,
        outputs: &[Type],
        operand: i32,
    ) -> Option<()> {
        let entries = self.pop_many(inputs)?;
        let base = u32::try_from(self.stack.len()).ok()?;
        for (entry, depth) in entries.iter().zip(base..) {
            let cell = self.stack_cell(depth);
            self.store_in(cell, *entry);
            self.release(*entry);
        }
        let (local, offset) = self.stack_cell(base + inputs);
        self.s().local_get(CTX).local_get(local).i32_const(i32::try_from(offset).ok()?).i32_add();
        self.pc(instruction);
        self.s().i32_const(instruction.op as i32).i32_const(operand);
        self.call(Helper::Step);
        self.leave_if(inputs);
        for (ty, depth) in outputs.iter().zip(base..) {
            let (local, offset) = self.stack_cell(depth);
            self.s().local_get(local).i64_load(i64_at(offset));
            self.push_new(*ty);
        }
        Some(())
    }
}
