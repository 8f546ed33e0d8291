//! Answers as providers of each dialect write them, streamed or not: a turn that calls tools, or
//! one that says something.

use crate::{Script, openai};
use serde_json::{Value, json};

/// A dialect of providers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UpstreamDialect {
    /// The format of OpenAI Chat Completions.
    Chat,
    /// The format of Anthropic Messages.
    Messages,
    /// The format of Gemini `generateContent`.
    Gemini,
    /// The format of Ollama's chat.
    Ollama,
}

/// A call of a tool: its id, where the dialect has any, its name, and its arguments.
pub type CallRow<'a> = (&'a str, &'a str, Value);

impl UpstreamDialect {
    /// All formats of responses.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Messages, Self::Gemini, Self::Ollama];

    /// The `kind` of a provider that speaks it.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Chat => "openai_compatible",
            Self::Messages => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }

    /// A turn that says `text`, if any, and makes `calls`.
    pub fn turn(self, stream: bool, text: &str, calls: &[CallRow<'_>]) -> Script {
        match (self, stream) {
            (Self::Chat, false) => Script::json(200, chat_whole(text, calls)),
            (Self::Chat, true) => Script::events(chat_chunks(text, calls)),
            (Self::Messages, false) => Script::json(200, messages_whole(text, calls)),
            (Self::Messages, true) => named(messages_events(text, calls)),
            (Self::Gemini, false) => Script::json(200, gemini(text, calls)),
            (Self::Gemini, true) => Script::events([gemini(text, calls)]),
            (Self::Ollama, false) => Script::json(200, ollama(text, calls, true)),
            (Self::Ollama, true) => lines([ollama(text, calls, false), ollama("", &[], true)]),
        }
    }
}

/// A stream whose events have their type as their name.
fn named(events: Vec<Value>) -> Script {
    let event = |script: Script, event: Value| {
        let name = event["type"].as_str().unwrap_or_default();
        script.chunk(format!("event: {name}\ndata: {event}\n\n"))
    };
    events.into_iter().fold(Script::streaming(), event).end()
}

/// A stream of JSON lines.
fn lines<const N: usize>(lines: [String; N]) -> Script {
    let headers = [("content-type", "application/x-ndjson"), ("transfer-encoding", "chunked")];
    let begun = Script::new().head(200, &headers);
    lines.into_iter().fold(begun, |script, line| script.chunk(line + "\n")).end()
}

fn chat_whole(text: &str, calls: &[CallRow<'_>]) -> String {
    if calls.is_empty() {
        return openai::whole(text);
    }
    let calls: Vec<_> = calls
        .iter()
        .map(|(id, name, arguments)| {
            let function = json!({ "name": name, "arguments": arguments.to_string() });
            json!({ "id": id, "type": "function", "function": function })
        })
        .collect();
    let text = Some(text).filter(|text| !text.is_empty());
    let message = json!({ "role": "assistant", "content": text, "tool_calls": calls });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "tool_calls" });
    let usage: Value = serde_json::from_str(openai::USAGE).unwrap_or_default();
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "m-2026",
        "choices": [choice], "usage": usage,
    })
    .to_string()
}

fn chat_chunks(text: &str, calls: &[CallRow<'_>]) -> Vec<String> {
    if calls.is_empty() {
        return openai::streamed(&[text]);
    }
    let mut chunks = vec![openai::opening()];
    if !text.is_empty() {
        chunks.push(openai::says(text));
    }
    let mut delta = |call: Value| {
        chunks.push(openai::chunk(&json!({ "tool_calls": [call] }).to_string(), None));
    };
    for (index, (id, name, arguments)) in calls.iter().enumerate() {
        let function = json!({ "name": name, "arguments": "" });
        delta(json!({ "index": index, "id": id, "type": "function", "function": function }));
        let arguments = arguments.to_string();
        let (first, rest) = arguments.split_at(1);
        for piece in [first, rest] {
            delta(json!({ "index": index, "function": { "arguments": piece } }));
        }
    }
    chunks.push(openai::chunk("{}", Some("tool_calls")));
    chunks.extend([openai::usage(), "[DONE]".to_owned()]);
    chunks
}

fn messages_blocks(text: &str, calls: &[CallRow<'_>]) -> Vec<Value> {
    let text = Some(text).filter(|text| !text.is_empty());
    let text = text.map(|text| json!({ "type": "text", "text": text }));
    let calls = calls.iter().map(|(id, name, arguments)| {
        json!({ "type": "tool_use", "id": id, "name": name, "input": arguments })
    });
    text.into_iter().chain(calls).collect()
}

fn messages_whole(text: &str, calls: &[CallRow<'_>]) -> String {
    let stop = if calls.is_empty() { "end_turn" } else { "tool_use" };
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m-2026",
        "content": messages_blocks(text, calls), "stop_reason": stop, "stop_sequence": null,
        "usage": { "input_tokens": 7, "output_tokens": 3 },
    })
    .to_string()
}

fn messages_events(text: &str, calls: &[CallRow<'_>]) -> Vec<Value> {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m-2026", "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": { "input_tokens": 7, "output_tokens": 1 },
    });
    let mut events = vec![json!({ "type": "message_start", "message": message })];
    for (index, block) in messages_blocks(text, calls).into_iter().enumerate() {
        let (begun, delta) = if block["type"] == "text" {
            let delta = json!({ "type": "text_delta", "text": block["text"] });
            (json!({ "type": "text", "text": "" }), delta)
        } else {
            let json = block["input"].to_string();
            let mut begun = block;
            begun["input"] = json!({});
            (begun, json!({ "type": "input_json_delta", "partial_json": json }))
        };
        events.extend([
            json!({ "type": "content_block_start", "index": index, "content_block": begun }),
            json!({ "type": "content_block_delta", "index": index, "delta": delta }),
            json!({ "type": "content_block_stop", "index": index }),
        ]);
    }
    let stop = if calls.is_empty() { "end_turn" } else { "tool_use" };
    let delta = json!({ "stop_reason": stop, "stop_sequence": null });
    let usage = json!({ "output_tokens": 3 });
    events.push(json!({ "type": "message_delta", "delta": delta, "usage": usage }));
    events.push(json!({ "type": "message_stop" }));
    events
}

fn gemini(text: &str, calls: &[CallRow<'_>]) -> String {
    let text = Some(text).filter(|text| !text.is_empty()).map(|text| json!({ "text": text }));
    let calls = calls
        .iter()
        .map(|(_, name, arguments)| json!({ "functionCall": { "name": name, "args": arguments } }));
    let parts: Vec<_> = text.into_iter().chain(calls).collect();
    let content = json!({ "role": "model", "parts": parts });
    json!({
        "candidates": [{ "content": content, "finishReason": "STOP", "index": 0 }],
        "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10 },
        "modelVersion": "m-2026", "responseId": "g-1",
    })
    .to_string()
}

fn ollama(text: &str, calls: &[CallRow<'_>], done: bool) -> String {
    let mut message = json!({ "role": "assistant", "content": text });
    if !calls.is_empty() {
        message["tool_calls"] = calls
            .iter()
            .map(|(_, name, arguments)| {
                json!({ "function": { "name": name, "arguments": arguments } })
            })
            .collect();
    }
    let mut answer = json!({
        "model": "m-2026", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": done,
    });
    if done {
        answer["done_reason"] = "stop".into();
        answer["prompt_eval_count"] = 7.into();
        answer["eval_count"] = 3.into();
    }
    answer.to_string()
}
