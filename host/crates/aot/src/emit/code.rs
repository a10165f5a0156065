//! Writes instructions of WebAssembly.

use wasm_encoder::{BlockType, InstructionSink};

use super::{Compiler, Label};
use crate::decode::Instruction;
use crate::layout as at;
use crate::link::{Gap, SITES};
use crate::memory::i32_at;
use crate::runtime::{Helper, Routine};

impl Compiler<'_> {
    /// Where instructions are written.
    pub(super) fn s(&mut self) -> InstructionSink<'_> {
        self.code.sink()
    }
    pub(super) fn call(&mut self, helper: Helper) {
        self.code.gap(Gap::Helper(helper));
    }
    pub(super) fn routine(&mut self, routine: Routine) {
        self.code.gap(Gap::Routine(routine));
    }
    pub(super) fn open_if(&mut self, ty: BlockType) {
        self.labels.push(Label::Other);
        self.s().if_(ty);
    }
    pub(super) fn open(&mut self, label: Label) {
        self.labels.push(label);
        self.s().block(BlockType::Empty);
    }
    pub(super) fn open_block(&mut self, ty: BlockType) {
        self.labels.push(Label::Other);
        self.s().block(ty);
    }
    pub(super) fn close(&mut self) {
        self.labels.pop();
        self.s().end();
    }
    /// How many blocks are around the jump inside of the label's.
    fn depth_of(&mut self, label: Label) -> u32 {
        let found = self.labels.iter().rev().position(|other| *other == label);
        let depth = found.and_then(|depth| u32::try_from(depth).ok());
        self.is_broken |= depth.is_none();
        self.exits += usize::from(label == Label::Leave);
        depth.unwrap_or(0)
    }
    pub(super) fn br(&mut self, label: Label) {
        let depth = self.depth_of(label);
        self.s().br(depth);
    }
    pub(super) fn br_if(&mut self, label: Label) {
        let depth = self.depth_of(label);
        self.s().br_if(depth);
    }
    pub(super) fn constant(&mut self, bits: u64) {
        self.s().i64_const(bits.cast_signed());
    }

    /// Sets the place of an instruction, for calls.
    pub(super) fn set_pc(&mut self, instruction: Instruction) {
        let (sf, bytecode) = (self.sf(), self.bytecode());
        self.s().local_get(sf).local_get(bytecode).i32_load(i32_at(at::BYTECODE_CODE));
        self.s().i32_const(instruction.next.cast_signed()).i32_add().i32_store(i32_at(at::SF_CUR_PC));
    }
    pub(super) fn pc(&mut self, instruction: Instruction) {
        self.s().i32_const(instruction.next.cast_signed());
    }
    /// The address of what a place that uses a property has seen.
    pub(super) fn site(&mut self) {
        self.s().global_get(SITES);
        self.code.gap(Gap::Site(self.sites));
        self.s().i32_add();
        self.sites += 1;
    }
}
