//! The allocator, and the free memory that the snapshot leaves for a run.

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;

use dlmalloc::GlobalDlmalloc;

use crate::checkpoint;

/// QuickJS uses it, too. It places blocks of all sizes one after the other. An allocator with a region
/// for each size would make a run write to all regions.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Tells the host where the script is before Rust code ends the run, because it has no memory. QuickJS throws an
/// exception instead, which has the place.
struct Allocator;

impl Allocator {
    fn checked(block: *mut u8, layout: Layout) -> *mut u8 {
        // Only text and bytes have this alignment. They are all that becomes large in Rust code, and QuickJS
        // allocates nothing with it, so QuickJS is not in the middle of something.
        if block.is_null() && layout.align() == 1 {
            checkpoint::tell_end();
        }
        block
    }
}

// SAFETY: all methods pass their arguments and results on unchanged.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        Self::checked(unsafe { GlobalDlmalloc.alloc(layout) }, layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { GlobalDlmalloc.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        Self::checked(unsafe { GlobalDlmalloc.alloc_zeroed(layout) }, layout)
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        Self::checked(unsafe { GlobalDlmalloc.realloc(block, layout, bytes) }, layout)
    }
}

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
