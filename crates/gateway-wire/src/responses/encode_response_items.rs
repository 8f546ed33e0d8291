//! Items of the output: what a response consists of.

use crate::responses::annotations::ResponsesLogprob;
use gateway_core::Json;
use serde::Serialize;

/// An item, perhaps still being written.
#[derive(Debug)]
pub(super) struct OutputItem {
    /// The item's own name; of an item from elsewhere, empty: it brings its own.
    pub(super) id: String,
    pub(super) kind: OutputItemKind,
    pub(super) status: ItemStatus,
}

/// The kind of an output item.
#[derive(Debug)]
pub(super) enum OutputItemKind {
    Message(Vec<OutputPart>),
    Reasoning { text: String, encrypted: Option<String> },
    Call { call_id: String, name: String, arguments: String, custom: bool },
    Raw(Json),
}

/// A piece of a message.
#[derive(Debug, Default)]
pub(super) struct OutputPart {
    pub(super) is_refusal: bool,
    pub(super) text: String,
    pub(super) annotations: Vec<Json>,
    pub(super) logprobs: Vec<ResponsesLogprob>,
}

/// The progress of an output item.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ItemStatus {
    InProgress,
    Completed,
    Incomplete,
}

/// An item on the wire.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum OutputItemWire<'a> {
    Message {
        id: &'a str,
        status: ItemStatus,
        role: &'static str,
        content: Vec<OutputPartWire<'a>>,
    },
    Reasoning {
        id: &'a str,
        summary: Vec<OutputPartWire<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<&'a str>,
    },
    FunctionCall {
        id: &'a str,
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
        status: ItemStatus,
    },
    CustomToolCall {
        id: &'a str,
        call_id: &'a str,
        name: &'a str,
        input: &'a str,
        status: ItemStatus,
    },
    #[serde(untagged)]
    Raw(&'a Json),
}

/// A piece of a message or of a summary on the wire.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum OutputPartWire<'a> {
    OutputText { text: &'a str, annotations: &'a [Json], logprobs: &'a [ResponsesLogprob] },
    Refusal { refusal: &'a str },
    SummaryText { text: &'a str },
}

impl OutputItem {
    /// The item as it is now.
    pub(super) fn wire(&self) -> OutputItemWire<'_> {
        let Self { id, kind, status } = self;
        match kind {
            OutputItemKind::Message(parts) => OutputItemWire::Message {
                id,
                status: *status,
                role: "assistant",
                content: parts.iter().map(OutputPart::wire).collect(),
            },
            OutputItemKind::Reasoning { text, encrypted } => OutputItemWire::Reasoning {
                id,
                summary: summary(text).into_iter().collect(),
                encrypted_content: encrypted.as_deref(),
            },
            OutputItemKind::Call { call_id, name, arguments: input, custom: true } => {
                OutputItemWire::CustomToolCall { id, call_id, name, input, status: *status }
            }
            OutputItemKind::Call { call_id, name, arguments, custom: false } => {
                OutputItemWire::FunctionCall { id, call_id, name, arguments, status: *status }
            }
            OutputItemKind::Raw(json) => OutputItemWire::Raw(json),
        }
    }

    /// The item as it begins: with nothing in it.
    pub(super) fn empty_wire(&self) -> OutputItemWire<'_> {
        match self.wire() {
            OutputItemWire::Message { id, status, role, .. } => {
                OutputItemWire::Message { id, status, role, content: Vec::new() }
            }
            OutputItemWire::Reasoning { id, .. } => {
                OutputItemWire::Reasoning { id, summary: Vec::new(), encrypted_content: None }
            }
            OutputItemWire::FunctionCall { id, call_id, name, status, .. } => {
                OutputItemWire::FunctionCall { id, call_id, name, arguments: "", status }
            }
            OutputItemWire::CustomToolCall { id, call_id, name, status, .. } => {
                OutputItemWire::CustomToolCall { id, call_id, name, input: "", status }
            }
            OutputItemWire::Raw(json) => OutputItemWire::Raw(json),
        }
    }
}

/// The one piece of a summary, if there is any.
fn summary(text: &str) -> Option<OutputPartWire<'_>> {
    (!text.is_empty()).then_some(OutputPartWire::SummaryText { text })
}

impl OutputPart {
    /// The piece as it is now.
    pub(super) fn wire(&self) -> OutputPartWire<'_> {
        let Self { is_refusal, text, annotations, logprobs } = self;
        if *is_refusal {
            OutputPartWire::Refusal { refusal: text }
        } else {
            OutputPartWire::OutputText { text, annotations, logprobs }
        }
    }
}
