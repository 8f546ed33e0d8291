//! The port to the log of requests: every request to a model and every refusal, for some days.

mod entry;
mod rows;

pub use self::{
    entry::RequestLogEntry,
    rows::{RequestLogKey, RequestLogRows},
};

use super::StoreError;
use crate::{NanoDollars, Usage};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Keeps requests that have ended, the newest up to a bound and for a time that the store knows.
///
/// Requests come in batches; what is older than the store's lifetime of requests is never returned.
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait RequestLogStore: Send + Sync {
    /// Appends `batch`. One that was appended before changes nothing.
    async fn append(&self, batch: &RequestLogBatch) -> Result<(), StoreError>;

    /// Returns the newest requests that `query` selects, newest first.
    ///
    /// A page may be empty although older requests match: a call reads a bounded part of the log, and
    /// the page says where to go on.
    async fn search(&self, query: &RequestLogQuery) -> Result<RequestLogPage, StoreError>;
}

/// Requests that are appended together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestLogBatch {
    /// The time of the batch, in milliseconds since 1970.
    pub at: u64,
    /// The number of the process that writes it; with the time it names the batch.
    pub writer: u32,
    /// The requests, in the order in which they ended.
    pub rows: RequestLogRows,
}

/// A place in the log: a request, and all that are older.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct RequestLogCursor {
    /// The time of the batch.
    pub at: u64,
    /// The writer of the batch.
    pub writer: u32,
    /// The number of the request in its batch.
    pub row: u32,
}

/// The filters of a page of the log. A member that is absent selects everything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestLogQuery {
    /// The tenant of the requests.
    pub tenant: Option<String>,
    /// The id of the request.
    pub id: Option<String>,
    /// The earliest end of a request, in milliseconds since 1970.
    pub from: Option<u64>,
    /// The latest end of a request, in milliseconds since 1970.
    pub to: Option<u64>,
    /// The client's name.
    pub client: Option<String>,
    /// The model, as the caller named it or as it was served.
    pub model: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// The outcome, or `failed` for all but `ok`.
    pub outcome: Option<String>,
    /// The endpoint's label.
    pub path: Option<String>,
    /// A tag that the request has.
    pub tag: Option<String>,
    /// The end user whom the caller names.
    pub user: Option<String>,
    /// Only requests before this place.
    pub before: Option<RequestLogCursor>,
    /// Maximum number of requests of the page.
    pub limit: usize,
}

/// A page of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestLogPage {
    /// The requests with their places, newest first.
    pub requests: Vec<(RequestLogCursor, LoggedRequest)>,
    /// The place at which the next page begins; `None` if nothing is older.
    pub next: Option<RequestLogCursor>,
}

/// A request as the log keeps it. What is not known of a request is absent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct LoggedRequest {
    /// The request id, as in the reply.
    pub id: String,
    /// The end, in milliseconds since 1970.
    pub at: u64,
    /// The label of the endpoint.
    pub path: String,
    /// The client's name; absent if the caller was not identified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The client's tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The tags of the key and of the request, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The end user whom the caller names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The model, as the caller named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_model: Option<String>,
    /// The model that served the request, or was asked last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The rule that routed the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Whether the response was streamed.
    #[serde(skip_serializing_if = "is_false")]
    pub stream: bool,
    /// `ok`, the kind of the failure, or the code of the refusal.
    pub outcome: String,
    /// The status of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The limit that refused the request, or what else the operator set that did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// The message of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why the model stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// The number of upstream calls.
    pub attempts: u32,
    /// The targets that failed or were skipped, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_attempts: Vec<LoggedAttempt>,
    /// The tokens, by class.
    pub usage: Usage,
    /// Whether the tokens are an estimate.
    #[serde(skip_serializing_if = "is_false")]
    pub usage_estimated: bool,
    /// The cost, if the price is known.
    pub cost: Option<NanoDollars>,
    /// The status of the response cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// The tools that the gateway ran, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// The parameters that were dropped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// Milliseconds from the arrival to the first upstream call: key, body, limits, session, tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepared_ms: Option<u64>,
    /// Milliseconds from the upstream call to the first output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_output_ms: Option<u64>,
    /// Milliseconds from the upstream call to the end; of a refusal, from the arrival.
    pub duration_ms: u64,
    /// The upstream's id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
}

/// A target that failed or was skipped.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct LoggedAttempt {
    /// The provider.
    pub provider: String,
    /// The model, as its provider names it.
    pub model: String,
    /// Whether it was not asked at all.
    pub skipped: bool,
    /// The kind of the failure, or the reason for skipping it.
    pub cause: String,
}

impl RequestLogBatch {
    /// Returns the place of the request `row`.
    pub const fn cursor(&self, row: u32) -> RequestLogCursor {
        RequestLogCursor { at: self.at, writer: self.writer, row }
    }
}

