//! The allocator, and what the snapshot leaves free for a run.

use std::hint::black_box;

use dlmalloc::GlobalDlmalloc;

/// QuickJS allocates with it, too. It packs blocks of all sizes one after the other, where an
/// allocator with a region for each size would have a run write to all of the regions.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

/// Free in one piece at the end of the heap: a small page never makes the memory grow.
const FREE_BYTES: usize = 256 << 10;
/// No hole is larger than that.
const HOLE_BYTES_MAX: usize = 64 << 10;
/// Sizes of blocks are multiples of it.
const BLOCK_BYTES: usize = 8;

/// Takes every hole that setting up has left in the heap, for good, so that what a run
/// allocates lies side by side. Each page of memory that a run writes is copied for it and
/// cleaned after it, and that is most of what a small page costs.
pub fn fill_holes() {
    let end = address(&block(FREE_BYTES));
    let mut size = HOLE_BYTES_MAX;
    while size > 0 {
        let taken = block(size);
        if address(&taken) < end {
            std::mem::forget(taken);
        } else {
            // No hole has room for it: `taken` came from the end, and goes back there.
            size -= BLOCK_BYTES;
        }
    }
}

fn block(bytes: usize) -> Vec<u8> {
    black_box(Vec::with_capacity(bytes))
}

fn address(block: &[u8]) -> usize {
    block.as_ptr().addr()
}
