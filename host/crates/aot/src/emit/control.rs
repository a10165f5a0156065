//! Jumps, and the ends of blocks.

use super::{Compiler, Label};
use crate::decode::Instruction;
use crate::layout as at;
use crate::ops::Op;

impl Compiler<'_> {
    /// An instruction that the block ends with.
    pub(super) fn end_block(&mut self, instruction: Instruction) -> Option<()> {
        match instruction.op {
            Op::Goto => {
                self.canonical();
                let block = self.successor(0)?;
                self.jump(block)?;
            }
            Op::IfFalse | Op::IfTrue => {
                let entry = self.pop()?;
                self.truth(entry);
                self.jump_if(instruction.op)?;
            }
            Op::TailCall | Op::TailCallMethod => {
                let local = self.js_call(instruction, instruction.op == Op::TailCallMethod)?;
                let result = self.result();
                self.s().local_get(local).local_set(result);
                self.free_temporaries.push(local);
                self.end();
            }
            Op::Return => {
                let entry = self.pop()?;
                let result = self.result();
                self.own(entry);
                self.s().local_set(result);
                self.release(entry);
                self.end();
            }
            Op::ReturnUndef => {
                let result = self.result();
                self.constant(at::UNDEFINED);
                self.s().local_set(result);
                self.end();
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn target(&self, block: usize) -> Label {
        if block <= self.block { Label::Loop(block) } else { Label::Until(block) }
    }

    pub(super) fn successor(&self, index: usize) -> Option<usize> {
        self.blocks.get(self.block)?.successors.get(index).copied()
    }

    /// Goes on in a block, which may be the next.
    pub(super) fn jump(&mut self, block: usize) -> Option<()> {
        if block <= self.block {
            self.poll()?;
        }
        if block != self.block + 1 {
            let label = self.target(block);
            self.br(label);
        }
        Some(())
    }

    /// Goes on in one of two blocks, as the flag says.
    pub(super) fn jump_if(&mut self, op: Op) -> Option<()> {
        self.canonical();
        let (mut taken, mut other) = (self.successor(0)?, self.successor(1)?);
        if taken == other {
            return self.jump(other);
        }
        if taken <= self.block || other <= self.block {
            self.poll()?;
        }
        let flag = self.flag();
        self.s().local_get(flag);
        let mut is_inverted = op == Op::IfFalse;
        if taken == self.block + 1 {
            std::mem::swap(&mut taken, &mut other);
            is_inverted = !is_inverted;
        }
        if is_inverted {
            self.s().i32_eqz();
        }
        let label = self.target(taken);
        self.br_if(label);
        if other != self.block + 1 {
            let label = self.target(other);
            self.br(label);
        }
        Some(())
    }
}
