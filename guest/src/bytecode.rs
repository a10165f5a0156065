//! The script's bytecode: a blob with an index. The page component copies it into this memory before it
//! calls `run`.
//!
//! ```text
//! blob  := unit*            the page first
//! unit  := text text bytes  code, file, bytecode (empty: another code of the same file)
//! text, bytes := length:u32le byte*
//! ```

use std::cell::RefCell;

thread_local! {
    static BLOB: RefCell<&'static mut [u8]> = const { RefCell::new(&mut []) };
}

/// One compiled module of the import graph.
pub struct Unit<'a> {
    pub code: &'a str,
    pub file: &'a str,
    pub bytecode: &'a [u8],
}

/// Allocates `len` bytes for the page component's blob. QuickJS reads bytecode in place, so the memory is
/// never freed.
#[unsafe(no_mangle)]
extern "C" fn script_alloc(len: usize) -> *mut u8 {
    let blob = vec![0; len].leak();
    let start = blob.as_mut_ptr();
    BLOB.with(|slot| *slot.borrow_mut() = blob);
    start
}

/// Returns the units of the blob.
///
/// # Errors
/// The blob is truncated, or its index is not UTF-8.
pub fn units() -> Result<Vec<Unit<'static>>, String> {
    let blob: &'static [u8] = BLOB.with(|slot| std::mem::take(&mut *slot.borrow_mut()));
    let mut rest = blob;
    let mut units = Vec::new();
    while !rest.is_empty() {
        units.push(Unit { code: text(&mut rest)?, file: text(&mut rest)?, bytecode: chunk(&mut rest)? });
    }
    Ok(units)
}

/// Returns the blob of `units`. The inverse of [`units`].
pub fn blob(units: &[(String, String, Vec<u8>)]) -> Vec<u8> {
    let mut blob = Vec::new();
    for (code, file, bytecode) in units {
        for part in [code.as_bytes(), file.as_bytes(), bytecode] {
            blob.extend_from_slice(&(part.len() as u32).to_le_bytes());
            blob.extend_from_slice(part);
        }
    }
    blob
}

fn chunk(rest: &mut &'static [u8]) -> Result<&'static [u8], String> {
    let cut_short = || "the script's bytecode is truncated".to_owned();
    let (length, after) = rest.split_at_checked(4).ok_or_else(cut_short)?;
    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
    let (chunk, after) = after.split_at_checked(length).ok_or_else(cut_short)?;
    *rest = after;
    Ok(chunk)
}

fn text(rest: &mut &'static [u8]) -> Result<&'static str, String> {
    std::str::from_utf8(chunk(rest)?).map_err(|_| "the script's index is not text".to_owned())
}
