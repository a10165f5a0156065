//! The operands, as far as they are known when the function is compiled.

use wasm_encoder::BlockType;

use super::types::Type;
use super::{CTX, Compiler, Entry, Place};
use crate::layout as at;
use crate::memory::{i32_at, i64_at};
use crate::runtime::Routine;

impl Compiler<'_> {
    pub(super) fn get(&mut self, entry: Entry) {
        match entry.place {
            Place::Constant(bits) => self.constant(bits),
            Place::Borrowed(local) | Place::Temporary(local) | Place::Slot(local) => {
                self.s().local_get(local);
            }
        }
    }

    pub(super) fn is_borrowed(entry: Entry) -> bool {
        matches!(entry.place, Place::Borrowed(_)) && entry.ty == Type::Any
    }

    pub(super) fn has_reference(&mut self, local: u32) {
        self.s().local_get(local);
        self.constant(at::FIRST_REF);
        self.s().i64_ge_u();
    }

    pub(super) fn dup(&mut self, local: u32) {
        let p = self.p();
        self.has_reference(local);
        self.open_if(BlockType::Empty);
        self.s().local_get(local).i32_wrap_i64().local_tee(p).local_get(p).i32_load(i32_at(0));
        self.s().i32_const(1).i32_add().i32_store(i32_at(0));
        self.close();
    }

    pub(super) fn free(&mut self, local: u32) {
        self.has_reference(local);
        self.open_if(BlockType::Empty);
        self.s().local_get(CTX).local_get(local);
        self.routine(Routine::Free);
        self.close();
    }

    pub(super) fn release(&mut self, entry: Entry) {
        if let Place::Temporary(local) = entry.place {
            self.free_temporaries.push(local);
        }
    }

    /// Frees what the stack owns.
    pub(super) fn drop_entry(&mut self, entry: Entry) {
        if let Place::Temporary(local) | Place::Slot(local) = entry.place
            && entry.ty == Type::Any
        {
            self.free(local);
        }
        self.release(entry);
    }

    /// Leaves a value on WebAssembly's stack that belongs to whoever takes it.
    pub(super) fn own(&mut self, entry: Entry) {
        self.make_own(entry);
        self.get(entry);
    }

    /// Like `own`, before other operands are put on WebAssembly's stack.
    pub(super) fn make_own(&mut self, entry: Entry) {
        if Self::is_borrowed(entry)
            && let Place::Borrowed(local) = entry.place
        {
            self.dup(local);
        }
    }

    /// Pushes what is on WebAssembly's stack.
    pub(super) fn push_new(&mut self, ty: Type) -> u32 {
        let local = self.temporary();
        self.s().local_set(local);
        self.stack.push(Entry { place: Place::Temporary(local), ty });
        local
    }

    pub(super) fn push_constant(&mut self, bits: u64, ty: Type) {
        self.stack.push(Entry { place: Place::Constant(bits), ty });
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        self.stack.pop()
    }

    pub(super) fn pop_many(&mut self, count: u32) -> Option<Vec<Entry>> {
        let start = self.stack.len().checked_sub(count as usize)?;
        Some(self.stack.split_off(start))
    }

    /// Another entry with the same value.
    pub(super) fn copy(&mut self, entry: Entry) -> Entry {
        let (Place::Temporary(local) | Place::Slot(local)) = entry.place else { return entry };
        if entry.ty == Type::Any {
            self.dup(local);
        }
        let copy = self.temporary();
        self.s().local_get(local).local_set(copy);
        Entry { place: Place::Temporary(copy), ty: entry.ty }
    }

    /// Before a variable changes: entries that borrow it get their own value.
    pub(super) fn spill_borrows(&mut self, variable: u32) {
        for index in 0..self.stack.len() {
            let Some(entry) = self.stack.get(index).copied() else { continue };
            if entry.place == Place::Borrowed(variable) {
                self.own(entry);
                let local = self.temporary();
                self.s().local_set(local);
                if let Some(place) = self.stack.get_mut(index) {
                    place.place = Place::Temporary(local);
                }
            }
        }
    }

    pub(super) fn store_in(&mut self, (local, offset): (u32, u64), entry: Entry) {
        self.make_own(entry);
        self.s().local_get(local);
        self.get(entry);
        self.s().i64_store(i64_at(offset));
    }

    /// Puts operands into cells of the frame, from the depth at which they are.
    pub(super) fn store_many(&mut self, entries: &[Entry], owned: bool) -> Option<u32> {
        let base = u32::try_from(self.stack.len()).ok()?;
        for (entry, depth) in entries.iter().zip(base..) {
            let cell = self.stack_cell(depth);
            if owned {
                self.store_in(cell, *entry);
            } else {
                self.s().local_get(cell.0);
                self.get(*entry);
                self.s().i64_store(i64_at(cell.1));
            }
        }
        Some(base)
    }

    /// Moves the operands to where the next block expects them.
    pub(super) fn canonical(&mut self) {
        let mut moves = Vec::new();
        for depth in 0..self.stack.len() {
            let slot = self.slot(u32::try_from(depth).unwrap_or(0));
            let Some(entry) = self.stack.get(depth).copied() else { continue };
            if entry.place != Place::Slot(slot) {
                moves.push((depth, slot, entry));
            }
        }
        for (_, _, entry) in &moves {
            self.own(*entry);
        }
        for (depth, slot, entry) in moves.into_iter().rev() {
            self.s().local_set(slot);
            self.release(entry);
            if let Some(place) = self.stack.get_mut(depth) {
                place.place = Place::Slot(slot);
            }
        }
    }
}
