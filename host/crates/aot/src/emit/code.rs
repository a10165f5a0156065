//! Writes instructions of WebAssembly.

use wasm_encoder::{BlockType, InstructionSink};

use super::{Compiler, Label};
use crate::decode::Instruction;
use crate::layout as at;
use crate::memory::i32_at;
use crate::runtime::{Helper, Routine};

impl Compiler<'_> {
    pub(super) fn s(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }
    pub(super) fn call(&mut self, helper: Helper) {
        let index = self.needs.helper(helper);
        self.s().call(index);
    }
    pub(super) fn routine(&mut self, routine: Routine) {
        let index = self.needs.routine(routine);
        self.s().call(index);
    }
    pub(super) fn open_if(&mut self, ty: BlockType) {
        self.labels.push(Label::Other);
        self.s().if_(ty);
    }
    pub(super) fn open_block(&mut self, ty: BlockType) {
        self.labels.push(Label::Other);
        self.s().block(ty);
    }
    pub(super) fn close(&mut self) {
        self.labels.pop();
        self.s().end();
    }
    pub(super) fn depth_of(&self, label: Label) -> u32 {
        let found = self.labels.iter().rev().position(|other| *other == label);
        u32::try_from(found.unwrap_or(0)).unwrap_or(0)
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
    pub(super) fn site(&mut self) -> u32 {
        self.sites += 1;
        (self.first_site + self.sites - 1) * at::SITE_BYTES
    }
}
