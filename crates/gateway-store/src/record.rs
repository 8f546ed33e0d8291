//! The record format of messages, shared by all backends.
//!
//! ```text
//! <version> <milliseconds since 1970> {"v":1,"turn":"...","message":{...}}
//! ```
//!
//! The numbers are given by the backend, in the step that appends; the rest by the caller, before.

use gateway_core::{
    Message,
    state::{SessionEntry, SessionTurn, StoreError},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The schema that this version writes. It reads no newer one.
pub(crate) const SCHEMA: u32 = 1;

/// Prefix of every record that this version writes.
const START: &[u8] = br#"{"v":1,"#;

#[derive(Serialize)]
struct RecordOut<'a> {
    v: u32,
    turn: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    incomplete: bool,
    message: &'a Message,
}

#[derive(Deserialize)]
struct RecordIn {
    turn: String,
    #[serde(default)]
    incomplete: bool,
    message: Message,
}

#[derive(Deserialize)]
struct SchemaProbe {
    v: u32,
}

/// The messages of `turn`, without the numbers that only the backend knows.
pub(crate) fn encode_turn(turn: &SessionTurn) -> Result<Vec<String>, StoreError> {
    if turn.messages.is_empty() || turn.id.is_empty() {
        return Err(StoreError::Invalid("a turn has an id and at least one message"));
    }
    turn.messages
        .iter()
        .map(|message| {
            let incomplete = turn.incomplete;
            let writing = RecordOut { v: SCHEMA, turn: &turn.id, incomplete, message };
            serde_json::to_string(&writing)
                .map_err(|_| StoreError::Invalid("the message cannot be written as JSON"))
        })
        .collect()
}

/// The whole record of a message.
pub(crate) fn line(version: u64, at: u64, payload: &str) -> String {
    format!("{version} {at} {payload}")
}

/// The version and the payload of a record, and when it was made.
pub(crate) fn split(line: &str) -> Option<(u64, u64, &str)> {
    let mut fields = line.splitn(3, ' ');
    let version = fields.next()?.parse().ok()?;
    let at = fields.next()?.parse().ok()?;
    Some((version, at, fields.next()?))
}

/// Decodes the record at `position`.
pub(crate) fn decode(position: u64, line: &[u8]) -> Result<SessionEntry, StoreError> {
    let text = std::str::from_utf8(line)
        .map_err(|_| StoreError::corrupt("session", format!("message {position} is not text")))?;
    let (version, at, payload) = split(text)
        .ok_or_else(|| StoreError::corrupt("session", format!("message {position} is cut")))?;
    let RecordIn { turn, incomplete, message } = read("session", payload.as_bytes())?;
    Ok(SessionEntry { position, version, at, turn, incomplete, message })
}

/// Reads a JSON record that begins with its schema.
pub(crate) fn read<T: DeserializeOwned>(what: &'static str, json: &[u8]) -> Result<T, StoreError> {
    let broken = |error: serde_json::Error| StoreError::corrupt(what, error.to_string());
    if !json.starts_with(START) {
        let SchemaProbe { v } = serde_json::from_slice(json).map_err(broken)?;
        check_schema(what, v)?;
    }
    serde_json::from_slice(json).map_err(broken)
}

/// Refuses what a newer version wrote: to write over it would lose what we do not know of.
pub(crate) fn check_schema(what: &'static str, schema: u32) -> Result<(), StoreError> {
    if schema == SCHEMA {
        return Ok(());
    }
    Err(StoreError::corrupt(what, format!("schema {schema} is not {SCHEMA}, which we read")))
}

/// Writes a JSON record.
pub(crate) fn write(record: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(record)
        .map_err(|_| StoreError::Invalid("the record cannot be written as JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::Role;

    #[test]
    fn record_round_trips() {
        let message = Message::text(Role::User, "two words\n");
        let turn = SessionTurn {
            id: "t".into(),
            messages: vec![message.clone()],
            incomplete: true,
            ..SessionTurn::default()
        };
        let payload = encode_turn(&turn).unwrap().remove(0);
        let entry = decode(4, line(3, 99, &payload).as_bytes()).unwrap();
        let expected = SessionEntry {
            position: 4,
            version: 3,
            at: 99,
            turn: "t".into(),
            incomplete: true,
            message,
        };
        assert_eq!(entry, expected);
    }

    #[test]
    fn record_starts_with_schema_version() {
        assert!(
            write(&RecordOut {
                v: SCHEMA,
                turn: "",
                incomplete: false,
                message: &Message::text(Role::User, "")
            })
            .unwrap()
            .starts_with(START)
        );
    }

    #[track_caller]
    fn check_refused(line: &[u8]) {
        assert!(matches!(decode(0, line), Err(StoreError::Corrupt { .. })));
    }

    #[test]
    fn foreign_record_is_rejected() {
        check_refused(b"");
        check_refused(b"1 2");
        check_refused(b"1 2 {");
        check_refused(b"1 2 {}");
        check_refused(b"x 2 {\"v\":1}");
        check_refused(b"1 2 \xff");
        check_refused(br#"1 2 {"v":2,"turn":"t","message":{"role":"user","parts":[]}}"#);
    }
}
