//! Providers that reason, seal their reasoning and call a tool.

use super::caller::CallerMode;
use gateway_tests::{Script, Setup, Upstream, openai};
use serde_json::{Value, json};

/// The dialect of a provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ProviderDialect {
    Messages,
    Responses,
    Gemini,
    OpenRouter,
}

/// A provider.
#[derive(Debug)]
pub(super) struct SealingProvider {
    pub(super) name: &'static str,
    tongue: ProviderDialect,
    /// Its credentials.
    pub(super) keys: &'static [&'static str],
}

pub(super) const PROVIDERS: &[SealingProvider] = &[
    SealingProvider { name: "ant", tongue: ProviderDialect::Messages, keys: &["sk-a1", "sk-a2"] },
    SealingProvider { name: "res", tongue: ProviderDialect::Responses, keys: &["sk-r1", "sk-r2"] },
    SealingProvider { name: "gem", tongue: ProviderDialect::Gemini, keys: &["sk-g"] },
    SealingProvider { name: "rou", tongue: ProviderDialect::OpenRouter, keys: &["sk-o"] },
    SealingProvider { name: "bee", tongue: ProviderDialect::Messages, keys: &["sk-b"] },
];

/// The seal of the turn `turn`: base64, as Gemini's must be.
pub(super) fn seal(turn: usize) -> String {
    format!("c2VhbG{turn:04}zz")
}

impl SealingProvider {
    /// The model of it that is asked.
    pub(super) fn target(&self) -> String {
        match self.tongue {
            // Without a model that wants this API, callers of Chat Completions would get theirs.
            ProviderDialect::Responses => format!("m-{}", self.name),
            ProviderDialect::Messages | ProviderDialect::Gemini | ProviderDialect::OpenRouter => {
                format!("{}/m", self.name)
            }
        }
    }

    pub(super) fn configure(&self, setup: Setup, upstream: &Upstream) -> Setup {
        let section = format!("providers.{}", self.name);
        let setup = setup.provider(self.name, &upstream.url()).write(
            &section,
            "api_keys",
            &json!(self.keys).to_string(),
        );
        match self.tongue {
            ProviderDialect::Messages => setup.set(&section, "kind", "anthropic"),
            ProviderDialect::Responses => setup.set(&section, "api", "responses").model(
                &self.target(),
                self.name,
                "responses",
            ),
            ProviderDialect::Gemini => setup.set(&section, "kind", "gemini"),
            ProviderDialect::OpenRouter => setup.set(&section, "quirks", "openrouter"),
        }
    }

    /// Whether its seals come back through callers of this dialect.
    pub(super) fn is_restored(&self, caller: CallerMode) -> bool {
        match self.tongue {
            ProviderDialect::Messages | ProviderDialect::Gemini => true,
            ProviderDialect::Responses => {
                matches!(caller, CallerMode::Responses | CallerMode::Previous)
            }
            ProviderDialect::OpenRouter => {
                !matches!(caller, CallerMode::Messages | CallerMode::Thread)
            }
        }
    }

    /// It reasons, seals that, and makes the call `turn`.
    pub(super) fn calls(&self, turn: usize, stream: bool) -> Script {
        match (self.tongue, stream) {
            (ProviderDialect::Messages, false) => {
                Script::json(200, message(&blocks(turn)).to_string())
            }
            (ProviderDialect::Messages, true) => named_events(message_events(turn)),
            (ProviderDialect::Responses, false) => Script::json(200, response(turn).to_string()),
            (ProviderDialect::Responses, true) => named_events(response_events(turn)),
            (ProviderDialect::Gemini, false) => Script::json(200, gemini(turn).to_string()),
            (ProviderDialect::Gemini, true) => Script::events([gemini(turn).to_string()]),
            (ProviderDialect::OpenRouter, false) => Script::json(200, chat(turn).to_string()),
            (ProviderDialect::OpenRouter, true) => Script::events(chat_chunks(turn)),
        }
    }
}

fn named_events(events: Vec<Value>) -> Script {
    let event = |script: Script, event: Value| {
        let name = event["type"].as_str().unwrap_or_default();
        script.chunk(format!("event: {name}\ndata: {event}\n\n"))
    };
    events.into_iter().fold(Script::streaming(), event).end()
}

