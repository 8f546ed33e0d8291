//! Freed blocks that a thread keeps for its next allocations.
//!
//! mimalloc hands out every block of a page once before it hands out a freed one again, so that a
//! request would write to memory that no cache of the processor holds. Here the block that was freed
//! last is handed out first.

use libmimalloc_sys::mi_free;
use std::{cell::Cell, ptr};

/// The distance of the sizes of small blocks. Every block of such a size is aligned to it.
const STEP: usize = 16;
/// The largest small block.
const SMALL: usize = 1024;
/// The distance of the sizes of blocks that are not small.
const LARGE_STEP: usize = 512;
/// The largest block that is kept: a connection reads into buffers of 8 KiB.
const LARGEST: usize = SMALL + 15 * LARGE_STEP;

const SMALL_CLASSES: usize = SMALL / STEP;
const CLASSES: usize = SMALL_CLASSES + (LARGEST - SMALL) / LARGE_STEP;

/// The blocks of each size that a thread keeps at most.
const SMALL_BLOCKS: u32 = 8;
const LARGE_BLOCKS: u32 = 2;

/// The size of a block that may be kept: sizes up to it that share a class share blocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SizeClass(usize);

impl SizeClass {
    /// Returns the class of blocks of `size` bytes aligned to `align`; none if such blocks are not
    /// kept.
    #[inline]
    pub(crate) const fn of(size: usize, align: usize) -> Option<Self> {
        if align > STEP || size > LARGEST {
            None
        } else if size <= SMALL {
            Some(Self(size.saturating_sub(1) / STEP))
        } else {
            Some(Self(SMALL_CLASSES + (size - SMALL - 1) / LARGE_STEP))
        }
    }

    /// The size of the blocks of the class.
    #[inline]
    pub(crate) const fn size(self) -> usize {
        if self.0 < SMALL_CLASSES {
            (self.0 + 1) * STEP
        } else {
            SMALL + (self.0 - SMALL_CLASSES + 1) * LARGE_STEP
        }
    }

    const fn limit(self) -> u32 {
        if self.0 < SMALL_CLASSES { SMALL_BLOCKS } else { LARGE_BLOCKS }
    }
}

/// The free blocks of a class: each begins with the address of the next.
#[derive(Debug)]
struct FreeList {
    first: Cell<*mut u8>,
    length: Cell<u32>,
}

/// The blocks that a thread keeps. Dropping it frees them.
#[derive(Debug)]
pub(crate) struct ThreadCache([FreeList; CLASSES]);

thread_local! {
    static CACHE: ThreadCache = const { ThreadCache::new() };
}

/// Returns a kept block of `class`; null if the thread keeps none.
#[inline]
pub(crate) fn take(class: SizeClass) -> *mut u8 {
    // A thread that ends allocates from mimalloc alone.
    CACHE.try_with(|cache| cache.pop(class)).unwrap_or(ptr::null_mut())
}

/// Keeps a block of `class`, or frees it if the thread keeps enough of them.
///
/// # Safety
///
/// The block is one of mimalloc's, of at least the size of `class`, and nothing uses it any more.
#[inline]
#[expect(unsafe_code, reason = "a block that is kept is written to")]
pub(crate) unsafe fn keep(block: *mut u8, class: SizeClass) {
    // SAFETY: as the caller promises.
    let kept = CACHE.try_with(|cache| unsafe { cache.push(block, class) });
    if !kept.unwrap_or(false) {
        // SAFETY: as the caller promises; the block was not kept.
        unsafe { mi_free(block.cast()) };
    }
}

impl ThreadCache {
    const fn new() -> Self {
        Self(
            [const { FreeList { first: Cell::new(ptr::null_mut()), length: Cell::new(0) } };
                CLASSES],
        )
    }

    #[inline]
    fn pop(&self, class: SizeClass) -> *mut u8 {
        let Some(list) = self.0.get(class.0) else { return ptr::null_mut() };
        let block = list.first.get();
        if !block.is_null() {
            #[expect(unsafe_code, reason = "the list is in the free blocks themselves")]
            // SAFETY: a block in the list begins with the address that `push` has written.
            let next = unsafe { block.cast::<*mut u8>().read_unaligned() };
            list.first.set(next);
            list.length.set(list.length.get().wrapping_sub(1));
        }
        block
    }

    /// Returns whether the block is kept.
    ///
    /// # Safety
    ///
    /// As that of [`keep`].
    #[inline]
    #[expect(unsafe_code, reason = "the list is in the free blocks themselves")]
    unsafe fn push(&self, block: *mut u8, class: SizeClass) -> bool {
        let Some(list) = self.0.get(class.0) else { return false };
        let length = list.length.get();
        if length >= class.limit() {
            return false;
        }
        // SAFETY: the block is unused, and holds an address: it has 16 bytes at least.
        unsafe { block.cast::<*mut u8>().write_unaligned(list.first.get()) };
        list.first.set(block);
        list.length.set(length + 1);
        true
    }
}

impl Drop for ThreadCache {
    fn drop(&mut self) {
        for class in (0..CLASSES).map(SizeClass) {
            loop {
                let block = self.pop(class);
                if block.is_null() {
                    break;
                }
                #[expect(unsafe_code, reason = "mimalloc's functions are unsafe")]
                // SAFETY: blocks in the lists are mimalloc's, and used by nothing.
                unsafe {
                    mi_free(block.cast());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libmimalloc_sys::mi_malloc;

    #[test]
    fn class_holds_its_sizes() {
        let mut last = None;
        for size in 1..=LARGEST {
            let class = SizeClass::of(size, 8).unwrap();
            assert!(class.size() >= size && class.size() < size + LARGE_STEP, "{size}: {class:?}");
            assert_eq!(SizeClass::of(class.size(), 16), Some(class), "{size}");
            assert!(class.0 < CLASSES && last.is_none_or(|last| last <= class.0), "{size}");
            last = Some(class.0);
        }
        assert_eq!(last, Some(CLASSES - 1));
        assert_eq!((SizeClass::of(LARGEST + 1, 8), SizeClass::of(16, 32)), (None, None));
    }

    #[test]
    #[expect(unsafe_code, reason = "blocks come from mimalloc")]
    fn kept_blocks_are_taken_in_reverse_order() {
        let class = SizeClass::of(100, 8).unwrap();
        let cache = ThreadCache::new();
        assert!(cache.pop(class).is_null());
        // SAFETY: the blocks have the size of the class, and each is pushed once.
        let blocks = (0..SMALL_BLOCKS).map(|_| unsafe { mi_malloc(class.size()) }.cast::<u8>());
        let blocks: Vec<_> = blocks.collect();
        for block in &blocks {
            assert!(unsafe { cache.push(*block, class) });
        }
        let another = unsafe { mi_malloc(class.size()) }.cast();
        assert!(!unsafe { cache.push(another, class) });
        unsafe { mi_free(another.cast()) };
        assert!(cache.pop(SizeClass::of(200, 8).unwrap()).is_null());
        for block in blocks.into_iter().skip(1).rev() {
            assert_eq!(cache.pop(class), block);
            unsafe { mi_free(block.cast()) };
        }
    }
}
