//! Events of a streamed response, numbered.

use crate::responses::{
    annotations::ResponsesLogprob, encode_response_items::OutputItemWire,
    encode_response_items::OutputPartWire,
};
use gateway_core::Json;
use serde::Serialize;

/// The destination and sequence number of stream events.
#[derive(Debug)]
pub(super) struct EventEmitter<'a> {
    /// Nowhere, for a whole response.
    pub(super) out: Option<&'a mut Vec<u8>>,
    pub(super) next: &'a mut u64,
}

#[derive(Serialize)]
struct NumberedEventWire<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    sequence_number: u64,
    #[serde(flatten)]
    fields: T,
}

/// An item begins or ends.
#[derive(Debug, Serialize)]
pub(super) struct ItemEventWire<'a> {
    pub(super) output_index: usize,
    pub(super) item: OutputItemWire<'a>,
}

/// Something of an item.
#[derive(Debug, Default, Serialize)]
pub(super) struct ItemPartEventWire<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotation_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<OutputPartWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<&'a [ResponsesLogprob]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotation: Option<&'a Json>,
}

impl EventEmitter<'_> {
    /// Writes an event, unless the emitter is silent.
    pub(super) fn event(&mut self, kind: &str, fields: impl Serialize) {
        let Some(out) = &mut self.out else { return };
        let sequence_number = *self.next;
        *self.next += 1;
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let event = NumberedEventWire { kind, sequence_number, fields };
        // Writing to memory does not fail, and what is written has strings for keys.
        let written = serde_json::to_writer(&mut **out, &event);
        debug_assert!(written.is_ok(), "an event that JSON cannot encode");
        out.extend_from_slice(b"\n\n");
    }
}
