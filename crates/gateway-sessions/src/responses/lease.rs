//! The leases of responses in progress: one whose gateway has crashed is ended by its next reader.
//!
//! ```text
//! writer --- renew, each 5 s ---> ResponseStore
//! reader of a response without a writer --> failed, with the error `gateway_crashed`
//! ```
//!
//! Nothing but reading shows a response, so that no sweep is needed. Its usage is booked by the
//! ledger, which has a lease of its own.

use super::{
    Responses,
    partial::{self, Interruption},
    record::Record,
};
use gateway_core::{
    Json,
    state::{Key, StoreError, StoredResponse},
};
use gateway_wire::sse;
use serde_json::json;
use std::time::Duration;
use tokio::time;
use tokio_util::task::AbortOnDropHandle;

/// The time without a renewal after which the writer of a response counts as crashed.
pub(super) const LEASE: Duration = Duration::from_secs(20);

/// The interval of renewals.
const RENEWAL: Duration = Duration::from_secs(5);

/// The time between attempts to renew a lease while the store fails.
const RETRY: Duration = Duration::from_millis(500);

/// The time that a reader waits before it ends a response: after an outage of the store, all leases
/// have ended, and writers that are alive renew theirs in this time.
const CONFIRMATION: Duration = Duration::from_secs(2);

impl Responses {
    /// Renews the lease of the response under `key` in the background, until the handle is dropped
    /// or the response has ended.
    pub(super) fn hold(&self, key: Key) -> AbortOnDropHandle<()> {
        let responses = self.clone();
        let holding = async move { responses.until_ended_elsewhere(&key).await };
        AbortOnDropHandle::new(self.tasks.spawn(holding))
    }

    /// Renews the lease of the response under `key`; returns once it was ended or deleted elsewhere.
    pub(super) async fn until_ended_elsewhere(&self, key: &Key) {
        let mut pause = RENEWAL;
        loop {
            time::sleep(pause).await;
            pause = match self.store.renew(key, LEASE).await {
                Ok(true) => RENEWAL,
                Ok(false) => return,
                // A store that fails reports nothing.
                Err(_) => RETRY,
            };
        }
    }

    /// Ends the response under `key`, whose gateway seems to have crashed, as failed; returns its
    /// record, and whether it is in progress, because its gateway was only slow.
    pub(super) async fn end_abandoned(
        &self,
        key: &Key,
    ) -> Result<Option<(Record, bool)>, StoreError> {
        time::sleep(CONFIRMATION).await;
        let Some(kept) = self.store.get(key).await? else { return Ok(None) };
        let record = Record::read(&kept.body)?;
        if !kept.is_abandoned() {
            return Ok(Some((record, kept.in_progress)));
        }
        let record = self.failed(key, record).await?;
        let ended = StoredResponse::complete(record.write().into());
        if self.store.end_abandoned(key, &ended, self.ttl).await? {
            tracing::warn!("ended a response whose gateway has crashed");
            return Ok(Some((record, false)));
        }
        let Some(kept) = self.store.get(key).await? else { return Ok(None) };
        Ok(Some((Record::read(&kept.body)?, kept.in_progress)))
    }

    /// Ends the response under `key`, whose task has panicked, as failed.
    pub(super) async fn end_panicked(&self, key: &Key) -> Result<(), StoreError> {
        let Some(kept) = self.store.get(key).await?.filter(|kept| kept.in_progress) else {
            return Ok(());
        };
        let record = self.failed(key, Record::read(&kept.body)?).await?;
        let ended = StoredResponse::complete(record.write().into());
        self.store.put(key, &ended, self.ttl).await
    }

    /// Returns the record of an interrupted response as failed, after its last event is stored.
    async fn failed(&self, key: &Key, record: Record) -> Result<Record, StoreError> {
        let stored = self.store.events(key, 0, u64::MAX).await?;
        let events = stored.map(|stored| stored.events).unwrap_or_default();
        let response = partial::response(events.iter().map(|it| &**it), Interruption::Crashed)
            .or_else(|| partial::crashed(&record.response))
            .unwrap_or_else(|| record.response.clone());
        if !events.is_empty() {
            // Before the end, because a follower leaves at the end.
            let event = failed_event(events.len(), &response);
            self.store.append(key, events.len() as u64, &[event.into()]).await?;
        }
        Ok(Record { response, ..record })
    }
}

/// The last event of a response that has failed.
fn failed_event(number: usize, response: &Json) -> Vec<u8> {
    let kind = "response.failed";
    let event = json!({ "type": kind, "sequence_number": number, "response": response });
    let mut out = Vec::new();
    sse::write(&mut out, Some(kind), &event.to_string());
    out
}
