//! The allocator of the process: mimalloc, behind a cache of freed blocks for each thread.

use crate::thread_cache::{SizeClass, keep, take};
use libmimalloc_sys::{mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned};
use libmimalloc_sys::{mi_zalloc, mi_zalloc_aligned};
use std::alloc::{GlobalAlloc, Layout};

/// mimalloc as a global allocator.
///
/// Blocks of up to 8.5 KiB that a thread frees serve its next allocations of about their size.
///
/// Other requests of usual alignment take mimalloc's plain functions. Its aligned ones allocate more
/// than asked for wherever a size is not a power of two, and look for the start of such a block when
/// it is freed.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: gateway_memory::MimallocAllocator = gateway_memory::MimallocAllocator;
///
/// assert_eq!(vec![1_u64; 3].iter().sum::<u64>(), 3);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MimallocAllocator;

/// The alignment of every block of at least this size.
const NATURAL: usize = 16;

/// Whether a plain block that is too large for a class is aligned to `align`.
#[inline]
const fn is_natural(align: usize) -> bool {
    align <= NATURAL
}

#[expect(
    unsafe_code,
    reason = "an allocator has no safe form; the plain functions save 3 % of a small request's instructions, the cache 3 % more and a third of its misses of the first data cache"
)]
// SAFETY: mimalloc returns blocks that are valid for reads and writes of the requested size until
// they are freed, or null. A block of at least 16 bytes is aligned to 16, and all blocks of a class
// have its size, which is at least that; what is to be aligned to more takes the functions that
// align. A block of a layout with a class was allocated with the size of the class, so that it may
// serve each layout of the class. `mi_free` and both functions that reallocate take blocks of either
// kind. Nothing here unwinds.
unsafe impl GlobalAlloc for MimallocAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        let Some(class) = SizeClass::of(size, align) else {
            // SAFETY: any size and any power of two may be asked for.
            let block = unsafe {
                if is_natural(align) { mi_malloc(size) } else { mi_malloc_aligned(size, align) }
            };
            return block.cast();
        };
        let block = take(class);
        if block.is_null() {
            // SAFETY: as above.
            return unsafe { mi_malloc(class.size()) }.cast();
        }
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        let Some(class) = SizeClass::of(size, align) else {
            // SAFETY: as in `alloc`.
            let block = unsafe {
                if is_natural(align) { mi_zalloc(size) } else { mi_zalloc_aligned(size, align) }
            };
            return block.cast();
        };
        let block = take(class);
        if block.is_null() {
            // SAFETY: as in `alloc`.
            return unsafe { mi_zalloc(class.size()) }.cast();
        }
        // SAFETY: a block of the class holds `size` bytes, and nothing uses a kept one.
        unsafe { block.write_bytes(0, size) };
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller passes a block that this allocator returned for `layout`, with the size
        // of its class if it has one, and that was not freed.
        unsafe {
            match SizeClass::of(layout.size(), layout.align()) {
                Some(class) => keep(block, class),
                None => mi_free(block.cast()),
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        let (old, new) = (SizeClass::of(layout.size(), align), SizeClass::of(size, align));
        if let (Some(old), Some(new)) = (old, new) {
            if old == new {
                return block;
            }
            // SAFETY: a power of two that is at least one, and a size of at most 8.5 KiB.
            let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size, align)) };
            if !moved.is_null() {
                // SAFETY: both blocks hold as many bytes, and the caller gives the old one up.
                unsafe {
                    block.copy_to_nonoverlapping(moved, size.min(layout.size()));
                    keep(block, old);
                }
            }
            return moved;
        }
        let whole = if let Some(class) = new { class.size() } else { size };
        // SAFETY: the block is one of mimalloc's; one of a class gets the whole size of the class.
        let moved = unsafe {
            if is_natural(align) {
                mi_realloc(block.cast(), whole)
            } else {
                mi_realloc_aligned(block.cast(), whole, align)
            }
        };
        moved.cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Allocates, reallocates and frees a block of each size at an alignment.
    #[expect(unsafe_code, reason = "the allocator's functions are unsafe")]
    fn check(align: usize) {
        let is_aligned = |block: *mut u8| !block.is_null() && block.addr().is_multiple_of(align);
        for size in [1, 7, 8, 15, 16, 17, 24, 40, 100, 1_000, 5_000, 8_700, 70_000, 3 << 20] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: the layout is that of the block, whose first `size` bytes are written and read.
            unsafe {
                let block = MimallocAllocator.alloc(layout);
                assert!(is_aligned(block), "{size} at {align}");
                block.write_bytes(7, size);
                let larger = MimallocAllocator.realloc(block, layout, size * 2);
                assert!(is_aligned(larger), "{size} twice at {align}");
                assert_eq!((larger.read(), larger.add(size - 1).read()), (7, 7));
                MimallocAllocator
                    .dealloc(larger, Layout::from_size_align(size * 2, align).unwrap());
                let zeroed = MimallocAllocator.alloc_zeroed(layout);
                assert!(is_aligned(zeroed), "{size} zeroed at {align}");
                assert_eq!((zeroed.read(), zeroed.add(size - 1).read()), (0, 0));
                MimallocAllocator.dealloc(zeroed, layout);
            }
        }
    }

    #[test]
    fn blocks_have_the_alignment_of_their_layout() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            check(align);
        }
    }
}
