//! The decoding of a response, complete or streamed.

use super::*;
use gateway_core::{ChatResponse, Collector, Content, StreamEvent};
use proptest::prelude::*;

fn whole(body: &str) -> Result<ChatResponse> {
    let call = ask("m", ChatRequest::default());
    let chunk =
        OllamaOutbound::default().read_whole(&call, body.to_owned().into(), IdGenerator::new(1))?;
    let mut collector = Collector::default();
    collector.extend(chunk.events);
    Ok(collector.finish())
}

fn read_stream(chunks: &[&[u8]]) -> Result<ChatResponse> {
    let mut splitter =
        crate::framing::EventSplitter::new(StreamFraming::Lines, crate::MAX_ANSWER_BYTES);
    let call = ask("m", ChatRequest::default());
    let mut reader = OllamaOutbound::default().reader(&call, IdGenerator::new(1));
    let mut collector = Collector::default();
    let mut read = |block: Bytes| -> Result<()> {
        let mut chunk = Chunk::default();
        reader.read(block, &mut chunk)?;
        assert_eq!(chunk.output, chunk.events.iter().any(StreamEvent::is_output));
        collector.extend(chunk.events);
        Ok(())
    };
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk))?.map_or(Ok(()), &mut read)?;
    }
    splitter.finish().map_or(Ok(()), &mut read)?;
    reader.end(&mut Chunk::default())?;
    assert!(reader.is_finished() && reader.is_complete());
    Ok(collector.finish())
}

/// The response in one line.
fn response_text(answer: &ChatResponse) -> String {
    let choice = &answer.choices[0];
    let mut words = Vec::new();
    for part in &choice.message.parts {
        words.push(match &part.content {
            Content::Text(text) => format!("text {text}"),
            Content::Reasoning(reasoning) => format!("thought {}", reasoning.text),
            Content::ToolCall(call) => format!("call {} {}", call.name, call.arguments),
            Content::Refusal(_)
            | Content::Image(_)
            | Content::Audio(_)
            | Content::File(_)
            | Content::Opaque(_)
            | Content::ToolResult(_) => panic!("Ollama does not answer with these"),
        });
    }
    words.push(choice.finish.clone().unwrap().reason.as_str().to_owned());
    words.join(", ")
}

#[track_caller]
fn check(body: &str, expected: &str) {
    assert_eq!(response_text(&whole(body).unwrap()), expected);
    assert_eq!(
        response_text(&read_stream(&[body.as_bytes(), b"\n"]).unwrap()),
        expected,
        "streamed"
    );
}

#[test]
fn text_reasoning_and_calls_are_decoded() {
    check(
        r#"{"model":"m","message":{"role":"assistant","content":"a","thinking":"t","tool_calls":[{"function":{"name":"f","arguments":{"b": 1.0, "a": 2}}},{"id":"x","function":{"name":"g"}}]},"done":true,"done_reason":"stop"}"#,
        r#"thought t, text a, call f {"b":1.0,"a":2}, call g {}, tool_calls"#,
    );
}

#[test]
fn string_arguments_are_unwrapped() {
    check(
        r#"{"message":{"tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}}]},"done":true}"#,
        r#"call f {"a":1}, tool_calls"#,
    );
}

#[test]
fn finish_reasons_are_mapped() {
    check(r#"{"done":true,"done_reason":"length"}"#, "length");
    check(r#"{"done":true,"done_reason":"load"}"#, "stop");
    check(r#"{"done":true}"#, "stop");
    check(
        r#"{"message":{"tool_calls":[{"function":{"name":"f"}}]},"done":true,"done_reason":"length"}"#,
        "call f {}, length",
    );
}

#[test]
fn cached_prompt_counts_as_zero() {
    let usage = whole(r#"{"done":true,"eval_count":7,"eval_duration":5}"#).unwrap().usage.unwrap();
    assert_eq!((usage.prompt(), usage.completion()), (0, 7));
    assert_eq!(whole(r#"{"done":true}"#).unwrap().usage, None);
}

const LINES: [&str; 5] = [
    r#"{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"content":"","thinking":"hé"},"done":false}"#,
    r#"{"model":"m","message":{"content":"wel"},"done":false,"logprobs":[{"token":"wel","logprob":-0.50,"top_logprobs":[]}]}"#,
    r#"{"model":"m","message":{"content":"l"},"done":false}"#,
    r#"{"model":"m","message":{"content":"","tool_calls":[{"function":{"index":0,"name":"f","arguments":{}}}]},"done":false}"#,
    r#"{"model":"m","message":{"content":"","tool_calls":[{"function":{"index":0,"name":"g","arguments":{}}}]},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":4}"#,
];

#[test]
fn stream_events_are_independent_of_cuts() {
    let stream = LINES.join("\n");
    for cut in 0..=stream.len() {
        let (head, tail) = stream.as_bytes().split_at(cut);
        let answer = read_stream(&[head, tail]).unwrap();
        assert_eq!(
            response_text(&answer),
            "thought hé, text well, call f {}, call g {}, tool_calls"
        );
        assert_eq!((answer.model.as_str(), answer.usage.unwrap().total()), ("m", 7));
        let ids: Vec<_> = answer.tool_calls().map(|call| call.id.as_str()).collect();
        assert!(ids[0].starts_with("call_") && ids[0] != ids[1]);
    }
    assert_eq!(whole(&stream).unwrap(), read_stream(&[stream.as_bytes()]).unwrap());
}

#[test]
fn logprobs_match_the_chat_shape() {
    let answer = read_stream(&[LINES.join("\n").as_bytes()]).unwrap();
    let expected = r#"{"content":[{"token":"wel","logprob":-0.50,"bytes":[119,101,108],"top_logprobs":[]}],"refusal":null}"#;
    assert_eq!(answer.choices[0].logprobs[0].get(), expected);
}

#[test]
fn stream_without_done_line_is_truncated() {
    let error = read_stream(&[LINES[..4].join("\n").as_bytes()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UpstreamTruncated);
    assert_eq!(whole(LINES[0]).unwrap_err().kind(), ErrorKind::UpstreamTruncated);
}

#[test]
fn error_line_is_an_error() {
    let stream = format!("{}\n{}\n", LINES[0], r#"{"error":"out of memory"}"#);
    assert_eq!(read_stream(&[stream.as_bytes()]).unwrap_err().kind(), ErrorKind::Upstream);
    assert_eq!(whole(r#"{"error":"x"}"#).unwrap_err().kind(), ErrorKind::Upstream);
    check(r#"{"error":"","done":true}"#, "stop");
}

#[test]
fn lines_after_done_are_ignored() {
    let stream = format!("{}\n{}\n", LINES[4], r#"{"error":"late"}"#);
    assert!(read_stream(&[stream.as_bytes()]).is_ok());
}

#[test]
fn unreadable_response_is_an_error() {
    for body in ["<html>", "{", "5", r#"{"done":"yes"}"#] {
        assert_eq!(whole(body).unwrap_err().kind(), ErrorKind::UpstreamInvalid, "{body}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(chunks in prop::collection::vec(".{0,40}", 0..4)) {
        let bytes: Vec<_> = chunks.iter().map(String::as_bytes).collect();
        let _ = whole(&chunks.concat());
        let _ = read_stream(&bytes).map(|_| ());
    }
}
