//! The allocator, and the free memory that the snapshot leaves for a run.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::null_mut;

use dlmalloc::GlobalDlmalloc;

use crate::checkpoint;

/// Small blocks of Rust code and of QuickJS come from `toolchain/blocks.h`.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// The largest small block, as in `toolchain/blocks.h`.
const SMALL_BYTES_MAX: usize = 508;
/// The alignment of all blocks, also of those that QuickJS allocates.
const BLOCK_ALIGN: usize = 8;

// These are in `toolchain/blocks.h`.
unsafe extern "C" {
    fn sluice_small_new(bytes: usize) -> *mut u8;
    fn sluice_small_free(block: *mut u8);
    fn sluice_begin_heap();
}

/// Tells the host where the script is before Rust code ends the run, because it has no memory. QuickJS throws an
/// exception instead, which has the place.
struct Allocator;

impl Allocator {
    fn is_small(layout: Layout) -> bool {
        layout.size() <= SMALL_BYTES_MAX && layout.align() <= BLOCK_ALIGN
    }

    fn checked(block: *mut u8, layout: Layout) -> *mut u8 {
        // Only text and bytes have this alignment. They are all that becomes large in Rust code, and QuickJS
        // allocates nothing with it, so QuickJS is not in the middle of something.
        if block.is_null() && layout.align() == 1 {
            checkpoint::tell_end();
        }
        block
    }
}

// SAFETY: the layout decides which allocator a block is of. Both of them return blocks that are free, aligned
// and at least as large as they were asked for, or a null pointer.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let block = unsafe {
            if Self::is_small(layout) {
                sluice_small_new(layout.size())
            } else {
                GlobalDlmalloc.alloc(layout)
            }
        };
        Self::checked(block, layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block was allocated with this layout, so by the same allocator.
        unsafe {
            if Self::is_small(layout) {
                sluice_small_free(block)
            } else {
                GlobalDlmalloc.dealloc(block, layout)
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        let resized = unsafe { Layout::from_size_align_unchecked(bytes, layout.align()) };
        if !Self::is_small(layout) && !Self::is_small(resized) {
            // SAFETY: as the caller promises; the block is large before and after.
            return Self::checked(unsafe { GlobalDlmalloc.realloc(block, layout, bytes) }, layout);
        }
        // SAFETY: the new block is another one, and both have the bytes that are copied.
        unsafe {
            let other = self.alloc(resized);
            if !other.is_null() {
                other.copy_from_nonoverlapping(block, layout.size().min(bytes));
                self.dealloc(block, layout);
            }
            other
        }
    }
}

/// A chunk for small blocks. Null if there is no memory.
#[unsafe(no_mangle)]
extern "C" fn sluice_chunk_new(bytes: usize, align: usize) -> *mut u8 {
    // SAFETY: the size is not 0.
    Layout::from_size_align(bytes, align).map_or(null_mut(), |layout| unsafe { GlobalDlmalloc.alloc(layout) })
}

/// # Safety
/// `chunk` is of `sluice_chunk_new`, with the same size and alignment.
#[unsafe(no_mangle)]
unsafe extern "C" fn sluice_chunk_free(chunk: *mut u8, bytes: usize, align: usize) {
    if let Ok(layout) = Layout::from_size_align(bytes, align) {
        // SAFETY: as the caller promises.
        unsafe { GlobalDlmalloc.dealloc(chunk, layout) }
    }
}

const fn large(bytes: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and `toolchain/blocks.h` asks for less than 2 GiB.
    unsafe { Layout::from_size_align_unchecked(bytes, BLOCK_ALIGN) }
}

/// A large block of QuickJS. Null if there is no memory.
#[unsafe(no_mangle)]
extern "C" fn sluice_large_new(bytes: usize) -> *mut u8 {
    // SAFETY: the size is not 0.
    unsafe { GlobalDlmalloc.alloc(large(bytes)) }
}

/// # Safety
/// `start` is of `sluice_large_new` or of this function, with these `old_bytes`.
#[unsafe(no_mangle)]
unsafe extern "C" fn sluice_large_resize(start: *mut u8, old_bytes: usize, bytes: usize) -> *mut u8 {
    // SAFETY: as the caller promises.
    unsafe { GlobalDlmalloc.realloc(start, large(old_bytes), bytes) }
}

/// # Safety
/// `start` is of `sluice_large_new` or of `sluice_large_resize`, with these `bytes`.
#[unsafe(no_mangle)]
unsafe extern "C" fn sluice_large_free(start: *mut u8, bytes: usize) {
    // SAFETY: as the caller promises.
    unsafe { GlobalDlmalloc.dealloc(start, large(bytes)) }
}

/// Contiguous free memory at the end of the heap, so small pages never grow the memory.
const FREE_BYTES: usize = 256 << 10;
/// The largest size of a hole.
const HOLE_BYTES_MAX: usize = 64 << 10;

/// Allocates every hole that the setup left in the heap, permanently, so the allocations of a run are
/// adjacent. Each page of memory that a run writes is copied for the run and reset after it, which is
/// most of the cost of a small page.
pub fn fill_holes() {
    let end = sluice_large_new(FREE_BYTES);
    // SAFETY: it was just allocated with this size.
    unsafe { sluice_large_free(end, FREE_BYTES) };
    let mut size = HOLE_BYTES_MAX;
    while size > SMALL_BYTES_MAX {
        let taken = sluice_large_new(size);
        if taken < end {
            continue;
        }
        // No hole is large enough. `taken` is at the end of the heap.
        // SAFETY: it was just allocated with this size.
        unsafe { sluice_large_free(taken, size) };
        size -= BLOCK_ALIGN;
    }
    // SAFETY: nothing else runs.
    unsafe { sluice_begin_heap() };
}
