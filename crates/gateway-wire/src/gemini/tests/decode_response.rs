//! The decoding of a response, complete or streamed.

use super::*;

pub(super) fn whole(body: &str) -> gateway_core::Result<ChatResponse> {
    let call = ask(PLAIN, ChatRequest::default());
    let chunk = GeminiOutbound.read_whole(&call, body.to_owned().into(), IdGenerator::new(1))?;
    let mut collector = Collector::default();
    collector.extend(chunk.events);
    Ok(collector.finish())
}

/// The response that `stream` spells if it is cut into events and then into blocks at `cuts`.
pub(super) fn read_stream(blocks: &[&[u8]]) -> gateway_core::Result<ChatResponse> {
    let mut splitter =
        crate::framing::EventSplitter::new(StreamFraming::Sse, crate::MAX_ANSWER_BYTES);
    let mut reader =
        GeminiOutbound.reader(&ask(PLAIN, ChatRequest::default()), IdGenerator::new(1));
    let mut collector = Collector::default();
    let mut read = |block: Bytes| -> gateway_core::Result<()> {
        let mut chunk = Chunk::default();
        reader.read(block, &mut chunk)?;
        assert_eq!(chunk.output, chunk.events.iter().any(StreamEvent::is_output));
        collector.extend(chunk.events);
        Ok(())
    };
    for block in blocks {
        splitter.push(Bytes::copy_from_slice(block))?.map_or(Ok(()), &mut read)?;
    }
    splitter.finish().map_or(Ok(()), &mut read)?;
    let mut chunk = Chunk::default();
    reader.end(&mut chunk)?;
    collector.extend(chunk.events);
    Ok(collector.finish())
}

fn sse(steps: &[&str]) -> String {
    steps.iter().flat_map(|step| ["data: ", step, "\r\n\r\n"]).collect()
}

/// Returns one line for each part of the response.
fn response_text(answer: &ChatResponse) -> String {
    let mut lines = Vec::new();
    for choice in &answer.choices {
        for part in &choice.message.parts {
            lines.push(match &part.content {
                Content::Text(text) => format!("text {text}"),
                Content::Reasoning(Reasoning { text, seal }) => {
                    format!("thought {text} {}", told_seal(seal.as_ref()))
                }
                Content::ToolCall(call) => {
                    let seal = told_seal(call.seal.as_ref());
                    format!("call {} {} {seal}", call.name, call.arguments)
                }
                Content::Opaque(opaque) => opaque.kind.clone(),
                Content::Refusal(_)
                | Content::Image(_)
                | Content::Audio(_)
                | Content::File(_)
                | Content::ToolResult(_) => panic!("models do not answer with these"),
            });
        }
        let finish = choice.finish.clone().unwrap();
        let native = finish.native.unwrap_or_default();
        lines.push(format!("{} ({native})", finish.reason.as_str()));
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

fn told_seal(seal: Option<&Seal>) -> &str {
    seal.map_or("", |seal| seal.data.as_str())
}

#[track_caller]
fn check(body: &str, expected: &str) {
    assert_eq!(response_text(&whole(body).unwrap()), expected);
    assert_eq!(
        response_text(&read_stream(&[sse(&[body]).as_bytes()]).unwrap()),
        expected,
        "streamed"
    );
}

#[test]
fn stop_with_tool_calls_is_tool_calls() {
    check(
        r#"{"candidates":[{"content":{"parts":[{"text":"a"},
            {"functionCall":{"name":"f","args":{"x": 5.0, "a": 5}},"thoughtSignature":"s"},
            {"functionCall":{"name":"g"}}]},"finishReason":"STOP"}]}"#
            .replace('\n', "")
            .as_str(),
        "text a\ncall f {\"x\":5.0,\"a\":5} s\ncall g {}\ntool_calls (STOP)",
    );
}

#[test]
fn truncated_tool_call_is_reported_as_length() {
    check(
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":"MAX_TOKENS"}]}"#,
        "call f {}\nlength (MAX_TOKENS)",
    );
}