fn call_id(turn: usize) -> String {
    format!("toolu_{turn}")
}

fn blocks(turn: usize) -> [Value; 2] {
    [
        json!({ "type": "thinking", "thinking": "hm", "signature": seal(turn) }),
        json!({ "type": "tool_use", "id": call_id(turn), "name": "look", "input": {} }),
    ]
}

fn message(content: &[Value]) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": { "input_tokens": 7, "output_tokens": 3 },
    })
}

fn message_events(turn: usize) -> Vec<Value> {
    let [thinking, call] = blocks(turn);
    let delta = |delta: Value| json!({ "type": "content_block_delta", "index": 0, "delta": delta });
    let opening = json!({ "type": "thinking", "thinking": "", "signature": "" });
    vec![
        json!({ "type": "message_start", "message": message(&[]) }),
        json!({ "type": "content_block_start", "index": 0, "content_block": opening }),
        delta(json!({ "type": "thinking_delta", "thinking": "hm" })),
        delta(json!({ "type": "signature_delta", "signature": thinking["signature"] })),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "content_block_start", "index": 1, "content_block": call }),
        json!({ "type": "content_block_stop", "index": 1 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" }, "usage": { "output_tokens": 3 } }),
        json!({ "type": "message_stop" }),
    ]
}

fn items(turn: usize) -> [Value; 2] {
    [
        json!({ "type": "reasoning", "id": format!("rs_{turn}"), "summary": [], "encrypted_content": seal(turn) }),
        json!({
            "type": "function_call", "id": format!("fc_{turn}"), "call_id": call_id(turn),
            "name": "look", "arguments": "{}", "status": "completed",
        }),
    ]
}

fn response(turn: usize) -> Value {
    json!({
        "id": format!("resp_{turn}"), "object": "response", "created_at": 1_700_000_000, "status": "completed",
        "model": "m", "output": items(turn), "reasoning": { "effort": "low" },
        "usage": { "input_tokens": 7, "output_tokens": 3, "total_tokens": 10 },
    })
}

fn response_events(turn: usize) -> Vec<Value> {
    let mut begun = response(turn);
    begun["output"] = json!([]);
    begun["status"] = "in_progress".into();
    let mut events = vec![json!({ "type": "response.created", "response": begun })];
    for (at, item) in items(turn).into_iter().enumerate() {
        events.push(
            json!({ "type": "response.output_item.added", "output_index": at, "item": item }),
        );
        events
            .push(json!({ "type": "response.output_item.done", "output_index": at, "item": item }));
    }
    events.push(json!({ "type": "response.completed", "response": response(turn) }));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = number.into();
    }
    events
}

fn gemini(turn: usize) -> Value {
    let parts = json!([
        { "text": "hm", "thought": true },
        { "functionCall": { "name": "look", "args": {} }, "thoughtSignature": seal(turn) },
    ]);
    json!({
        "candidates": [{ "content": { "role": "model", "parts": parts }, "finishReason": "STOP", "index": 0 }],
        "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10 },
        "modelVersion": "m", "responseId": format!("g-{turn}"),
    })
}

/// The members of a message of a model behind `OpenRouter`.
fn turn_output(turn: usize) -> Value {
    let call = json!({ "index": 0, "id": call_id(turn), "type": "function", "function": { "name": "look", "arguments": "{}" } });
    let details = json!([{ "type": "reasoning.encrypted", "data": seal(turn), "index": 0 }]);
    json!({ "role": "assistant", "content": null, "reasoning": "hm", "reasoning_details": details, "tool_calls": [call] })
}

fn chat(turn: usize) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "m",
        "choices": [{ "index": 0, "message": turn_output(turn), "finish_reason": "tool_calls" }],
        "usage": { "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 },
    })
}

fn chat_chunks(turn: usize) -> Vec<String> {
    vec![
        openai::chunk(&turn_output(turn).to_string(), None),
        openai::chunk("{}", Some("tool_calls")),
        openai::usage(),
        "[DONE]".to_owned(),
    ]
}
