//! Blocks: the types of values at the beginning of each, and their code.

use super::types::{State, Type, join};
use super::{Compiler, Entry, Place};

impl Compiler<'_> {
    /// Compiles a block from what is known at its beginning. Returns what is known at its end.
    pub(super) fn compile_block(&mut self, block: usize, state: &State) -> Option<State> {
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
            has_ended = self.instruction(*instruction, instructions.get(index + 1).copied())?;
        }
        if !has_ended {
            self.canonical();
            let block = self.successor(0)?;
            self.jump(block);
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
        let mut work = vec![0];
        let mut steps = 0;
        while let Some(block) = work.pop() {
            steps += 1;
            if steps > 20 * self.blocks.len() {
                return None;
            }
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
                    if !work.contains(successor) {
                        work.push(*successor);
                    }
                }
            }
        }
        Some(states)
    }
}
