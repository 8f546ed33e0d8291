//! The responses of the provider.

use super::{fold, read, read_all, stream};
use crate::{
    IdGenerator, MAX_ANSWER_BYTES, OutboundDialect as _, StreamFraming, framing::EventSplitter,
    messages::MessagesOutbound,
};
use bytes::Bytes;
use gateway_core::{
    ChatRequest, ChatResponse, Chunk, Content, ErrorKind, Finish, FinishReason, Json,
    ProviderRequest, SealKind, Usage,
};

fn call() -> ProviderRequest {
    ProviderRequest::new(ChatRequest::user("m", "x"))
}

fn read_whole(body: &str) -> gateway_core::Result<ChatResponse> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let chunk = MessagesOutbound.read_whole(&call(), body, IdGenerator::new(2))?;
    assert_eq!((chunk.output, chunk.verbatim), (true, None));
    Ok(fold(chunk.events))
}

/// Returns a response in a short notation.
fn spell(answer: &ChatResponse) -> String {
    let Some(choice) = answer.choices.first() else { return "nothing".to_owned() };
    let part = |part: &gateway_core::Part| match &part.content {
        Content::Text(text) => text.clone(),
        Content::Reasoning(it) => {
            let seal = it.seal.as_ref().map_or("open".to_owned(), |seal| match seal.kind {
                SealKind::Encrypted => format!("hidden {}", seal.data),
                SealKind::Signature | SealKind::Details => format!("signed {}", seal.data),
            });
            format!("think {} {seal}", it.text)
        }
        Content::ToolCall(call) => format!("call {} {} {}", call.id, call.name, call.arguments),
        Content::Opaque(it) => format!("opaque {} {}", it.kind, it.json.get()),
        Content::Refusal(_)
        | Content::Image(_)
        | Content::Audio(_)
        | Content::File(_)
        | Content::ToolResult(_) => format!("{:?}", part.content),
    };
    let parts: Vec<_> = choice.message.parts.iter().map(part).collect();
    let finish = choice.finish.as_ref().map_or("-", |finish| finish.reason.as_str());
    format!("{} [{finish}]", parts.join(" | "))
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":1}}}"#;
const END: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9}}
{"type":"message_stop"}"#;

/// A stream with these events about its content.
fn with(lines: &str) -> String {
    stream(&format!("{START}\n{lines}\n{END}"))
}

/// Checks what a response spells that comes in these blocks, whole or as these events.
#[track_caller]
fn check(blocks: &str, events: &str, expected: &str) {
    let whole = format!(
        r#"{{"type":"message","id":"msg_1","model":"m","content":[{blocks}],"stop_reason":"end_turn","stop_sequence":null,
        "usage":{{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":9}}}}"#
    );
    let streamed = read_all(&with(events));
    assert_eq!(spell(&streamed), expected);
    assert_eq!(read_whole(&whole).unwrap(), streamed, "whole and streamed are one");
    assert_eq!(
        streamed.usage,
        Some(Usage { input: 5, cache_read: 2, output: 9, ..Usage::default() })
    );
    assert_eq!((&*streamed.id, &*streamed.model), ("msg_1", "m"));
}

#[test]
fn text_blocks_are_joined() {
    check(
        r#"{"type":"text","text":"one "},{"type":"text","text":"two"}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
           {"type":"ping"}
           {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"on"}}
           {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"e "}}
           {"type":"content_block_stop","index":0}
           {"type":"content_block_start","index":1,"content_block":{"type":"text","text":"tw"}}
           {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"o"}}
           {"type":"content_block_stop","index":1}"#,
        "one two [stop]",
    );
}

#[test]
fn tool_calls_are_indexed_separately() {
    check(
        r#"{"type":"text","text":"a"},
           {"type":"tool_use","id":"t1","name":"f","input":{"x":1.0},"caller":{"type":"direct"}},
           {"type":"tool_use","id":"t2","name":"g","input":{}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}
           {"type":"content_block_stop","index":0}
           {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{}}}
           {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}
           {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"x\""}}
           {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":":1.0}"}}
           {"type":"content_block_stop","index":1}
           {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t2","name":"g","input":{}}}
           {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}
           {"type":"content_block_stop","index":2}"#,
        r#"a | call t1 f {"x":1.0} | call t2 g {} [tool_calls]"#,
    );
}

