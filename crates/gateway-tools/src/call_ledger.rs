//! Remembering calls, so that none is made twice that must not be.

use gateway_core::{
    Json, ToolCall, ToolContext, ToolError, ToolErrorCode,
    state::{BeginResult, IdempotencyStore, Key, Replay, StoreError, Tenant},
};
use sha2::{Digest as _, Sha256};
use std::{fmt::Write as _, sync::Arc, time::Duration};
use uuid::Uuid;

/// Retention of recorded calls.
const KEPT: Duration = Duration::from_hours(24);

/// The ledger of tool calls that must not run twice.
///
/// A call is recorded before it runs and stays recorded until its result is. After a crash in
/// between, or a timeout of the service, it is unknown whether the call ran: it is not repeated. A
/// failing store stops no tool; then services can still recognize a repetition by its idempotency
/// key.
#[derive(Clone)]
pub(crate) struct CallLedger(pub(crate) Arc<dyn IdempotencyStore>);

/// A call that is written down, and is to be made.
pub(crate) struct RecordedCall {
    ledger: CallLedger,
    key: Key,
    token: String,
}

/// The state of a call in the ledger.
pub(crate) enum LedgerEntry {
    /// The call is new: run it.
    New(Option<RecordedCall>),
    /// It was made; this is what came of it.
    Done(Json),
}

impl CallLedger {
    /// Writes a call down.
    ///
    /// # Errors
    ///
    /// If it was made before and what came of it is not known.
    pub(crate) async fn note(&self, tenant: &str, key: &str) -> Result<LedgerEntry, ToolError> {
        let Some(tenant) = Tenant::new(tenant) else { return Ok(LedgerEntry::New(None)) };
        let key = tenant.key(format!("tool-call/{key}"));
        let token = Uuid::new_v4().to_string();
        let fingerprint = Sha256::digest(key.id()).into();
        match self.0.begin(&key, &fingerprint, &token, KEPT).await {
            Ok(BeginResult::New) => {
                Ok(LedgerEntry::New(Some(RecordedCall { ledger: self.clone(), key, token })))
            }
            Ok(BeginResult::Done(replay)) => {
                match std::str::from_utf8(&replay.body).map(Json::parse) {
                    Ok(Ok(json)) => Ok(LedgerEntry::Done(json)),
                    Ok(Err(_)) | Err(_) => Err(in_doubt()),
                }
            }
            Ok(BeginResult::InProgress | BeginResult::Mismatch) => Err(in_doubt()),
            Err(error) => {
                warn(&error);
                Ok(LedgerEntry::New(None))
            }
        }
    }
}

impl RecordedCall {
    /// Writes down what came of the call.
    pub(crate) async fn close(self, outcome: &Result<Json, ToolError>) {
        let Self { ledger: CallLedger(store), key, token } = self;
        let written = match outcome {
            Ok(json) => {
                let body = json.get().to_owned().into();
                let content_type = "application/json".to_owned();
                let replay = Replay { status: 200, content_type, body };
                store.finish(&key, &token, &replay, KEPT).await.map(drop)
            }
            Err(error) if was_not_done(error) => store.abandon(&key, &token).await,
            Err(_) => Ok(()),
        };
        if let Err(error) = written {
            warn(&error);
        }
    }
}

/// The stable name of a call: whose it is, where it was made, and what it asks.
pub(crate) fn key(call: &ToolCall, context: &ToolContext) -> String {
    let (place, id) = match &context.idempotency_key {
        // The caller knows its request again, and ids are new each time.
        Some(key) => (key, ""),
        // A call without an id is one of its request.
        None if call.id.is_empty() => (&context.conversation, &*context.request_id),
        None => (&context.conversation, &*call.id),
    };
    let mut hash = Sha256::new();
    for part in [&*context.tenant, place, id, &call.name, &call.arguments] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut key = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a string does not fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

/// Whether it is certain that the tool did nothing.
fn was_not_done(error: &ToolError) -> bool {
    match error.code {
        ToolErrorCode::CircuitOpen
        | ToolErrorCode::NotFound
        | ToolErrorCode::Unavailable
        | ToolErrorCode::InvalidArguments => true,
        ToolErrorCode::UpstreamStatus => error.status.is_some_and(|status| status < 500),
        ToolErrorCode::Timeout
        | ToolErrorCode::UpstreamInvalid
        | ToolErrorCode::TooLarge
        | ToolErrorCode::Failed => false,
    }
}

fn in_doubt() -> ToolError {
    ToolError::new(
        ToolErrorCode::Timeout,
        "this call was made before, and it is unknown whether it took effect",
    )
}

fn warn(error: &StoreError) {
    tracing::warn!(target: "gateway::tool", %error, "idempotency store unavailable; a tool call is not recorded");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of a call of `name` with `id`, of `tenant` in `conversation`.
    fn name(tenant: &str, conversation: &str, id: &str, tool: &str) -> String {
        let call = ToolCall { id: id.to_owned(), name: tool.to_owned(), ..ToolCall::default() };
        let context = ToolContext {
            tenant: tenant.into(),
            conversation: conversation.into(),
            request_id: "r1".into(),
            ..ToolContext::default()
        };
        key(&call, &context)
    }

    #[test]
    fn tool_call_key_is_stable() {
        assert_eq!(name("a", "s", "c1", "x"), name("a", "s", "c1", "x"));
        assert_eq!(name("a", "s", "c1", "x").len(), 64);
    }

    #[test]
    fn repeated_request_reuses_tool_call_keys() {
        let again = |id: &str, request: &str| {
            let call = ToolCall { id: id.to_owned(), name: "x".to_owned(), ..ToolCall::default() };
            let context = ToolContext {
                idempotency_key: Some("mine/0".into()),
                request_id: request.into(),
                ..ToolContext::default()
            };
            key(&call, &context)
        };
        assert_eq!(again("c1", "r1"), again("c2", "r2"));
    }

    #[test]
    fn different_tool_calls_have_different_keys() {
        let one = name("a", "s", "c1", "x");
        for other in [
            name("b", "s", "c1", "x"),
            name("a", "t", "c1", "x"),
            name("a", "s", "c2", "x"),
            name("a", "s", "c1", "y"),
            name("a", "sc", "1", "x"),
            name("a", "s", "", "x"),
        ] {
            assert_ne!(one, other);
        }
    }
}
