//! Threads of the Messages API: conversations that the gateway holds, whatever the upstream.
//!
//! ```text
//! create   --> the request as it is --------------> response msg_1, stored with all before it
//! continue msg_1 --> stored messages + new ones --> response msg_2, stored likewise
//! ```
//!
//! Each turn stores the whole conversation under the id of its response, and deletes the one before
//! the last: the turn before can be repeated if its response was lost, and a conversation takes its
//! size twice at most. A turn that fails, or whose caller leaves, stores nothing.

use crate::commit::{NOT_STORED_COMMENT, NotStored, StoredItem, describe};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use gateway_core::{
    GatewayError, Json, Result,
    state::{Key, ResponseStore, StoreError, StoredResponse, Tenant},
};
use gateway_wire::messages::{
    StreamedMessage, ThreadDirective, ThreadHistory, thread_not_found, thread_unsupported,
    without_thread,
};
use serde::{Deserialize, Serialize};
use std::{fmt, mem, sync::Arc, time::Duration};
use tokio_util::task::TaskTracker;

/// The version of the stored format. Newer ones are rejected.
const SCHEMA: u32 = 1;
/// The prefix of keys in the store, which has other responses too.
const PREFIX: &str = "thread_";
/// The key by which an available store is recognized.
const PROBE: &str = "thread_of_no_message";

/// The threads of all tenants.
#[derive(Clone)]
pub struct MessageThreads {
    store: Arc<dyn ResponseStore>,
    ttl: Duration,
    tasks: TaskTracker,
}

/// A request that is a turn of a thread.
#[derive(Debug)]
pub struct ThreadTurn {
    /// The request with the whole conversation, and without `thread`.
    pub body: Bytes,
    /// The recorder of its response.
    pub recorder: ThreadRecorder,
}

/// The recorder of the response of one turn.
#[derive(Clone)]
pub struct ThreadRecorder {
    threads: MessageThreads,
    tenant: Tenant,
    request: Bytes,
    /// The id of the continued message.
    previous: Option<String>,
    /// The id of the message that this was continued from, which nothing needs any more.
    outdated: Option<String>,
}

/// The conversation up to a message.
#[derive(Debug, Deserialize, Serialize)]
struct ThreadRecord {
    v: u32,
    /// The id of the message that was continued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    history: ThreadHistory,
}

impl MessageThreads {
    /// Creates the threads in `store`, which live for `ttl` after each turn; with a `ttl` of zero,
    /// none are held.
    pub(crate) fn new(store: Arc<dyn ResponseStore>, ttl: Duration, tasks: TaskTracker) -> Self {
        Self { store, ttl, tasks }
    }

    /// Reads the request `body`, which has a `thread`, as a turn of that; `hold` takes the composed
    /// request.
    ///
    /// # Errors
    ///
    /// `thread_unsupported_request` if no threads are held or the store is unavailable, upon which
    /// clients send the whole conversation; `thread_not_found` if the continued message is not
    /// known.
    pub async fn open(
        &self,
        tenant: Tenant,
        body: &[u8],
        hold: impl FnOnce(Vec<u8>) -> Bytes,
    ) -> Result<ThreadTurn> {
        if self.ttl.is_zero() {
            return Err(thread_unsupported());
        }
        let (body, previous, outdated) = match ThreadDirective::read(body)? {
            ThreadDirective::Create => {
                self.load(&tenant.key(PROBE)).await?;
                (without_thread(body)?, None, None)
            }
            ThreadDirective::Continue { previous } => {
                let key = key(&tenant, &previous).ok_or_else(thread_not_found)?;
                let record = self.load(&key).await?.ok_or_else(thread_not_found)?;
                (record.history.prepend_to(body)?, Some(previous), record.previous)
            }
        };
        let request = hold(body);
        let threads = self.clone();
        let recorder =
            ThreadRecorder { threads, tenant, request: request.clone(), previous, outdated };
        Ok(ThreadTurn { body: request, recorder })
    }

    async fn load(&self, key: &Key) -> Result<Option<ThreadRecord>> {
        let stored = self.store.get(key).await.map_err(unavailable)?;
        stored.map(|it| ThreadRecord::read(&it.body)).transpose().map_err(unavailable)
    }
}

/// The refusal while the store is unavailable: the client sends the whole conversation.
fn unavailable(error: StoreError) -> GatewayError {
    if matches!(error, StoreError::Corrupt { .. }) {
        tracing::warn!(%error, "the record of a thread cannot be read");
    }
    thread_unsupported().with_source(error)
}

impl ThreadRecorder {
    /// Stores the turn with the whole response `body`; returns the record that could not be stored.
    pub async fn whole(&self, body: &[u8]) -> Vec<NotStored> {
        #[derive(Deserialize)]
        struct Response {
            id: String,
            content: Json,
        }
        let response = serde_json::from_slice::<Response>(body).ok();
        self.store(response.map(|it| (it.id, it.content))).await
    }

