//! Batches that wait for the store.

use gateway_core::{
    state::{LoggedRequest, RequestLogBatch, RequestLogStore, StoreError},
    time::millis,
};
use gateway_tasks::unix_time;
use std::{collections::VecDeque, mem};

/// The requests of one batch.
pub(super) const BATCH: usize = 256;

/// Maximum number of batches that wait for a store that is unavailable.
const WAITING: usize = 32;

/// The batches of a process.
#[derive(Debug)]
pub(super) struct PendingBatches {
    writer: u32,
    last: u64,
    requests: Vec<LoggedRequest>,
    waiting: VecDeque<RequestLogBatch>,
    is_failing: bool,
}

impl PendingBatches {
    /// No batches, of a process with the number `writer`.
    pub(super) fn new(writer: u32) -> Self {
        let (requests, waiting) = (Vec::new(), VecDeque::new());
        Self { writer, last: 0, requests, waiting, is_failing: false }
    }

    /// Adds a request; returns whether a batch is full.
    pub(super) fn push(&mut self, request: LoggedRequest) -> bool {
        self.requests.push(request);
        self.requests.len() >= BATCH
    }

    /// Writes what is pending to `store`; returns the number of requests that are lost.
    pub(super) async fn flush(&mut self, store: &dyn RequestLogStore) -> u64 {
        let mut lost = 0;
        if !self.requests.is_empty() {
            // Later than all requests in it, and than all earlier batches of this process.
            self.last = millis(unix_time()).max(self.last + 1);
            let requests = mem::take(&mut self.requests);
            self.waiting.push_back(RequestLogBatch {
                at: self.last,
                writer: self.writer,
                requests,
            });
        }
        while let Some(batch) = self.waiting.front() {
            match store.append(batch).await {
                Ok(()) => self.is_failing = false,
                Err(error) => {
                    if !mem::replace(&mut self.is_failing, true) {
                        report(&error);
                    }
                    if error.is_outage() && self.waiting.len() <= WAITING {
                        return lost;
                    }
                    lost += batch.requests.len() as u64;
                }
            }
            self.waiting.pop_front();
        }
        lost
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
