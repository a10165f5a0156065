//! The code of functions before it is known which functions the page has, and what it becomes afterwards.

use std::collections::BTreeMap;

use wasm_encoder::InstructionSink;

use crate::layout::SITE_BYTES;
use crate::runtime::{Helper, Routine};

/// The stack pointer among the globals of the page's module.
pub(crate) const STACK_POINTER: u32 = 0;
/// The address of what the places that use properties have seen.
pub(crate) const SITES: u32 = 1;

/// An instruction whose operand is not known yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gap {
    /// A call of one of the engine's functions.
    Helper(Helper),
    /// A call of a function that compiled functions share.
    Routine(Routine),
    /// A call of the function itself.
    Itself,
    /// The number of the function among those in the table.
    Number,
    /// The offset of what a place that uses a property has seen. Places are counted from 0 in each function.
    Site(u32),
}

impl Gap {
    /// The most bytes that an instruction takes.
    const BYTES_MAX: usize = 6;
}

/// Code with gaps, without its `end`.
#[derive(Default, Debug)]
pub(crate) struct Code {
    bytes: Vec<u8>,
    gaps: Vec<(usize, Gap)>,
}

impl Code {
    /// Where instructions are written.
    pub(crate) fn sink(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.bytes)
    }

    pub(crate) fn gap(&mut self, gap: Gap) {
        self.gaps.push((self.bytes.len(), gap));
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.gaps.clear();
    }

    /// The most bytes that it can have without gaps.
    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes.len() + self.gaps.len() * Gap::BYTES_MAX
    }
}

/// What the functions of a page call, and its index in the module.
#[derive(Default, Debug)]
pub(crate) struct Callees {
    helpers: BTreeMap<Helper, u32>,
    routines: BTreeMap<Routine, u32>,
}

/// What belongs to a single function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own {
    /// The index of its code in the module.
    pub index: u32,
    /// Its number among the functions in the table.
    pub number: i32,
    /// How many places that use properties are in the functions before it.
    pub first_site: u32,
}

impl Callees {
    /// Adds what the code calls.
    pub(crate) fn add(&mut self, code: &Code) {
        for (_, gap) in &code.gaps {
            match gap {
                Gap::Helper(helper) => drop(self.helpers.insert(*helper, 0)),
                Gap::Routine(routine) if !self.routines.contains_key(routine) => {
                    self.routines.insert(*routine, 0);
                    self.add(&routine.code().1);
                }
                Gap::Routine(_) | Gap::Itself | Gap::Number | Gap::Site(_) => {}
            }
        }
    }

    /// Gives indices: first to the engine's functions, then to the routines. Returns the next index.
    pub(crate) fn number(&mut self, first: u32) -> u32 {
        let indices = self.helpers.values_mut().chain(self.routines.values_mut());
        indices.zip(first..).fold(first, |_, (index, next)| {
            *index = next;
            next + 1
        })
    }

    pub(crate) fn helpers(&self) -> impl Iterator<Item = Helper> + '_ {
        self.helpers.keys().copied()
    }

    pub(crate) fn routines(&self) -> impl Iterator<Item = Routine> + '_ {
        self.routines.keys().copied()
    }

    /// The code with its gaps filled. `None` if something that it calls was not added.
    pub(crate) fn fill(&self, code: &Code, own: Own) -> Option<Vec<u8>> {
        let mut filled = Vec::with_capacity(code.bytes_max());
        let mut from = 0;
        for (at, gap) in &code.gaps {
            filled.extend_from_slice(code.bytes.get(from..*at)?);
            from = *at;
            let mut sink = InstructionSink::new(&mut filled);
            match gap {
                Gap::Helper(helper) => sink.call(*self.helpers.get(helper)?),
                Gap::Routine(routine) => sink.call(*self.routines.get(routine)?),
                Gap::Itself => sink.call(own.index),
                Gap::Number => sink.i32_const(own.number),
                Gap::Site(site) => {
                    let offset = own.first_site.checked_add(*site)?.checked_mul(SITE_BYTES)?;
                    sink.i32_const(i32::try_from(offset).ok()?)
                }
            };
        }
        filled.extend_from_slice(code.bytes.get(from..)?);
        Some(filled)
    }
}
