//! Batches that wait for the store.

use gateway_core::{
    state::{RequestLogBatch, RequestLogEntry, RequestLogRows, RequestLogStore, StoreError},
    time::millis,
};
use gateway_tasks::unix_time;
use metrics::Counter;
use std::{collections::VecDeque, mem};

/// The requests of one batch.
pub(super) const BATCH: usize = 256;

/// Maximum number of whole batches that wait to be written, and as many for a store that is
/// unavailable.
pub(super) const WAITING: usize = 32;

/// The rows of requests that have ended since the last batch was written.
#[derive(Debug, Default)]
pub(super) struct RecordedRows {
    whole: Vec<RequestLogRows>,
    begun: RequestLogRows,
}

/// The result of recording a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RowResult {
    /// It waits for the next batch.
    Kept,
    /// It completed a batch.
    BatchCompleted,
    /// It is lost: too many wait.
    Dropped,
}

impl RecordedRows {
    /// Adds the row of a request.
    pub(super) fn push(&mut self, entry: &RequestLogEntry<'_>) -> RowResult {
        if self.whole.len() >= WAITING {
            return RowResult::Dropped;
        }
        self.begun.push(entry);
        if self.begun.len() < BATCH {
            return RowResult::Kept;
        }
        self.whole.push(mem::take(&mut self.begun));
        RowResult::BatchCompleted
    }

    /// Takes the rows, batch by batch.
    pub(super) fn take(&mut self) -> Vec<RequestLogRows> {
        let mut rows = mem::take(&mut self.whole);
        if !self.begun.is_empty() {
            rows.push(mem::take(&mut self.begun));
        }
        rows
    }
}

/// The batches of a process that the store does not have yet.
#[derive(Debug)]
pub(super) struct PendingBatches {
    writer: u32,
    last: u64,
    waiting: VecDeque<RequestLogBatch>,
    is_failing: bool,
}

impl PendingBatches {
    /// No batches, of a process with the number `writer`.
    pub(super) const fn new(writer: u32) -> Self {
        Self { writer, last: 0, waiting: VecDeque::new(), is_failing: false }
    }

    /// Adds batches.
    pub(super) fn add(&mut self, batches: Vec<RequestLogRows>) {
        for rows in batches {
            // Later than all requests in it, and than all earlier batches of this process.
            self.last = millis(unix_time()).max(self.last + 1);
            self.waiting.push_back(RequestLogBatch { at: self.last, writer: self.writer, rows });
        }
    }

    /// Writes what is pending to `store`, and counts the requests that are lost.
    ///
    /// # Cancel safety
    ///
    /// A batch that may have been written is written again, which changes nothing.
    pub(super) async fn write(&mut self, store: &dyn RequestLogStore, lost: &Counter) {
        while let Some(batch) = self.waiting.front() {
            match store.append(batch).await {
                Ok(()) => self.is_failing = false,
                Err(error) => {
                    if !mem::replace(&mut self.is_failing, true) {
                        report(&error);
                    }
                    if error.is_outage() && self.waiting.len() <= WAITING {
                        return;
                    }
                    lost.increment(batch.rows.len() as u64);
                }
            }
            self.waiting.pop_front();
        }
    }
}

/// Logs a failure of the store. An outage is reported as a warning by the store itself.
fn report(error: &StoreError) {
    if error.is_outage() {
        tracing::info!(%error, "request log unavailable; buffering requests");
    } else {
        tracing::warn!(%error, "request log unavailable; dropping requests");
    }
}
