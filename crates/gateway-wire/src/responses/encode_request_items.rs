//! Items of the input, as they are sent to an upstream.

use gateway_core::Json;
use serde::Serialize;
use std::borrow::Cow;

/// An item of the `input` list.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum InputItemWire<'a> {
    Message {
        role: &'static str,
        content: Vec<InputContentWire<'a>>,
    },
    Reasoning {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        summary: Vec<SummaryTextWire<'a>>,
        #[serde(skip_serializing_if = "str::is_empty")]
        encrypted_content: &'a str,
    },
    FunctionCall {
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
    FunctionCallOutput {
        call_id: &'a str,
        output: ToolOutputWire<'a>,
    },
    CustomToolCall {
        call_id: &'a str,
        name: &'a str,
        input: &'a str,
    },
    CustomToolCallOutput {
        call_id: &'a str,
        output: ToolOutputWire<'a>,
    },
    #[serde(untagged)]
    Raw(&'a Json),
}

/// A content part of a message or of a tool result.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum InputContentWire<'a> {
    InputText {
        text: &'a str,
    },
    OutputText {
        text: &'a str,
        annotations: [(); 0],
    },
    Refusal {
        refusal: &'a str,
    },
    InputImage {
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        detail: &'a str,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
    },
    #[serde(untagged)]
    Raw(&'a Json),
}

/// A piece of a summary of thinking.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "summary_text")]
pub(super) struct SummaryTextWire<'a> {
    pub(super) text: &'a str,
}

/// The result of a tool.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ToolOutputWire<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<InputContentWire<'a>>),
}