#[test]
fn thinking_carries_its_signature() {
    check(
        r#"{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"d"},
           {"type":"thinking","thinking":"","signature":"u"},{"type":"text","text":"a"}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
           {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}
           {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}
           {"type":"content_block_stop","index":0}
           {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"d"}}
           {"type":"content_block_stop","index":1}
           {"type":"content_block_start","index":2,"content_block":{"type":"thinking","thinking":"","signature":""}}
           {"type":"content_block_delta","index":2,"delta":{"type":"signature_delta","signature":"u"}}
           {"type":"content_block_stop","index":2}
           {"type":"content_block_start","index":3,"content_block":{"type":"text","text":""}}
           {"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":"a"}}
           {"type":"content_block_stop","index":3}"#,
        "think hm signed s | think  hidden d | think  signed u | a [stop]",
    );
}

#[test]
fn server_tool_blocks_are_preserved() {
    check(
        r#"{"type":"server_tool_use","id":"s1","name":"web_search","input":{"query": "q"}},
           {"type":"web_search_tool_result","tool_use_id":"s1","content":[]},
           {"type":"compaction","content":"short"}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s1","name":"web_search","input":{}}}
           {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"query\": "}}
           {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"\"q\"}"}}
           {"type":"content_block_stop","index":0}
           {"type":"content_block_start","index":1,"content_block":{"type":"web_search_tool_result","tool_use_id":"s1","content":[]}}
           {"type":"content_block_stop","index":1}
           {"type":"content_block_start","index":2,"content_block":{"type":"compaction","content":null}}
           {"type":"content_block_delta","index":2,"delta":{"type":"compaction_delta","content":"short"}}
           {"type":"content_block_stop","index":2}"#,
        concat!(
            r#"opaque server_tool_use {"type":"server_tool_use","id":"s1","name":"web_search","input":{"query": "q"}} | "#,
            r#"opaque web_search_tool_result {"type":"web_search_tool_result","tool_use_id":"s1","content":[]} | "#,
            r#"opaque compaction {"type":"compaction","content":"short"} [stop]"#
        ),
    );
}

#[test]
fn empty_response_is_accepted() {
    check("", "", " [stop]");
}

#[test]
fn unknown_events_are_ignored() {
    check(
        r#"{"type":"text","text":"a"}"#,
        r#"{"type":"new_event","x":[1]}
           {"type":"newer_event","message":"a","delta":"b","usage":7}
           {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}
           {"type":"content_block_delta","index":0,"delta":{"type":"new_delta","x":1}}
           {"type":"content_block_stop","index":0}"#,
        "a [stop]",
    );
}

#[test]
fn citations_are_annotated_with_their_position() {
    let cited =
        r#"{"type":"web_search_result_location","url":"https://x","title":"X","cited_text":"c"}"#;
    let document = r#"{"type":"char_location","document_index":0,"document_title":"D"}"#;
    let streamed = read_all(&with(&format!(
        r#"{{"type":"content_block_start","index":0,"content_block":{{"type":"text","text":"é "}}}}
           {{"type":"content_block_stop","index":0}}
           {{"type":"content_block_start","index":1,"content_block":{{"type":"text","text":"","citations":[]}}}}
           {{"type":"content_block_delta","index":1,"delta":{{"type":"citations_delta","citation":{cited}}}}}
           {{"type":"content_block_delta","index":1,"delta":{{"type":"citations_delta","citation":{document}}}}}
           {{"type":"content_block_delta","index":1,"delta":{{"type":"text_delta","text":"abc"}}}}
           {{"type":"content_block_stop","index":1}}"#
    )));
    let note = r#"{"type":"url_citation","url_citation":{"end_index":5,"start_index":2,"title":"X","url":"https://x"}}"#;
    assert_eq!(streamed.choices[0].annotations, [Json::parse(note).unwrap()]);
}

