//! The record of a response: input, output and provider.

use super::items;
use gateway_core::{Json, state::StoreError};
use serde::{Deserialize, Serialize};

/// The version of the stored format. Newer ones are rejected.
const SCHEMA: u32 = 1;

/// The record of a stored response.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Record {
    pub(super) v: u32,
    /// The provider that served the response.
    pub(super) provider: String,
    /// Whether the provider stores the response too, under the same id.
    pub(super) native: bool,
    /// It was made without its caller.
    #[serde(default)]
    pub(super) background: bool,
    /// The id of the continued response, unless only the provider knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<String>,
    /// The conversation that it continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) within: Option<ConversationPosition>,
    /// The taxonomy that the conversation is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) taxonomy: Option<String>,
    /// The input, without the items of earlier responses.
    pub(super) input: Vec<Json>,
    /// The response object, as sent.
    pub(super) response: Json,
}

/// The position of a response in its conversation.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct ConversationPosition {
    pub(super) id: String,
    /// The number of changes of the conversation at its start.
    pub(super) changes: u64,
}

#[derive(Deserialize)]
struct StoredObject {
    #[serde(default)]
    id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    output: Vec<Json>,
}

impl Record {
    /// A record of nothing yet.
    pub(super) fn new(provider: &str, native: bool) -> Self {
        Self {
            v: SCHEMA,
            provider: provider.to_owned(),
            native,
            background: false,
            previous: None,
            within: None,
            taxonomy: None,
            input: Vec::new(),
            response: Json::null(),
        }
    }

    /// Parses the output of [`write`](Self::write).
    pub(super) fn read(body: &[u8]) -> Result<Self, StoreError> {
        let record: Self = serde_json::from_slice(body)
            .map_err(|error| StoreError::corrupt("response", error.to_string()))?;
        if record.v > SCHEMA {
            return Err(StoreError::corrupt("response", "a newer version wrote it"));
        }
        Ok(record)
    }

    /// Serializes the record.
    pub(super) fn write(&self) -> Vec<u8> {
        // What holds only text and lists can be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Returns input and output as items of a new input.
    pub(super) fn items(&self) -> Vec<Json> {
        self.input
            .iter()
            .cloned()
            .chain(self.output().iter().filter_map(items::of_output))
            .collect()
    }

    /// Returns input and output as they were.
    pub(super) fn all_items(&self) -> Vec<Json> {
        self.input.iter().cloned().chain(self.output()).collect()
    }

    fn output(&self) -> Vec<Json> {
        self.response.read::<StoredObject>().map(|it| it.output).unwrap_or_default()
    }
}

/// Returns the id of a response object, if it is valid for storage.
pub(super) fn id_of(response: &Json) -> Option<String> {
    response.read::<StoredObject>().ok().map(|it| it.id).filter(|id| is_id(id))
}

/// Whether a response object has output, complete or partial.
pub(super) fn is_answer(response: &Json) -> bool {
    let status = response.read::<StoredObject>().map(|it| it.status).unwrap_or_default();
    matches!(&*status, "completed" | "incomplete")
}

/// Whether `id` is valid for storage.
pub(super) fn is_id(id: &str) -> bool {
    id.strip_prefix("resp_").is_some_and(|rest| {
        (1..=128).contains(&rest.len())
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: &str, expected: bool) {
        assert_eq!(is_id(id), expected, "{id}");
    }

    #[test]
    fn malformed_response_ids_are_rejected() {
        check("resp_a", true);
        check("resp_A-z_9", true);
        check(&format!("resp_{}", "a".repeat(128)), true);
        for id in ["", "resp_", "a", "resp_a b", "resp_a/b", "resp_%41", "resp_é", "RESP_a"] {
            check(id, false);
        }
        check(&format!("resp_{}", "a".repeat(129)), false);
    }

    #[test]
    fn record_round_trips() {
        let mut record = Record::new("lab", true);
        record.previous = Some("resp_a".to_owned());
        record.input = vec![Json::parse(r#"{"n":1e2}"#).unwrap()];
        record.response = Json::parse(r#"{"output":[{"type":"x", "n":1.0}]}"#).unwrap();
        assert_eq!(Record::read(&record.write()).unwrap(), record);
        assert_eq!(record.items().len(), 2);
    }

    #[test]
    fn unreadable_record_is_error() {
        for body in ["", "{}", r#"{"v":99,"provider":"","native":true,"input":[],"response":1}"#] {
            assert!(Record::read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
