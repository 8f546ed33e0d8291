//! Work for the writer.

use crate::kv::{Durable, ReadView, WriteSet, WriteTxn};
use gateway_core::state::StoreError;
use std::{borrow::Cow, io::ErrorKind};
use tokio::sync::oneshot;

/// An operation that waits to be written.
pub(super) trait WriteJob: Send {
    /// Whether the caller waits until the file is synchronised.
    fn wait(&self) -> Durable;

    /// Runs the operation. Returns `None` if it failed and changes nothing; the caller gets the
    /// error at the end.
    fn run(&mut self, view: &dyn ReadView, now: u64) -> Option<WriteSet>;

    /// Sends the result to the caller: that of the operation, unless it was not written.
    fn end(self: Box<Self>, written: Result<(), WriteError>);
}

/// Why nothing can be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum WriteError {
    /// The disk is full. It may not stay so.
    DiskFull,
    /// A write failed in another way.
    Failed(String),
}

/// An operation, and the caller who waits for it.
pub(super) struct PendingWrite<T, F> {
    wait: Durable,
    operation: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> PendingWrite<T, F> {
    /// `operation`, whose result goes to `reply`.
    pub(super) fn new(
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

    fn end(self: Box<Self>, written: Result<(), WriteError>) {
        let result = match (written, self.result) {
            (Ok(()), Some(result)) => result,
            (Err(trouble), _) => Err(trouble.into()),
            (Ok(()), None) => Err(StoreError::Busy),
        };
        // The caller may have gone; what was done stays done.
        drop(self.reply.send(result));
    }
}

impl From<WriteError> for StoreError {
    fn from(trouble: WriteError) -> Self {
        match trouble {
            WriteError::DiskFull => Self::Full,
            WriteError::Failed(why) => Self::ReadOnly(Cow::Owned(why)),
        }
    }
}

impl From<redb::Error> for WriteError {
    fn from(error: redb::Error) -> Self {
        const QUOTA_EXCEEDED: i32 = 122;
        if let redb::Error::Io(io) = &error
            && (matches!(io.kind(), ErrorKind::StorageFull | ErrorKind::FileTooLarge)
                || io.raw_os_error() == Some(QUOTA_EXCEEDED))
        {
            return Self::DiskFull;
        }
        Self::Failed(error.to_string())
    }
}
