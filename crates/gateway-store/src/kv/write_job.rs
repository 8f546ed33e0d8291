//! Work for a writer that commits operations in groups.

use super::{Durable, ReadView, WriteSet, WriteTxn};
use gateway_core::state::StoreError;
use tokio::sync::oneshot;

/// An operation that waits to be written.
pub(crate) trait WriteJob: Send {
    /// The durability that the caller waits for.
    fn wait(&self) -> Durable;

    /// Runs the operation. Returns `None` if it failed and changes nothing; the caller gets the
    /// error at the end.
    fn run(&mut self, view: &dyn ReadView, now: u64) -> Option<WriteSet>;

    /// Sends the result to the caller: that of the operation, unless it was not written.
    fn end(self: Box<Self>, written: Result<(), StoreError>);
}

/// An operation, and the caller who waits for it.
pub(crate) struct PendingWrite<T, F> {
    wait: Durable,
    operation: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> PendingWrite<T, F> {
    /// `operation`, whose result goes to `reply`.
    pub(crate) fn new(
        wait: Durable,
        operation: F,
        reply: oneshot::Sender<Result<T, StoreError>>,
    ) -> Self {
        Self { wait, operation: Some(operation), result: None, reply }
    }
}

impl<T, F> WriteJob for PendingWrite<T, F>
where
    T: Send,
    F: FnOnce(&mut WriteTxn<'_>) -> Result<T, StoreError> + Send,
{
    fn wait(&self) -> Durable {
        self.wait
    }

    fn run(&mut self, view: &dyn ReadView, now: u64) -> Option<WriteSet> {
        let mut txn = WriteTxn::new(view, now);
        let result = self.operation.take()?(&mut txn);
        let done = result.is_ok();
        self.result = Some(result);
        done.then(|| txn.into_changes())
    }

    fn end(self: Box<Self>, written: Result<(), StoreError>) {
        let result = match (written, self.result) {
            (Ok(()), Some(result)) => result,
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(StoreError::Busy),
        };
        // The caller may have gone; what was done stays done.
        drop(self.reply.send(result));
    }
}
