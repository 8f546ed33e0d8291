//! Items of the output: what an answer consists of.

use crate::responses::annotations::Likelihood;
use gateway_core::Json;
use serde::Serialize;

/// An item, perhaps still being written.
#[derive(Debug)]
pub(super) struct OutItem {
    /// The item's own name; of an item from elsewhere, empty: it brings its own.
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) status: Status,
}

/// What sort of item.
#[derive(Debug)]
pub(super) enum Kind {
    Message(Vec<OutPart>),
    Reasoning { text: String, encrypted: Option<String> },
    Call { call_id: String, name: String, arguments: String, custom: bool },
    Raw(Json),
}

/// A piece of a message.
#[derive(Debug, Default)]
pub(super) struct OutPart {
    pub(super) is_refusal: bool,
    pub(super) text: String,
    pub(super) annotations: Vec<Json>,
    pub(super) logprobs: Vec<Likelihood>,
}

/// How far an item is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

/// An item on the wire.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WireItem<'a> {
    Message {
        id: &'a str,
        status: Status,
        role: &'static str,
        content: Vec<WirePart<'a>>,
    },
    Reasoning {
        id: &'a str,
        summary: Vec<WirePart<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<&'a str>,
    },
    FunctionCall {
        id: &'a str,
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
        status: Status,
    },
    CustomToolCall {
        id: &'a str,
        call_id: &'a str,
        name: &'a str,
        input: &'a str,
        status: Status,
    },
    #[serde(untagged)]
    Raw(&'a Json),
}

/// A piece of a message or of a summary on the wire.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WirePart<'a> {
    OutputText { text: &'a str, annotations: &'a [Json], logprobs: &'a [Likelihood] },
    Refusal { refusal: &'a str },
    SummaryText { text: &'a str },
}

impl OutItem {
    /// The item as it is now.
    pub(super) fn wire(&self) -> WireItem<'_> {
        let Self { id, kind, status } = self;
        match kind {
            Kind::Message(parts) => WireItem::Message {
                id,
                status: *status,
                role: "assistant",
                content: parts.iter().map(OutPart::wire).collect(),
            },
            Kind::Reasoning { text, encrypted } => WireItem::Reasoning {
                id,
                summary: summary(text).into_iter().collect(),
                encrypted_content: encrypted.as_deref(),
            },
            Kind::Call { call_id, name, arguments: input, custom: true } => {
                WireItem::CustomToolCall { id, call_id, name, input, status: *status }
            }
            Kind::Call { call_id, name, arguments, custom: false } => {
                WireItem::FunctionCall { id, call_id, name, arguments, status: *status }
            }
            Kind::Raw(json) => WireItem::Raw(json),
        }
    }

    /// The item as it begins: with nothing in it.
    pub(super) fn wire_empty(&self) -> WireItem<'_> {
        match self.wire() {
            WireItem::Message { id, status, role, .. } => {
                WireItem::Message { id, status, role, content: Vec::new() }
            }
            WireItem::Reasoning { id, .. } => {
                WireItem::Reasoning { id, summary: Vec::new(), encrypted_content: None }
            }
            WireItem::FunctionCall { id, call_id, name, status, .. } => {
                WireItem::FunctionCall { id, call_id, name, arguments: "", status }
            }
            WireItem::CustomToolCall { id, call_id, name, status, .. } => {
                WireItem::CustomToolCall { id, call_id, name, input: "", status }
            }
            WireItem::Raw(json) => WireItem::Raw(json),
        }
    }
}

/// The one piece of a summary, if there is any.
fn summary(text: &str) -> Option<WirePart<'_>> {
    (!text.is_empty()).then_some(WirePart::SummaryText { text })
}

impl OutPart {
    /// The piece as it is now.
    pub(super) fn wire(&self) -> WirePart<'_> {
        let Self { is_refusal, text, annotations, logprobs } = self;
        if *is_refusal {
            WirePart::Refusal { refusal: text }
        } else {
            WirePart::OutputText { text, annotations, logprobs }
        }
    }
}
