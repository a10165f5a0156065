//! The HTML in a `srcdoc` attribute.

use super::reference::Reference;
use super::{Machine, Place};

/// How far it is read. It is escaped once for itself and once as an attribute's value, so a
/// value is safe in its text only.
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
    pub(super) fn step(&mut self, byte: u8) -> Result<(), String> {
        let mut decoded = Vec::new();
        self.reference.step(byte, &mut decoded);
        for byte in decoded {
            // Only what was written matters here, not where.
            self.machine.step(byte, 0)?;
        }
        Ok(())
    }

    /// A value stands here.
    pub(super) fn hole(&mut self) -> Result<(), String> {
        let is_text = !self.reference.is_open() && self.machine.hole(0) == Ok(Place::Text);
        match is_text {
            true => Ok(()),
            false => Err("in srcdoc, {{ }} can stand only in the text of its HTML".to_owned()),
        }
    }

    pub(super) fn merge(&self, other: &Document) -> Option<Document> {
        let machine = self.machine.merge(&other.machine)?;
        (self.reference == other.reference).then(|| Document { machine, ..self.clone() })
    }
}
