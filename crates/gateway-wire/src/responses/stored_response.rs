//! State of stored responses: continuation of earlier ones, and replay of recorded streams.

use crate::json::lazy_object::LazyObject;
use crate::sse;
use gateway_core::{ChatRequest, GatewayError, Json, Result};
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Encodes the response to a token-counting request.
pub fn input_tokens(count: u64) -> Vec<u8> {
    format!(r#"{{"object":"response.input_tokens","input_tokens":{count}}}"#).into_bytes()
}

/// The members of a request about stored responses: which one it continues, and whether to store
/// this one.
#[expect(clippy::struct_excessive_bools, reason = "each is a member of its own")]
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseStateFields {
    /// Whether to store the response. Default: true.
    pub store: bool,
    /// The response that this request continues.
    pub previous_response_id: Option<String>,
    /// The conversation that this request continues.
    pub conversation: Option<String>,
    /// Whether to generate in the background; the caller polls for the response. Default: false.
    pub background: bool,
    /// Whether the input refers to stored items.
    pub has_references: bool,
    /// Whether the input holds compaction items, or asks for one.
    pub has_compactions: bool,
}

impl ResponseStateFields {
    /// Reads the members from the body of a request.
    ///
    /// # Errors
    ///
    /// If a member has the wrong type; the error names it.
    pub fn read(body: &[u8]) -> Result<Self> {
        let mut members: LazyObject<'_> = serde_json::from_slice(body).map_err(|error| {
            GatewayError::invalid("body", "the body is not a JSON object").with_source(error)
        })?;
        let input = members.remove("input").map(|input| input.get().as_bytes());
        let input_has = |name: &[u8]| input.is_some_and(|it| memmem::find(it, name).is_some());
        Ok(Self {
            store: members.take("store")?.unwrap_or(true),
            previous_response_id: members.take("previous_response_id")?,
            conversation: members
                .take::<ConversationRefWire>("conversation")?
                .map(ConversationRefWire::id),
            background: members.take("background")?.unwrap_or(false),
            has_references: input_has(b"\"item_reference\""),
            has_compactions: input_has(b"\"compaction"),
        })
    }

    /// Removes the references to stored responses from `request`, which mean nothing to upstreams.
    pub fn untie(request: &mut ChatRequest) {
        for name in ["previous_response_id", "conversation", "background"] {
            request.extra.remove(name);
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ConversationRefWire {
    Id(String),
    Whole { id: String },
}

impl ConversationRefWire {
    fn id(self) -> String {
        match self {
            Self::Id(id) | Self::Whole { id } => id,
        }
    }
}

#[derive(Deserialize)]
struct SequencedEventWire<'a> {
    sequence_number: Option<u64>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

/// The first response object in a recorded stream.
pub(super) fn response_in(events: &[u8]) -> Option<Json> {
    sse::events(events).find_map(|event| {
        serde_json::from_str::<SequencedEventWire<'_>>(&event.data).ok()?.response.map(Json::from)
    })
}

/// The number of the last of `events` that has one.
pub(super) fn last_number(events: &[u8]) -> Option<u64> {
    sse::events(events).filter_map(|event| number(&event)).last()
}

fn number(event: &sse::SseEvent<'_>) -> Option<u64> {
    serde_json::from_str::<SequencedEventWire<'_>>(&event.data).ok()?.sequence_number
}

/// The response object with which `events`, a streamed response as it was written, end.
///
/// None if the stream did not end in `completed`, `incomplete` or `failed`.
pub fn final_response(events: &[u8]) -> Option<Json> {
    let ends = ["response.completed", "response.incomplete", "response.failed"];
    let last = sse::events(events).filter(|event| event.data.trim() != "[DONE]").last()?;
    let is_end = ends.iter().any(|end| last.name == *end || last.data.contains(end));
    let response = serde_json::from_str::<SequencedEventWire<'_>>(&last.data).ok()?.response;
    response.filter(|_| is_end).map(Json::from)
}

/// The events of a recorded stream whose sequence number is above `seen`: those that a disconnected
/// caller missed.
pub fn events_after(events: &[u8], seen: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for event in sse::events(events).filter(|event| number(event).is_none_or(|it| it > seen)) {
        sse::write(&mut out, Some(event.name).filter(|name| !name.is_empty()), &event.data);
    }
    out
}