#[test]
fn missing_parts_or_content_are_accepted() {
    check(
        r#"{"candidates":[{"content":{"role":"model"},"finishReason":"MAX_TOKENS"}]}"#,
        "length (MAX_TOKENS)",
    );
    check(
        r#"{"candidates":[{"content":null,"finishReason":"MODEL_ARMOR"}]}"#,
        "content_filter (MODEL_ARMOR)",
    );
    check(r#"{"candidates":[{"finishReason":1}]}"#, "stop (STOP)");
}

#[test]
fn blocked_prompt_is_a_filtered_response() {
    check(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, "content_filter (SAFETY)");
    check(
        r#"{"candidates":[],"promptFeedback":{"blockReason":"OTHER"}}"#,
        "content_filter (OTHER)",
    );
}

#[test]
fn thoughts_and_signatures_are_separated() {
    check(
        r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"a"},{"text":"","thoughtSignature":"s"}]},"finishReason":"STOP"}]}"#,
        "thought hm\ntext a\nthought  s\nstop (STOP)",
    );
}

#[test]
fn candidates_are_separated() {
    check(
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"},{"index":1,"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}]}"#,
        "text a\nstop (STOP)\ncall f {}\ntool_calls (STOP)",
    );
}

#[test]
fn unknown_parts_are_preserved() {
    let part = r#"{"thoughtSignature":"s","executableCode":{"code":"1.0"}}"#;
    let body =
        format!(r#"{{"candidates":[{{"content":{{"parts":[{part}]}},"finishReason":"STOP"}}]}}"#);
    let answer = whole(&body).unwrap();
    let Content::Opaque(opaque) = &answer.choices[0].message.parts[0].content else { panic!() };
    assert_eq!((opaque.kind.as_str(), opaque.json.get()), ("executableCode", part));
}

/// A stream with all that streams have: late parts, counts that come and go, two responses.
const STEPS: [&str; 5] = [
    r#"{"candidates":[{"content":{"parts":[{"text":"hé","thought":true}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":5,"totalTokenCount":5},"modelVersion":"m","responseId":"r"}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"w\"ell}"}]}},{"content":{"parts":[{"text":"other"}]},"index":1}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7}}"#,
    r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1.0}},"thoughtSignature":"s"}]},"finishReason":"STOP"}]}"#,
    r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}]}"#,
    r#"{"candidates":[{"content":{"role":"model"},"finishReason":"MAX_TOKENS","index":1}],"usageMetadata":{"promptTokenCount":5,"thoughtsTokenCount":4,"totalTokenCount":11}}"#,
];

const TOLD: &str = "thought hé\ntext w\"ell}\ncall f {\"a\":1.0} s\ncall f {}\ntool_calls (STOP)\ntext other\nlength (MAX_TOKENS)";

#[track_caller]
fn check_told(answer: &ChatResponse) {
    assert_eq!(response_text(answer), TOLD);
    assert_eq!((answer.id.as_str(), answer.model.as_str()), ("r", "m"));
    let usage = answer.usage.unwrap();
    let counts = (usage.prompt(), usage.output, usage.reasoning, usage.total());
    assert_eq!(counts, (5, 2, 4, 11));
    let mut ids: Vec<_> = answer.tool_calls().map(|call| call.id.clone()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 2);
}

#[test]
fn stream_events_are_independent_of_cuts() {
    let stream = sse(&STEPS);
    for cut in 0..=stream.len() {
        let (head, tail) = stream.as_bytes().split_at(cut);
        check_told(&read_stream(&[head, tail]).unwrap());
    }
    let bytes: Vec<_> = stream.as_bytes().chunks(1).collect();
    check_told(&read_stream(&bytes).unwrap());
}

#[test]
fn array_events_are_independent_of_cuts() {
    let array = format!("[{}\n]\n", STEPS.join("\n,\r\n\r\n"));
    check_told(&whole(&array).unwrap());
    for cut in 0..=array.len() {
        let (head, tail) = array.as_bytes().split_at(cut);
        check_told(&read_stream(&[head, tail]).unwrap());
    }
}

