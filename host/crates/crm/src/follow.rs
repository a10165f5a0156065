//! Executes a write to one entry, whichever reference has it. Calls of scripts and edits of operators use it.

use crate::{CrmCaps, CrmFault, CrmStore, CrmWrite, CrmWritten, Refusal};

/// How many times a write looks for an entry that other writes give to another reference meanwhile.
const TRIES_MAX: u32 = 5;

/// Executes a write to one entry. It locks the line of the entry, so it has to know the reference first, and looks
/// again if the entry is elsewhere then.
///
/// # Errors
/// There is no such entry ([`Refusal::NoEntry`]), the write is refused, or the database fails.
pub async fn write_entry<S: CrmStore + ?Sized>(
    store: &S,
    brand: &str,
    mut write: CrmWrite,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<CrmWritten, CrmFault> {
    let none = CrmFault::Refused(Refusal::NoEntry);
    let Some((slug, id)) = write.entry().map(|(slug, id)| (slug.clone(), id)) else { return Err(none) };
    let mut before = None;
    for _ in 0..TRIES_MAX {
        let reference = store.entry_reference(brand, slug.clone(), id).await?.ok_or_else(|| none.clone())?;
        if before.as_ref() == Some(&reference) {
            break;
        }
        write.follow(reference.clone());
        match store.write_crm(brand, write.clone(), caps, now_ms).await {
            Err(CrmFault::Refused(Refusal::NoEntry)) => before = Some(reference),
            done => return done,
        }
    }
    Err(none)
}
