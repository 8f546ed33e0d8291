//! The waker that a wait was registered with.

use std::task::{Context, Waker};

/// The waker that the waits of a task were registered with.
///
/// A wait that is registered with the waker of its task need not be polled again until it is over:
/// a stream that waits for several things polls only the one that brings data.
///
/// ```
/// use gateway_core::RegisteredWaker;
/// use std::task::{Context, Waker};
///
/// let mut waker = RegisteredWaker::default();
/// let mut context = Context::from_waker(Waker::noop());
/// assert!(waker.renew(&mut context));
/// assert!(!waker.renew(&mut context), "it is known already");
/// ```
#[derive(Debug, Default)]
pub struct RegisteredWaker(Option<Waker>);

impl RegisteredWaker {
    /// Takes the waker of `context`. Returns whether it is another than before, so that waits have
    /// to be polled.
    pub fn renew(&mut self, context: &mut Context<'_>) -> bool {
        if self.0.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            return false;
        }
        self.0 = Some(context.waker().clone());
        true
    }
}
