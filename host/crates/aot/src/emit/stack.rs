//! Moves operands.

use super::types::Type;
use super::{Compiler, Entry};
use crate::decode::Instruction;
use crate::ops::Op;

impl Compiler<'_> {
    /// Reorders, copies or drops operands.
    pub(super) fn move_operands(&mut self, instruction: Instruction) -> Option<()> {
        match instruction.op {
            Op::Nop => {}
            Op::Drop => {
                let entry = self.pop()?;
                self.drop_entry(entry);
            }
            Op::Nip => {
                let top = self.pop()?;
                let entry = self.pop()?;
                self.drop_entry(entry);
                self.stack.push(top);
            }
            Op::Nip1 => {
                let top = self.pop_many(2)?;
                let entry = self.pop()?;
                self.drop_entry(entry);
                self.stack.extend(top);
            }
            Op::NipCatch => {
                let top = self.pop()?;
                loop {
                    let entry = self.pop()?;
                    if entry.ty == Type::Catch {
                        break;
                    }
                    self.drop_entry(entry);
                }
                self.stack.push(top);
            }
            Op::Dup => {
                let copy = self.copy_at(0)?;
                self.stack.push(copy);
            }
            Op::Dup1 => {
                let copy = self.copy_at(1)?;
                let index = self.stack.len().checked_sub(1)?;
                self.stack.insert(index, copy);
            }
            Op::Dup2 | Op::Dup3 => {
                let count = if instruction.op == Op::Dup2 { 2 } else { 3 };
                for _ in 0..count {
                    let copy = self.copy_at(count - 1)?;
                    self.stack.push(copy);
                }
            }
            Op::Insert2 | Op::Insert3 | Op::Insert4 => {
                let copy = self.copy_at(0)?;
                let below = 2 + (instruction.op as usize - Op::Insert2 as usize);
                let index = self.stack.len().checked_sub(below)?;
                self.stack.insert(index, copy);
            }
            Op::Swap => self.move_to_top(1)?,
            Op::Swap2 => {
                self.move_to_top(3)?;
                self.move_to_top(3)?;
            }
            Op::Rot3l => self.move_to_top(2)?,
            Op::Rot4l => self.move_to_top(3)?,
            Op::Rot5l => self.move_to_top(4)?,
            Op::Rot3r => self.move_from_top(2)?,
            Op::Perm3 | Op::Perm4 | Op::Perm5 => {
                // The second goes below the others.
                let top = self.pop()?;
                self.move_from_top(1 + (instruction.op as usize - Op::Perm3 as usize))?;
                self.stack.push(top);
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn move_from_top(&mut self, to: usize) -> Option<()> {
        // The top entry goes `to` places down.
        let top = self.pop()?;
        let index = self.stack.len().checked_sub(to)?;
        self.stack.insert(index, top);
        Some(())
    }

    pub(super) fn move_to_top(&mut self, from: usize) -> Option<()> {
        let index = self.stack.len().checked_sub(from + 1)?;
        let entry = self.stack.remove(index);
        self.stack.push(entry);
        Some(())
    }

    /// An operand, counted from the top.
    pub(super) fn entry_at(&self, from_top: usize) -> Option<Entry> {
        let index = self.stack.len().checked_sub(from_top + 1)?;
        self.stack.get(index).copied()
    }

    fn copy_at(&mut self, from_top: usize) -> Option<Entry> {
        let entry = self.entry_at(from_top)?;
        Some(self.copy(entry))
    }
}
