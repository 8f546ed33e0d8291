//! The allocator of the process: mimalloc.

use libmimalloc_sys::{mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned};
use libmimalloc_sys::{mi_zalloc, mi_zalloc_aligned};
use std::alloc::{GlobalAlloc, Layout};

/// mimalloc as a global allocator.
///
/// Requests of usual alignment take its plain functions. Its aligned ones allocate more than asked
/// for wherever a size is not a power of two, and look for the start of such a block when it is
/// freed.
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
/// The alignment of every block.
const LEAST: usize = 8;

/// Whether a plain block of `size` bytes is aligned to `align`.
#[inline]
const fn is_natural(size: usize, align: usize) -> bool {
    align <= LEAST || (align <= NATURAL && size >= NATURAL)
}

#[expect(
    unsafe_code,
    reason = "an allocator has no safe form; the plain functions save 3 % of a small request's instructions"
)]
// SAFETY: mimalloc returns blocks that are valid for reads and writes of the requested size until
// they are freed, or null. A block of at least 16 bytes is aligned to 16 and any other to 8, which
// `is_natural` checks; all else takes the functions that align. `mi_free` and both functions that
// reallocate take blocks of either kind. Nothing here unwinds.
unsafe impl GlobalAlloc for MimallocAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size and any power of two may be asked for.
        let block = unsafe {
            if is_natural(size, align) { mi_malloc(size) } else { mi_malloc_aligned(size, align) }
        };
        block.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as in `alloc`.
        let block = unsafe {
            if is_natural(size, align) { mi_zalloc(size) } else { mi_zalloc_aligned(size, align) }
        };
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller passes a block that this allocator returned and that was not freed.
        unsafe { mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the block is one of this allocator's, of either kind.
        let moved = unsafe {
            if is_natural(size, align) {
                mi_realloc(block.cast(), size)
            } else {
                mi_realloc_aligned(block.cast(), size, align)
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
        for size in [1, 7, 8, 15, 16, 17, 24, 40, 100, 1_000, 5_000, 70_000, 3 << 20] {
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