impl RequestLogQuery {
    /// Whether the query selects `request`.
    pub fn selects(&self, request: &LoggedRequest) -> bool {
        fn is(wanted: Option<&String>, value: Option<&String>) -> bool {
            wanted.is_none() || wanted == value
        }
        let names_model = |model: &String| {
            request.requested_model.as_ref() == Some(model) || request.model.as_ref() == Some(model)
        };
        is(self.tenant.as_ref(), request.tenant.as_ref())
            && self.id.as_ref().is_none_or(|id| *id == request.id)
            && self.from.is_none_or(|from| request.at >= from)
            && self.to.is_none_or(|to| request.at <= to)
            && is(self.client.as_ref(), request.client.as_ref())
            && self.model.as_ref().is_none_or(names_model)
            && is(self.provider.as_ref(), request.provider.as_ref())
            && self.outcome.as_ref().is_none_or(|outcome| has_outcome(request, outcome))
            && self.path.as_ref().is_none_or(|path| *path == request.path)
            && self.tag.as_ref().is_none_or(|tag| request.tags.contains(tag))
            && is(self.user.as_ref(), request.user.as_ref())
    }
}

fn has_outcome(request: &LoggedRequest, outcome: &str) -> bool {
    request.outcome == outcome || (outcome == "failed" && request.outcome != "ok")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl fmt::Display for RequestLogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "req_{:x}-{:x}-{:x}", self.at, self.writer, self.row)
    }
}

/// The text is not that of a place in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidCursor;

impl FromStr for RequestLogCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let mut numbers = text.strip_prefix("req_").ok_or(InvalidCursor)?.split('-');
        let mut number = || u64::from_str_radix(numbers.next()?, 16).ok();
        let mut read = || {
            let (at, writer, row) = (number()?, number()?, number()?);
            Some(Self { at, writer: writer.try_into().ok()?, row: row.try_into().ok()? })
        };
        let cursor = read().ok_or(InvalidCursor)?;
        // One text names one place: signs, zeros and capitals are not accepted.
        if cursor.to_string() == text { Ok(cursor) } else { Err(InvalidCursor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> LoggedRequest {
        LoggedRequest {
            id: "r".to_owned(),
            at: 50,
            path: "/v1/messages".to_owned(),
            client: Some("app".to_owned()),
            tenant: Some("team".to_owned()),
            tags: vec!["env=test".to_owned()],
            requested_model: Some("best".to_owned()),
            model: Some("gpt-5".to_owned()),
            provider: Some("lab".to_owned()),
            outcome: "rate_limit_exceeded".to_owned(),
            ..LoggedRequest::default()
        }
    }

    #[track_caller]
    fn check(query: &RequestLogQuery, expected: bool) {
        assert_eq!(query.selects(&request()), expected, "{query:?}");
    }

    #[test]
    fn query_selects_by_every_member() {
        let some = |text: &str| Some(text.to_owned());
        let all = RequestLogQuery::default();
        check(&all, true);
        for (tenant, expected) in [("team", true), ("other", false)] {
            check(&RequestLogQuery { tenant: some(tenant), ..all.clone() }, expected);
        }
        for (model, expected) in [("best", true), ("gpt-5", true), ("gpt", false)] {
            check(&RequestLogQuery { model: some(model), ..all.clone() }, expected);
        }
        for (outcome, expected) in [("failed", true), ("rate_limit_exceeded", true), ("ok", false)]
        {
            check(&RequestLogQuery { outcome: some(outcome), ..all.clone() }, expected);
        }
        check(&RequestLogQuery { id: some("other"), ..all.clone() }, false);
        check(&RequestLogQuery { from: Some(51), ..all.clone() }, false);
        check(&RequestLogQuery { to: Some(49), ..all.clone() }, false);
        check(&RequestLogQuery { from: Some(50), to: Some(50), ..all.clone() }, true);
        check(&RequestLogQuery { client: some("other"), ..all.clone() }, false);
        check(&RequestLogQuery { provider: some("other"), ..all.clone() }, false);
        check(&RequestLogQuery { path: some("other"), ..all.clone() }, false);
        check(&RequestLogQuery { tag: some("env=test"), ..all.clone() }, true);
        check(&RequestLogQuery { tag: some("env"), ..all.clone() }, false);
        check(&RequestLogQuery { user: some("u"), ..all }, false);
    }

    #[test]
    fn cursor_round_trips_as_text() {
        let cursor = RequestLogCursor { at: u64::MAX, writer: 7, row: 0 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "req_", "req_1-2", "req_1-2-3-4", "req_1-2-+3", "req_01-2-3", "1-2-3"] {
            assert_eq!(wrong.parse::<RequestLogCursor>(), Err(InvalidCursor), "{wrong}");
        }
    }

    #[test]
    fn unknown_members_of_a_stored_request_are_ignored() {
        let stored = r#"{"id":"r","at":5,"outcome":"ok","newer":1}"#;
        let read: LoggedRequest = serde_json::from_str(stored).unwrap();
        assert_eq!((read.id.as_str(), read.at, read.outcome.as_str()), ("r", 5, "ok"));
    }
}
