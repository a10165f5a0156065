//! Returns memory to the system that is kept for later use. `sandbox` uses it for idle sandboxes.
#![allow(unsafe_code, reason = "the call that returns memory works on addresses")]

use std::io;

use rustix::mm::{Advice, madvise};
use rustix::param::page_size;

/// Gives the whole pages of `bytes` back to the system. Afterwards, they have the content with which they
/// were mapped: zeros, or the bytes of the file that is mapped there. They take memory again when they are
/// used.
///
/// # Errors
/// The system rejects the call, for example because the memory is locked.
pub fn release(bytes: &mut [u8]) -> io::Result<()> {
    let page = page_size();
    let before = bytes.as_ptr().align_offset(page);
    let whole = bytes.len().saturating_sub(before) / page * page;
    let Some(pages) = bytes.get_mut(before..).and_then(|rest| rest.get_mut(..whole)) else { return Ok(()) };
    if pages.is_empty() {
        return Ok(());
    }
    // SAFETY: `pages` is borrowed exclusively, so nobody relies on its content, and every content is
    // valid for bytes. The call changes no memory outside of `pages`, and the pages stay mapped.
    unsafe { madvise(pages.as_mut_ptr().cast(), pages.len(), Advice::LinuxDontNeed) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pages_are_empty_afterwards_and_their_surroundings_are_unchanged() {
        let page = page_size();
        let mut bytes = vec![1_u8; 64 * page];
        let start = bytes.as_ptr().align_offset(page) + 10;
        release(&mut bytes[start..start + 9 * page]).unwrap();
        let released = start - 10 + page..start - 10 + 9 * page;
        assert!(bytes[released.clone()].iter().all(|byte| *byte == 0));
        assert!(bytes[..released.start].iter().chain(&bytes[released.end..]).all(|byte| *byte == 1));
        release(&mut bytes[start..start + page]).unwrap();
        release(&mut []).unwrap();
    }
}
