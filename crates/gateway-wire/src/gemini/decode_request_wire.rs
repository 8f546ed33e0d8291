//! Requests as callers write them: the members of contents that are read, in both spellings.

use serde::Deserialize;
use serde_json::value::RawValue;

/// A turn.
#[derive(Deserialize)]
pub(super) struct ContentInWire<'a> {
    #[serde(default)]
    pub(super) role: Option<String>,
    #[serde(borrow, default)]
    pub(super) parts: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PartInWire<'a> {
    pub(super) text: Option<String>,
    pub(super) thought: Option<bool>,
    #[serde(alias = "thought_signature")]
    pub(super) thought_signature: Option<String>,
    #[serde(alias = "inline_data")]
    pub(super) inline_data: Option<InlineDataInWire>,
    #[serde(alias = "file_data")]
    pub(super) file_data: Option<FileDataInWire>,
    #[serde(borrow, alias = "function_call")]
    pub(super) function_call: Option<FunctionCallInWire<'a>>,
    #[serde(borrow, alias = "function_response")]
    pub(super) function_response: Option<FunctionResponseInWire<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InlineDataInWire {
    #[serde(default, alias = "mime_type")]
    pub(super) mime_type: String,
    pub(super) data: String,
    #[serde(default)]
    pub(super) display_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileDataInWire {
    #[serde(default, alias = "mime_type")]
    pub(super) mime_type: String,
    #[serde(alias = "file_uri")]
    pub(super) file_uri: String,
    #[serde(default)]
    pub(super) display_name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct FunctionCallInWire<'a> {
    #[serde(default)]
    pub(super) id: Option<String>,
    pub(super) name: String,
    #[serde(borrow, default)]
    pub(super) args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct FunctionResponseInWire<'a> {
    #[serde(default)]
    pub(super) id: Option<String>,
    pub(super) name: String,
    #[serde(borrow, default)]
    pub(super) response: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) parts: Vec<ResultPartInWire>,
}

/// A part of a result beside its text.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ResultPartInWire {
    #[serde(alias = "inline_data")]
    pub(super) inline_data: Option<InlineDataInWire>,
    #[serde(alias = "file_data")]
    pub(super) file_data: Option<FileDataInWire>,
}
