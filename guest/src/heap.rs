//! The allocator, and the free memory that the snapshot leaves for a run.

use std::hint::black_box;

use dlmalloc::GlobalDlmalloc;

/// QuickJS uses it, too. It places blocks of all sizes one after the other. An allocator with a region
/// for each size would make a run write to all regions.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

/// Contiguous free memory at the end of the heap, so small pages never grow the memory.
const FREE_BYTES: usize = 256 << 10;
/// The largest size of a hole.
const HOLE_BYTES_MAX: usize = 64 << 10;
/// The sizes of blocks are multiples of this number.
const BLOCK_BYTES: usize = 8;

/// Allocates every hole that the setup left in the heap, permanently, so the allocations of a run are
/// adjacent. Each page of memory that a run writes is copied for the run and reset after it, which is
/// most of the cost of a small page.
pub fn fill_holes() {
    let end = address(&block(FREE_BYTES));
    let mut size = HOLE_BYTES_MAX;
    while size > 0 {
        let taken = block(size);
        if address(&taken) < end {
            std::mem::forget(taken);
        } else {
            // No hole is large enough. `taken` is at the end of the heap, and is freed.
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
