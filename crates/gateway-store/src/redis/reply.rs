//! The parsing of Redis replies.

use bytes::Bytes;
use fred::types::Value;
use gateway_core::state::{StoreError, WriteOutcome};

/// The values of a list.
pub(super) fn list(value: Value) -> Result<Vec<Value>, StoreError> {
    if let Value::Array(values) = value { Ok(values) } else { Err(unreadable()) }
}

/// A number, also if written as text.
pub(super) fn number(value: &Value) -> Result<u64, StoreError> {
    value.as_u64().ok_or_else(unreadable)
}

/// Converts a reply into text.
pub(super) fn text(value: &Value) -> Result<String, StoreError> {
    value.as_string().ok_or_else(unreadable)
}

/// Converts a reply into bytes.
pub(super) fn bytes(value: Value) -> Result<Bytes, StoreError> {
    value.into_bytes().ok_or_else(unreadable)
}

/// A word, and what follows it.
pub(super) fn tagged_reply(value: Value) -> Result<(String, Vec<Value>), StoreError> {
    let mut values = list(value)?;
    if values.is_empty() {
        return Err(unreadable());
    }
    let word = text(&values.remove(0))?;
    Ok((word, values))
}

/// Converts the reply of a change to a `what`.
pub(super) fn outcome(what: &'static str, value: Value) -> Result<WriteOutcome, StoreError> {
    let (word, rest) = tagged_reply(value)?;
    let n = rest.first().map(number).transpose()?.unwrap_or_default();
    match &*word {
        "OK" => Ok(WriteOutcome::Done(n)),
        "DUP" => Ok(WriteOutcome::Duplicate(n)),
        "CONFLICT" => Ok(WriteOutcome::Conflict(n)),
        "FULL" => Ok(WriteOutcome::Full),
        "GONE" => Ok(WriteOutcome::Gone),
        "SCHEMA" => Err(newer(what, n)),
        _ => Err(unreadable()),
    }
}

/// Something was written by another version.
pub(super) fn newer(what: &'static str, schema: u64) -> StoreError {
    StoreError::corrupt(what, format!("unsupported schema {schema}"))
}

/// Redis said something that our scripts do not say.
pub(super) fn unreadable() -> StoreError {
    StoreError::Unavailable("a reply of Redis cannot be read".into())
}
