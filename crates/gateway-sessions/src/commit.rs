//! The result of storing the records of a response.
//!
//! A response that was paid for is delivered whether or not it can be stored; the unstored records
//! are part of the result, so that a reply cannot omit them.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use gateway_core::{GatewayError, state::StoreError, sync};
use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex},
};

/// The beginning of the comment in which a stream lists unstored records.
pub const NOT_STORED_COMMENT: &str = ": x-gateway-not-stored: ";

/// The kind of record that a response leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoredItem {
    /// The response, under its id.
    Response,
    /// The turn in a conversation of the Responses API.
    Conversation,
    /// The turn in a session.
    Session,
    /// The turn in a thread of the Messages API.
    Thread,
}

/// A record that could not be stored, and the reason as an error code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotStored {
    /// The record to store.
    pub item: StoredItem,
    /// The code of the failure, for example `storage_full`.
    pub reason: Cow<'static, str>,
}

/// A response, and the records of it that could not be stored.
#[must_use = "a reply has to report what was not stored"]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommitResult {
    /// The response to deliver, which declares its unstored records.
    pub body: Bytes,
    /// The records that could not be stored; empty if all were.
    pub not_stored: Vec<NotStored>,
}

/// The records of one request that could not be stored. Clones share the report.
#[derive(Clone, Debug, Default)]
pub struct StorageReport(Arc<Mutex<Vec<NotStored>>>);

impl StoredItem {
    /// The name in headers and comments.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Conversation => "conversation",
            Self::Session => "session",
            Self::Thread => "thread",
        }
    }
}

impl NotStored {
    /// The failure of the store to take `item`.
    pub(crate) fn by_store(item: StoredItem, error: &StoreError) -> Self {
        let reason = match error {
            StoreError::Invalid(_) => Cow::Borrowed("too_large"),
            StoreError::Unavailable(_)
            | StoreError::Refused(_)
            | StoreError::Busy
            | StoreError::Full
            | StoreError::Quota(_)
            | StoreError::ReadOnly(_)
            | StoreError::Corrupt { .. } => error.code(),
        };
        Self { item, reason }
    }

    /// The failure of storing `item` as `error` reports it.
    pub(crate) fn by_error(item: StoredItem, error: &GatewayError) -> Self {
        Self { item, reason: Cow::Owned(error.code().to_owned()) }
    }
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};reason={}", self.item.as_str(), self.reason)
    }
}

impl From<Bytes> for CommitResult {
    /// Returns the result of a response without records to store.
    fn from(body: Bytes) -> Self {
        Self { body, not_stored: Vec::new() }
    }
}

impl StorageReport {
    /// Adds a record that could not be stored.
    pub fn add(&self, not_stored: NotStored) {
        sync::lock(&self.0).push(not_stored);
    }

    /// The records that could not be stored so far.
    pub fn entries(&self) -> Vec<NotStored> {
        sync::lock(&self.0).clone()
    }

    /// Adds a comment with the unstored records to `events`, server-sent events in whole blocks,
    /// before the first block at which the report has an entry.
    ///
    /// The end of a response comes after the attempt to store it: the comment precedes it.
    pub fn announce<S>(&self, events: S) -> impl Stream<Item = Bytes> + Send + use<S>
    where
        S: Stream<Item = Bytes> + Send + 'static,
    {
        let (report, mut told) = (self.clone(), false);
        // What ends the events may have come without a block of its own.
        let events = events.map(Some).chain(stream::once(async { None }));
        events.flat_map(move |block| {
            let comment = if told { None } else { report.comment() };
            told |= comment.is_some();
            stream::iter(comment.into_iter().chain(block))
        })
    }

    fn comment(&self) -> Option<Bytes> {
        let entries = self.entries();
        let comment = || format!("{NOT_STORED_COMMENT}{}\n\n", describe(&entries)).into();
        (!entries.is_empty()).then(comment)
    }
}

impl PartialEq for StorageReport {
    fn eq(&self, other: &Self) -> bool {
        self.entries() == other.entries()
    }
}

/// Lists records as headers and comments do: `response;reason=storage_full, session;reason=...`.
pub fn describe(not_stored: &[NotStored]) -> String {
    not_stored.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_lists_records_with_their_reasons() {
        let report = StorageReport::default();
        report.add(NotStored::by_store(StoredItem::Response, &StoreError::Full));
        report.add(NotStored::by_store(StoredItem::Session, &StoreError::Invalid("large")));
        let shared = report.clone();
        assert_eq!(
            describe(&shared.entries()),
            "response;reason=storage_full, session;reason=too_large"
        );
        assert_eq!(describe(&StorageReport::default().entries()), "");
    }

    /// The blocks `a`, `b` of a stream; before the block number `at` the report gets an entry.
    async fn announced(at: usize) -> String {
        let report = StorageReport::default();
        let own = report.clone();
        let blocks = (0..3).filter_map(move |number| {
            if number == at {
                own.add(NotStored::by_store(StoredItem::Session, &StoreError::Full));
            }
            ["a\n\n", "b\n\n"].get(number).copied().map(Bytes::from)
        });
        let written: Vec<_> = report.announce(stream::iter(blocks)).collect().await;
        String::from_utf8(written.concat()).unwrap()
    }

    #[tokio::test]
    async fn stream_reports_unstored_records_once() {
        let comment = ": x-gateway-not-stored: session;reason=storage_full\n\n";
        assert_eq!(announced(9).await, "a\n\nb\n\n");
        assert_eq!(announced(0).await, format!("{comment}a\n\nb\n\n"));
        assert_eq!(announced(1).await, format!("a\n\n{comment}b\n\n"));
        assert_eq!(announced(2).await, format!("a\n\nb\n\n{comment}"));
    }
}
