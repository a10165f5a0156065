//! What both databases read from a row.

use sluice_crm::Reference;
use sluice_kit::{Cause, StoreError};

/// The reference in a row.
pub(crate) fn decoded_reference(kind: &str, id: &[u8]) -> Result<Reference, StoreError> {
    let corrupt = |why: Cause| StoreError::Corrupt { what: "CRM reference", why: why.into() };
    let id = std::str::from_utf8(id).map_err(|error| corrupt(Cause::of(error)))?;
    Reference::new(kind, id).map_err(|error| corrupt(Cause::of(error)))
}
