//! Dialects that only upstreams speak: their streams fold to their whole responses.

use crate::{fold, read, told};
use bytes::Bytes;
use gateway_core::{ChatRequest, Inspection, ProviderRequest};
use gateway_wire::{IdGenerator, OutboundDialect, gemini::GeminiOutbound, ollama::OllamaOutbound};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A piece of a response.
#[derive(Clone, Debug)]
enum ResponsePiece {
    Thought(String),
    Text(String),
    Call(Vec<String>),
}

fn pieces() -> impl Strategy<Value = Vec<ResponsePiece>> {
    let text = || prop_oneof!["[a-z ]{1,9}", Just("é☃\n\r\u{2028}\"".to_owned())];
    let thoughts = prop::collection::vec(text().prop_map(ResponsePiece::Thought), 0..3);
    let texts = prop::collection::vec(text().prop_map(ResponsePiece::Text), 0..4);
    let calls = prop::collection::vec(
        prop::collection::vec(text(), 0..3).prop_map(ResponsePiece::Call),
        0..3,
    );
    (thoughts, texts, calls).prop_map(|(a, b, c)| [a, b, c].concat())
}

fn call(stream: bool) -> ProviderRequest {
    let mut request = ChatRequest::user("m", "hello");
    request.stream = stream;
    let mut call = ProviderRequest::new(request);
    call.inspection = Inspection::Full;
    call
}

fn gemini_part(piece: &ResponsePiece) -> Value {
    match piece {
        ResponsePiece::Thought(text) => json!({ "text": text, "thought": true }),
        ResponsePiece::Text(text) => json!({ "text": text }),
        ResponsePiece::Call(words) => {
            json!({ "functionCall": { "name": "find", "args": { "words": words } } })
        }
    }
}

fn gemini(parts: &[Value], finish: bool) -> Value {
    let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "index": 0 });
    if finish {
        candidate["finishReason"] = "STOP".into();
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": { "promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7 },
        "modelVersion": "m", "responseId": "r1",
    })
}

fn ollama_message(pieces: &[ResponsePiece]) -> Value {
    let (mut thought, mut text, mut calls) = (String::new(), String::new(), Vec::new());
    for piece in pieces {
        match piece {
            ResponsePiece::Thought(it) => thought.push_str(it),
            ResponsePiece::Text(it) => text.push_str(it),
            ResponsePiece::Call(words) => {
                calls.push(
                    json!({ "function": { "name": "find", "arguments": { "words": words } } }),
                );
            }
        }
    }
    json!({ "role": "assistant", "content": text, "thinking": thought, "tool_calls": calls })
}

fn ollama(pieces: &[ResponsePiece], done: bool) -> Value {
    let mut line = json!({ "model": "m", "created_at": "2025-01-01T00:00:00.000000000Z", "message": ollama_message(pieces), "done": done });
    if done {
        line["done_reason"] = "stop".into();
        line["prompt_eval_count"] = 3.into();
        line["eval_count"] = 4.into();
    }
    line
}

fn check(
    upstream: &dyn OutboundDialect,
    stream: &[u8],
    whole: &Value,
    cuts: &[usize],
) -> Result<(), TestCaseError> {
    let body = Bytes::from(whole.to_string());
    let whole = upstream.read_whole(&call(false), body, IdGenerator::new(3)).expect("an answer");
    let heard = read(upstream, &call(true), stream, cuts).expect("it is complete");
    prop_assert_eq!(&heard, &read(upstream, &call(true), stream, &[]).expect("it is complete"));
    prop_assert_eq!(told(&fold(heard)), told(&fold(whole.events)));
    Ok(())
}

proptest! {
    #[test]
    fn gemini_stream_folds_to_whole_response(pieces in pieces(), cuts in prop::collection::vec(0..9000_usize, 0..40)) {
        let parts: Vec<_> = pieces.iter().map(gemini_part).collect();
        let mut stream = String::new();
        for part in &parts {
            stream += &["data: ", &gemini(std::slice::from_ref(part), false).to_string(), "\r\n\r\n"].concat();
        }
        stream += &["data: ", &gemini(&[], true).to_string(), "\r\n\r\n"].concat();
        check(&GeminiOutbound, stream.as_bytes(), &gemini(&parts, true), &cuts)?;
    }

    #[test]
    fn ollama_stream_folds_to_whole_response(pieces in pieces(), cuts in prop::collection::vec(0..9000_usize, 0..40)) {
        let mut stream = String::new();
        for piece in &pieces {
            stream += &[&ollama(std::slice::from_ref(piece), false).to_string(), "\n"].concat();
        }
        stream += &[&ollama(&[], true).to_string(), "\n"].concat();
        check(&OllamaOutbound::default(), stream.as_bytes(), &ollama(&pieces, true), &cuts)?;
    }
}
