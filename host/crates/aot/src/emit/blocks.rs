//! Blocks: the types of values at the beginning of each, and their code.

use wasm_encoder::BlockType;

use super::types::{State, Type, join};
use super::{Compiler, Entry, Label, Place};
use crate::limits::{FUNCTION_CODE_BYTES_MAX, NESTING_MAX};
use crate::nesting::Range;

impl Compiler<'_> {
    /// Compiles a block from what is known at its beginning. Returns what is known at its end.
    pub(super) fn compile_block(&mut self, block: usize, state: &State) -> Option<State> {
        // The types before and after.
        self.work.spend(1 + 3 * (state.variables.len() + state.stack.len()))?;
        self.block = block;
        self.variables.clone_from(&state.variables);
        self.stack.clear();
        for (ty, depth) in state.stack.iter().zip(0..) {
            let slot = self.slot(depth);
            self.stack.push(Entry { place: Place::Slot(slot), ty: *ty });
        }
        let blocks = self.blocks;
        let instructions = &blocks.get(block)?.instructions;
        let mut has_ended = false;
        for (index, instruction) in instructions.iter().enumerate() {
            if has_ended {
                break;
            }
            if std::mem::take(&mut self.is_next_done) {
                continue;
            }
            let bytes = self.code.bytes_max();
            has_ended = self.instruction(*instruction, instructions.get(index + 1).copied())?;
            // What an instruction writes is limited by the stack, whose size is.
            if self.code.bytes_max() > FUNCTION_CODE_BYTES_MAX {
                return None;
            }
            self.work.spend(1 + self.code.bytes_max() - bytes + self.stack.len())?;
        }
        if !has_ended {
            self.canonical();
            let block = self.successor(0)?;
            self.jump(block)?;
        }
        let state = State {
            variables: self.variables.clone(),
            stack: self.stack.iter().map(|entry| entry.ty).collect(),
        };
        for entry in std::mem::take(&mut self.stack) {
            self.release(entry);
        }
        Some(state)
    }

    /// Finds the types at the beginning of each block. Blocks without are not reached.
    pub(super) fn states(&mut self) -> Option<Vec<Option<State>>> {
        let vars = self.function.vars as usize;
        let mut variables = vec![Type::Plain; vars];
        variables.extend(vec![Type::Any; self.function.args as usize]);
        let mut states: Vec<Option<State>> = vec![None; self.blocks.len()];
        *states.first_mut()? = Some(State { variables, stack: Vec::new() });
        let mut changed = vec![0];
        while let Some(block) = changed.pop() {
            let state = states.get(block)?.clone()?;
            self.code.clear();
            let end = self.compile_block(block, &state)?;
            let blocks = self.blocks;
            for successor in &blocks.get(block)?.successors {
                let known = states.get_mut(*successor)?;
                let joined = match known {
                    None => end.clone(),
                    Some(known) => join(known, &end)?,
                };
                if known.as_ref() != Some(&joined) {
                    *known = Some(joined);
                    if !changed.contains(successor) {
                        changed.push(*successor);
                    }
                }
            }
        }
        Some(states)
    }

    /// The code of all blocks, in the blocks and loops of WebAssembly that the jumps need.
    pub(super) fn all_blocks(&mut self, states: &[Option<State>], ranges: &[Range]) -> Option<()> {
        let mut ranges = ranges.iter().peekable();
        let mut ends: Vec<usize> = Vec::new();
        for (block, state) in states.iter().enumerate() {
            while ends.pop_if(|end| *end == block).is_some() {
                self.close();
            }
            if ends.last().is_some_and(|end| *end < block) {
                return None;
            }
            while let Some(range) = ranges.next_if(|range| range.start == block) {
                ends.push(range.end);
                if !range.is_loop {
                    self.open(Label::Until(range.end));
                    continue;
                }
                self.labels.push(Label::Loop(block));
                self.s().loop_(BlockType::Empty);
            }
            if ends.len() > NESTING_MAX {
                return None;
            }
            match state {
                Some(state) => drop(self.compile_block(block, state)?),
                None => {
                    self.s().unreachable();
                }
            }
        }
        while ends.pop().is_some() {
            self.close();
        }
        ranges.next().is_none().then_some(())
    }
}