#[test]
fn stream_without_finish_reason_is_truncated() {
    for steps in [&STEPS[..0], &STEPS[..1], &STEPS[..4]] {
        let error = read_stream(&[sse(steps).as_bytes()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UpstreamTruncated);
    }
}

#[test]
fn error_inside_response_is_an_error() {
    let error = r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#;
    for body in [sse(&[STEPS[0], error]), error.to_owned(), format!("[{error}]")] {
        let failure = read_stream(&[body.as_bytes()]).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::UpstreamOverloaded);
    }
    assert_eq!(whole(error).unwrap_err().kind(), ErrorKind::UpstreamOverloaded);
}

#[test]
fn output_before_an_error_is_preserved() {
    let block = sse(&[STEPS[0], r#"{"error":{}}"#]);
    let mut reader =
        GeminiOutbound.reader(&ask(PLAIN, ChatRequest::default()), IdGenerator::new(1));
    let mut chunk = Chunk::default();
    assert!(reader.read(block.into(), &mut chunk).is_err());
    assert!(chunk.output && chunk.events.contains(&StreamEvent::Reasoning("hé".to_owned())));
}

#[test]
fn stream_is_finished_once_every_candidate_is() {
    let mut reader =
        GeminiOutbound.reader(&ask(PLAIN, ChatRequest::default()), IdGenerator::new(1));
    let mut known = Vec::new();
    for step in STEPS {
        reader.read(sse(&[step]).into(), &mut Chunk::default()).unwrap();
        known.push(reader.is_finished());
    }
    assert_eq!(known, [false, false, false, false, true]);
    assert!(!reader.is_complete());
}

#[test]
fn content_after_finish_reason_is_accepted() {
    let step = |part: &str, reason: &str| {
        let content = format!(r#"{{"content":{{"parts":[{part}]}},"finishReason":{reason}}}"#);
        sse(&[&format!(r#"{{"candidates":[{content}]}}"#)])
    };
    let steps = [
        (step(r#"{"executableCode":{}}"#, r#""STOP""#), false),
        (step(r#"{"codeExecutionResult":{}}"#, r#""STOP""#), true),
        (step(r#"{"text":"a"}"#, "null"), false),
        (step(r#"{"text":""}"#, r#""MAX_TOKENS""#), true),
        (step(r#"{"text":""}"#, "null"), true),
    ];
    let mut reader =
        GeminiOutbound.reader(&ask(PLAIN, ChatRequest::default()), IdGenerator::new(1));
    for (step, is_finished) in &steps {
        reader.read(step.clone().into(), &mut Chunk::default()).unwrap();
        assert_eq!(reader.is_finished(), *is_finished, "{step}");
    }
    let mut chunk = Chunk::default();
    reader.end(&mut chunk).unwrap();
    let finish = Finish { native: Some("MAX_TOKENS".into()), ..FinishReason::Length.into() };
    assert_eq!(chunk.events, [StreamEvent::Finished(finish)]);
    let cut = steps[..3].iter().map(|(step, _)| step.as_bytes()).collect::<Vec<_>>();
    assert_eq!(read_stream(&cut).unwrap_err().kind(), ErrorKind::UpstreamTruncated);
}

#[test]
fn unreadable_response_is_an_error() {
    for body in ["", "null x", "<html>", "{\"candidates\":5}", "[{]"] {
        assert_eq!(whole(body).unwrap_err().kind(), ErrorKind::UpstreamInvalid, "{body}");
    }
    assert_eq!(whole("{}").unwrap_err().kind(), ErrorKind::UpstreamTruncated);
}

#[test]
fn repeated_source_is_reported_once() {
    let step = r#"{"candidates":[{"content":{"parts":[{"text":"abc"}]},"finishReason":"STOP","groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://example.com"}}],"groundingSupports":[{"segment":{"endIndex":3},"groundingChunkIndices":[0]}]}}]}"#;
    let again = step.replace("abc", "");
    let answer = read_stream(&[sse(&[step, &again]).as_bytes()]).unwrap();
    assert_eq!(answer.choices[0].annotations.len(), 1);
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(blocks in prop::collection::vec(".{0,40}", 0..4)) {
        let blocks: Vec<_> = blocks.iter().map(String::as_bytes).collect();
        let _ = read_stream(&blocks);
        let _ = whole(&String::from_utf8(blocks.concat()).unwrap());
    }
}
