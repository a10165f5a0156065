//! The HTML in a `srcdoc` attribute.

use super::reference::Reference;
use super::{ContextError, Machine, Place};

/// The state of the document. A value in it is escaped twice: as text of the document, and as an
/// attribute's value. That is safe only in the document's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    reference: Reference,
    machine: Machine,
}

impl Document {
    pub(super) fn new() -> Document {
        Document { reference: Reference::default(), machine: Machine { inner: true, ..Machine::new() } }
    }

    /// Reads a byte of the attribute.
    pub(super) fn step(&mut self, byte: u8) -> Result<(), ContextError> {
        let mut decoded = Vec::new();
        self.reference.step(byte, &mut decoded);
        for byte in decoded {
            // Offsets in the document are never used.
            self.machine.step(byte, 0)?;
        }
        Ok(())
    }

    /// Steps over a value.
    pub(super) fn hole(&mut self) -> Result<(), ContextError> {
        let is_text = !self.reference.is_open() && self.machine.hole(0) == Ok(Place::Text);
        match is_text {
            true => Ok(()),
            false => Err(ContextError::ValueInDocument),
        }
    }

    /// The state after either of two branches.
    pub(super) fn merge(&self, other: &Document) -> Option<Document> {
        let machine = self.machine.merge(&other.machine)?;
        (self.reference == other.reference).then(|| Document { machine, ..self.clone() })
    }
}
