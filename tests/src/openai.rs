//! Answers as OpenAI's Chat Completions writes them.

use crate::Script;
use serde_json::{Value, json};

/// The usage of every chat completion.
pub const USAGE: &str = r#"{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}"#;

/// A whole answer that says `text`.
pub fn whole(text: &str) -> String {
    let text = json!(text);
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m-2026","choices":[{{"index":0,"message":{{"role":"assistant","content":{text},"refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{USAGE},"system_fingerprint":"fp_1"}}"#
    )
}

/// A chunk whose only choice is `delta`, with this finish.
pub fn chunk(delta: &str, finish: Option<&str>) -> String {
    let finish = json!(finish);
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m-2026","system_fingerprint":"fp_1","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]}}"#
    )
}

/// The first chunk, which says nothing yet.
pub fn opening() -> String {
    chunk(r#"{"role":"assistant","content":""}"#, None)
}

/// A chunk that says `text`.
pub fn says(text: &str) -> String {
    chunk(&json!({ "content": text }).to_string(), None)
}

/// The chunk that ends a choice.
pub fn stops() -> String {
    chunk("{}", Some("stop"))
}

/// Returns the chunk with the usage.
pub fn usage() -> String {
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m-2026","system_fingerprint":"fp_1","choices":[],"usage":{USAGE}}}"#
    )
}

/// The events of a streamed answer that says `pieces`.
pub fn streamed(pieces: &[&str]) -> Vec<String> {
    let pieces = pieces.iter().map(|piece| says(piece));
    let end = [stops(), usage(), "[DONE]".to_owned()];
    [opening()].into_iter().chain(pieces).chain(end).collect()
}

/// `events` as they are written.
pub fn written(events: &[String]) -> String {
    events.iter().flat_map(|event| ["data: ", event.as_str(), "\n\n"]).collect()
}

/// An error as OpenAI words it.
pub fn error(kind: &str, code: &str, message: &str) -> String {
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
        .to_string()
}

/// The request: one sentence for `model`, and these members besides.
pub fn ask(model: &str, besides: Value) -> String {
    let mut ask = json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }] });
    if let (Some(ask), Value::Object(besides)) = (ask.as_object_mut(), besides) {
        ask.extend(besides);
    }
    ask.to_string()
}

/// Returns the script of request `number` of a tool loop that stalls in its fourth round. Each round
/// before calls [`search_tool`], and reports 100 tokens read and 50 written.
pub fn three_tool_rounds(number: usize) -> Script {
    if number == 3 {
        return Script::new().stall();
    }
    let call = json!([{ "id": format!("call_{number}"), "type": "function", "function": {
        "name": "search_corpus", "arguments": "{\"query\":\"q\"}" } }]);
    let message = json!({ "role": "assistant", "content": null, "tool_calls": call });
    let answer = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "message": message, "finish_reason": "tool_calls" }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150 } });
    Script::json(200, answer.to_string())
}

/// Returns the definition of the gateway tool `search_corpus`.
pub fn search_tool() -> Value {
    json!({ "type": "function", "function": { "name": "search_corpus", "description": "d",
        "parameters": { "type": "object", "properties": { "query": { "type": "string" } } } } })
}

/// Returns the default script for `request`.
pub(crate) fn usual(request: &[u8]) -> Script {
    let request: Value = serde_json::from_slice(request).unwrap_or_default();
    if request["stream"] == true {
        Script::events(streamed(&["Hel", "lo."]))
    } else {
        Script::json(200, whole("Hello."))
    }
}