#[test]
fn native_stop_reason_is_preserved() {
    let end = r#"{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"END"},"usage":{}}
                 {"type":"message_stop"}"#;
    let finish = Finish {
        reason: FinishReason::Stop,
        native: Some("stop_sequence".to_owned()),
        stop_sequence: Some("END".to_owned()),
    };
    assert_eq!(read_all(&stream(&format!("{START}\n{end}"))).choices[0].finish, Some(finish));
}

#[track_caller]
fn check_failure(lines: &str, expected: ErrorKind) {
    let (_, outcome) = read(&call(), &[stream(lines).as_bytes()]);
    assert_eq!(outcome.unwrap_err().kind(), expected);
}

#[test]
fn stream_error_is_reported() {
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#;
    check_failure(&format!("{START}\n{overloaded}"), ErrorKind::UpstreamOverloaded);
    let bare = r#"{"type":"error","message":"no","error":{"type":"overloaded_error"}}"#;
    check_failure(bare, ErrorKind::UpstreamOverloaded);
    let (_, outcome) = read(&call(), &[b"event: error\ndata: busy\n\n"]);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Upstream);
    let (_, outcome) = read(&call(), &[b"data: {\n\n"]);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::UpstreamInvalid);
}

#[test]
fn stream_without_stop_event_is_truncated() {
    let text =
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}"#;
    check_failure(&format!("{START}\n{text}"), ErrorKind::UpstreamTruncated);
    check_failure("", ErrorKind::UpstreamTruncated);
}

#[test]
fn stream_missing_only_message_stop_is_complete() {
    let delta = END.lines().next().unwrap();
    let answer = read_all(&stream(&format!("{START}\n{delta}")));
    assert_eq!(answer.choices[0].finish.as_ref().unwrap().reason, FinishReason::Stop);
}

#[test]
fn invalid_whole_response_is_an_error() {
    for (body, expected) in [
        ("", ErrorKind::UpstreamInvalid),
        ("{}", ErrorKind::UpstreamInvalid),
        ("[1]", ErrorKind::UpstreamInvalid),
        (r#"{"type":"error","error":{"type":"api_error","message":"x"}}"#, ErrorKind::Upstream),
        (r#"{"error":{"type":"overloaded_error"}}"#, ErrorKind::UpstreamOverloaded),
        (r#"{"content":[{"type":"text","text":5}]}"#, ErrorKind::UpstreamInvalid),
    ] {
        assert_eq!(read_whole(body).unwrap_err().kind(), expected, "{body}");
    }
    let bare = read_whole(" \n{\"content\":null,\"stop_reason\":\"end_turn\"}").unwrap();
    assert_eq!(spell(&bare), " [stop]");
}

#[test]
fn events_are_independent_of_network_cuts() {
    let text = with(
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
           {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"é\r\n\u00e9"}}
           {"type":"content_block_stop","index":0}
           {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}
           {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}
           {"type":"content_block_stop","index":1}"#,
    );
    let expected = read_all(&text);
    for bytes in [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}: hi\n\n{text}")] {
        for at in 0..=bytes.len() {
            assert_eq!(read_chunks(&[&bytes.as_bytes()[..at], &bytes.as_bytes()[at..]]), expected);
        }
    }
}

fn read_chunks(chunks: &[&[u8]]) -> ChatResponse {
    let mut splitter = EventSplitter::new(StreamFraming::Sse, MAX_ANSWER_BYTES);
    let mut reader = MessagesOutbound.reader(&call(), IdGenerator::new(2));
    let mut events = Vec::new();
    let mut take = |block: Option<Bytes>, reader: &mut Box<dyn crate::StreamReader>| {
        let mut chunk = Chunk::default();
        reader.read(block.unwrap_or_default(), &mut chunk).unwrap();
        events.extend(chunk.events);
    };
    for chunk in chunks {
        take(splitter.push(Bytes::copy_from_slice(chunk)).unwrap(), &mut reader);
    }
    take(splitter.finish(), &mut reader);
    assert!(reader.is_complete() && reader.is_finished());
    fold(events)
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = read(&call(), &[&bytes]);
        let body = Bytes::from(bytes);
        let _ = MessagesOutbound.read_whole(&call(), body, IdGenerator::new(1));
    }
}
