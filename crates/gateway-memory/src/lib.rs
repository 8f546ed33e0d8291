//! The memory of the process: its allocator, and the resident pages of its own code, which are given
//! back to the system.
//!
//! Code that ran once, at the start, stays in the resident set: the kernel maps pages with their
//! neighbours, and takes them back only when memory is short. Most of what an idle service holds is
//! such code. Unmapped, what runs again is mapped again from the page cache.

#[cfg(feature = "mimalloc")]
mod allocator;
mod idle;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod mappings;

#[cfg(feature = "mimalloc")]
pub use self::allocator::MimallocAllocator;
pub use self::idle::release_while_idle;
#[cfg(target_os = "linux")]
pub use self::linux::{processor_time, release_code_pages};
#[cfg(not(target_os = "linux"))]
pub use self::other::{processor_time, release_code_pages};

#[cfg(not(target_os = "linux"))]
mod other {
    use std::{io, time::Duration};

    /// Does nothing on this system; returns 0.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn release_code_pages() -> io::Result<usize> {
        Ok(0)
    }

    /// Returns zero on this system.
    pub fn processor_time() -> Duration {
        Duration::ZERO
    }
}