    /// Returns `events`, blocks of whole events, as sent to the caller. The last one follows the
    /// stored turn, or a comment that declares that it is not stored.
    ///
    /// Dropping the stream before its end stores nothing.
    pub fn stream<S>(self, events: S) -> impl Stream<Item = Bytes> + Send + use<S>
    where
        S: Stream<Item = Bytes> + Send + 'static,
    {
        let mut message = Some(StreamedMessage::default());
        events.then(move |block| {
            let is_complete = message.as_mut().is_some_and(|message| message.push(&block));
            let complete = if is_complete { mem::take(&mut message) } else { None };
            let recorder = complete.is_some().then(|| self.clone());
            async move {
                let (Some(recorder), Some(message)) = (recorder, complete) else { return block };
                let not_stored = recorder.store(message.finish()).await;
                declared(&not_stored, block)
            }
        })
    }

    /// Stores the turn with this response, even if this future is dropped.
    async fn store(&self, response: Option<(String, Json)>) -> Vec<NotStored> {
        let unusable =
            || vec![NotStored { item: StoredItem::Thread, reason: "unusable_id".into() }];
        let Some((id, content)) = response else { return unusable() };
        let Some(key) = key(&self.tenant, &id) else { return unusable() };
        let Ok(history) = ThreadHistory::of(&self.request, &content) else { return unusable() };
        let record = ThreadRecord { v: SCHEMA, previous: self.previous.clone(), history };
        let outdated = self.outdated.as_ref().filter(|outdated| **outdated != id);
        let outdated = outdated.and_then(|outdated| self::key(&self.tenant, outdated));
        let MessageThreads { store, ttl, tasks } = self.threads.clone();
        let storing = async move {
            let stored = StoredResponse::complete(record.write().into());
            store.put(&key, &stored, ttl).await?;
            if let Some(outdated) = outdated
                && let Err(error) = store.delete(&outdated).await
            {
                tracing::debug!(%error, "an outdated turn of a thread stays until it expires");
            }
            Ok::<(), StoreError>(())
        };
        match tasks.spawn(storing).await {
            Ok(Ok(())) => Vec::new(),
            Ok(Err(error)) => vec![NotStored::by_store(StoredItem::Thread, &error)],
            Err(_) => vec![NotStored { item: StoredItem::Thread, reason: "internal_error".into() }],
        }
    }
}

impl ThreadRecord {
    fn read(body: &[u8]) -> Result<Self, StoreError> {
        let record: Self = serde_json::from_slice(body)
            .map_err(|error| StoreError::corrupt("thread", error.to_string()))?;
        if record.v > SCHEMA {
            return Err(StoreError::corrupt("thread", "a newer version wrote it"));
        }
        Ok(record)
    }

    fn write(&self) -> Vec<u8> {
        // What holds only text and lists can be written.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Returns the key of the conversation that ends with the message `id`; `None` if no message has
/// such an id.
fn key(tenant: &Tenant, id: &str) -> Option<Key> {
    let is_id = (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    is_id.then(|| tenant.key(format!("{PREFIX}{id}")))
}

/// Returns `block` behind a comment that declares the unstored records.
fn declared(not_stored: &[NotStored], block: Bytes) -> Bytes {
    if not_stored.is_empty() {
        return block;
    }
    let comment = format!("{NOT_STORED_COMMENT}{}\n\n", describe(not_stored));
    [comment.as_bytes(), &block].concat().into()
}

impl fmt::Debug for MessageThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageThreads").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl fmt::Debug for ThreadRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadRecorder").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_is_read_as_it_was_written() {
        let body = br#"{"model":"m","system":"s","messages":[{"role":"user","content":"a"}]}"#;
        let content = Json::parse(r#"[{"type":"text","text":"b","n":1e2}]"#).unwrap();
        let history = ThreadHistory::of(body, &content).unwrap();
        let record = ThreadRecord { v: SCHEMA, previous: Some("msg_1".into()), history };
        let read = ThreadRecord::read(&record.write()).unwrap();
        assert_eq!((read.previous, read.history), (record.previous, record.history));
        assert!(ThreadRecord::read(br#"{"v":99,"history":{"messages":[]}}"#).is_err());
        assert!(ThreadRecord::read(b"{").is_err());
    }

    #[test]
    fn only_ids_of_messages_are_looked_up() {
        let tenant = Tenant::new("acme").unwrap();
        let id = |id: &str| key(&tenant, id).map(|key| key.id().to_owned());
        assert_eq!(id("msg_01A-b").as_deref(), Some("thread_msg_01A-b"));
        for other in ["", "a b", "a/b", "é", &"m".repeat(129)] {
            assert_eq!(id(other), None, "{other}");
        }
    }
}
