//! Panics that are caught where a request is served, so that they end one request and are booked as
//! what they are.
//!
//! What was in use during a panic is to be dropped within it: destructors that account for a request
//! ask [`std::thread::panicking`] whether the gateway failed or the caller left.

use crate::{ErrorKind, GatewayError};
use std::{
    any::Any,
    error::Error,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

/// A panic that was caught.
pub struct CaughtPanic(Box<dyn Any + Send>);

/// The source of the error that a panic becomes.
#[derive(Clone, Copy, Debug)]
struct PanicSource;

/// Runs `work`, and catches its panic.
///
/// # Errors
///
/// The panic. What `work` has used is to be dropped by [`CaughtPanic::end`].
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, CaughtPanic> {
    catch_unwind(AssertUnwindSafe(work)).map_err(CaughtPanic)
}

impl CaughtPanic {
    /// Ends the panic: calls `drop_used` within it, and returns the error for the caller.
    pub fn end(self, drop_used: impl FnOnce()) -> GatewayError {
        let Self(payload) = self;
        let unwinding = AssertUnwindSafe(move || {
            let _guard = OnDrop(Some(drop_used));
            resume_unwind(payload)
        });
        // It always panics: that is its purpose.
        drop(catch_unwind(unwinding));
        GatewayError::panicked()
    }
}

impl GatewayError {
    /// The error of a request that a panic has ended.
    pub fn panicked() -> Self {
        Self::new(ErrorKind::Internal, "the gateway failed").with_source(PanicSource)
    }

    /// Whether a panic caused it.
    pub fn is_panic(&self) -> bool {
        self.source().is_some_and(<dyn Error>::is::<PanicSource>)
    }
}

/// Runs a closure on drop.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            run();
        }
    }
}

impl fmt::Display for PanicSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a panic")
    }
}

impl Error for PanicSource {}

impl fmt::Debug for CaughtPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaughtPanic").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn used_values_are_dropped_within_the_panic() {
        let mut was_panicking = false;
        let caught = catch_panic(|| panic!("a bug")).unwrap_err();
        assert!(!thread::panicking());
        let error = caught.end(|| was_panicking = thread::panicking());
        assert!(was_panicking && !thread::panicking());
        assert!(error.is_panic() && error.kind() == ErrorKind::Internal);
        assert!(!error.clone_without_source().is_panic());
    }

    #[test]
    fn work_without_panic_returns_its_result() {
        assert_eq!(catch_panic(|| 1).unwrap(), 1);
    }
}
