//! Requests and responses as a whole.

mod decode_request;
mod decode_response;
mod encode_request;
mod encode_response;
mod passthrough;

use super::*;
use crate::StreamFraming;
use gateway_core::{
    ChatRequest, ChatResponse, Collector, Content, Effort, ErrorKind, Finish, FinishReason, Image,
    Json, Message, Opaque, Options, Part, Reasoning, ReasoningOptions, ResponseFormat, Role, Seal,
    SealKind, Source, StreamEvent, ToolCall, ToolChoice, ToolResult, ToolSpec,
};
use proptest::prelude::*;
use serde_json::{Number, Value, json};

fn ask(model: &str, request: ChatRequest) -> ProviderRequest {
    ProviderRequest::new(ChatRequest { model: model.to_owned(), ..request })
}

fn encoded_body(model: &str, request: ChatRequest) -> (String, Vec<String>) {
    let encoded = GeminiOutbound.encode(&ask(model, request)).unwrap();
    let dropped = encoded.dropped.iter().map(str::to_owned).collect();
    (String::from_utf8(encoded.to_vec()).unwrap(), dropped)
}

/// Checks the member `name` of what is written for `request`.
#[track_caller]
fn check_member(name: &str, request: ChatRequest, expected: &Value) {
    let (body, _) = encoded_body("gemini-2.5-flash", request);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body.get(name).unwrap_or(&Value::Null), expected);
}

/// Checks the turns that are written for `messages`, of a model that wants signatures or not.
#[track_caller]
fn check_turns(model: &str, messages: Vec<Message>, expected: &Value) {
    let (body, _) = encoded_body(model, ChatRequest { messages, ..ChatRequest::default() });
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(&body["contents"], expected);
}

fn call(id: &str, name: &str, arguments: &str) -> Content {
    Content::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        ..ToolCall::default()
    })
}

fn sealed_call(id: &str, data: &str) -> Content {
    Content::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        seal: Some(seal(Dialect::Gemini, data)),
        ..ToolCall::default()
    })
}

fn seal(dialect: Dialect, data: &str) -> Seal {
    Seal { dialect, kind: SealKind::Signature, id: None, data: data.to_owned() }
}

fn reasoning_part(text: &str, seal: Option<Seal>) -> Content {
    Content::Reasoning(Reasoning { text: text.to_owned(), seal })
}

fn result(call_id: &str, text: &str) -> Content {
    Content::ToolResult(ToolResult {
        call_id: call_id.to_owned(),
        name: None,
        parts: vec![Content::Text(text.to_owned()).into()],
        is_error: false,
    })
}

fn message(role: Role, parts: impl IntoIterator<Item = Content>) -> Message {
    Message::new(role, parts)
}

const PLAIN: &str = "gemini-2.5-flash";
const SIGNING: &str = "gemini-3-flash-preview";
