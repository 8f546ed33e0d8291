//! Streams of every family: translated, passed on, normalized, cut.

use super::{
    fixtures::{self, Fixture},
    *,
};
use proptest::prelude::*;

const STREAM: &str = r#""stream":true"#;
const COUNTED: &str = r#""stream":true,"stream_options":{"include_usage":true}"#;

fn whole(fixture: &Fixture, call: &ProviderRequest) -> ChatResponse {
    let upstream = ChatOutbound { quirks: fixture.quirks };
    let body = Bytes::from_static(fixture.whole.as_bytes());
    let chunk = upstream.read_whole(call, body, IdGenerator::new(2)).unwrap();
    let mut answer = Collector::default();
    answer.extend(chunk.events);
    answer.finish()
}

#[test]
fn stream_folds_to_whole_response() {
    for fixture in &fixtures::ALL {
        let streamed = run(fixture.quirks, &composed_request(STREAM), &[fixture.stream.as_bytes()]);
        assert_eq!(streamed.error, None, "{}", fixture.quirks.name);
        assert_eq!(
            streamed.answer(),
            whole(fixture, &composed_request("")),
            "{}",
            fixture.quirks.name
        );
    }
}

#[test]
fn written_stream_decodes_to_same_events() {
    for fixture in &fixtures::ALL {
        let once = run(fixture.quirks, &composed_request(COUNTED), &[fixture.stream.as_bytes()]);
        let twice = run(Quirks::OPENAI, &composed_request(COUNTED), &[once.out.as_bytes()]);
        let name = fixture.quirks.name;
        let (mut first, mut second) = (once.answer(), twice.answer());
        for choice in first.choices.iter_mut().chain(&mut second.choices) {
            // The native word has a place of its own, from which it is not read.
            if let Some(finish) = &mut choice.finish {
                finish.native = None;
            }
        }
        assert_eq!(first, second, "{name}");
    }
}

/// Checks what holds for every stream that a caller reads.
#[track_caller]
fn check_chunks(outcome: &StreamResult, counted: bool, name: &str) {
    let chunks = outcome.chunks();
    let of = |name: &str| chunks.iter().map(|it| it[name].clone()).collect::<Vec<_>>();
    for same in ["id", "created", "model"] {
        let values = of(same);
        assert!(
            values.iter().all(|it| *it == values[0] && !it.is_null()),
            "{name}: {same} differs"
        );
    }
    let choices = |it: &Value| it["choices"].as_array().unwrap().clone();
    let all: Vec<Value> = chunks.iter().flat_map(choices).collect();
    for index in 0..2 {
        let mut mine = all.iter().filter(|it| it["index"] == index).peekable();
        if mine.peek().is_none() {
            continue;
        }
        let roles: Vec<_> = mine.clone().map(|it| it["delta"]["role"] == "assistant").collect();
        assert!(roles[0] && !roles[1..].contains(&true), "{name}: roles {roles:?}");
        let ends: Vec<_> = mine.map(|it| it.get("finish_reason").unwrap().is_string()).collect();
        let (last, others) = ends.split_last().unwrap();
        assert!(*last && !others.contains(&true), "{name}: finishes {ends:?}");
    }
    let counts: Vec<_> = chunks.iter().map(|it| it["usage"].is_object()).collect();
    let (last, others) = counts.split_last().unwrap();
    assert!(!others.contains(&true), "{name}: counts {counts:?}");
    assert_eq!(*last, counted, "{name}: counts {counts:?}");
    assert!(chunks.iter().all(|it| choices(it).is_empty() == it["usage"].is_object()), "{name}");
}

#[test]
fn normalized_streams_have_the_same_shape() {
    for fixture in &fixtures::ALL {
        let counts = fixture.stream.contains("\"usage\":{");
        for (members, asked) in [(STREAM, false), (COUNTED, true)] {
            for call in [original(members), composed_request(members)] {
                let outcome = run(fixture.quirks, &call, &[fixture.stream.as_bytes()]);
                check_chunks(&outcome, asked && counts, fixture.quirks.name);
                let usage = outcome.answer().usage;
                assert_eq!(usage.is_some(), counts, "metered: {}", fixture.quirks.name);
            }
        }
    }
}

#[test]
fn passthrough_and_translation_yield_same_events() {
    for fixture in &fixtures::ALL {
        let read = |outcome: &StreamResult| {
            run(Quirks::OPENAI, &composed_request(COUNTED), &[outcome.out.as_bytes()]).answer()
        };
        let passed = run(fixture.quirks, &original(COUNTED), &[fixture.stream.as_bytes()]);
        let passed = read(&passed);
        let translated = whole(fixture, &composed_request(""));
        let texts = |answer: &ChatResponse| {
            let choices = answer.choices.iter();
            choices
                .map(|it| (it.message.clone(), it.finish.as_ref().map(|it| it.reason)))
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(&passed), texts(&translated), "{}", fixture.quirks.name);
        assert_eq!(passed.usage, translated.usage, "{}", fixture.quirks.name);
    }
}

#[test]
fn compliant_chunks_pass_unchanged() {
    for fixture in [&fixtures::OPENAI, &fixtures::CALLS] {
        let outcome = run(fixture.quirks, &original(COUNTED), &[fixture.stream.as_bytes()]);
        assert_eq!(outcome.out, fixture.stream);
    }
}

#[test]
fn unknown_members_survive_normalization() {
    let outcome =
        run(Quirks::OPENROUTER, &original(COUNTED), &[fixtures::OPENROUTER.stream.as_bytes()]);
    assert!(outcome.out.contains(r#""provider":"P""#), "{}", outcome.out);
    assert!(outcome.out.contains(r#""cost":0.00012"#), "{}", outcome.out);
    assert!(outcome.out.contains(r#""native_finish_reason":"end_turn""#), "{}", outcome.out);
}

#[test]
fn upstream_model_path_is_hidden() {
    let outcome = run(Quirks::LLAMACPP, &original(STREAM), &[fixtures::LLAMACPP.stream.as_bytes()]);
    assert!(outcome.out.contains(r#""model":"asked""#) && !outcome.out.contains("secret"));
    assert!(!outcome.out.contains(r#""finish_reason":"eos""#), "{}", outcome.out);
}

#[test]
fn events_are_independent_of_network_cuts() {
    for fixture in &fixtures::ALL {
        for call in [original(COUNTED), composed_request(COUNTED)] {
            let bytes = fixture.stream.as_bytes();
            let uncut = run(fixture.quirks, &call, &[bytes]);
            for at in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(at);
                let cut = run(fixture.quirks, &call, &[head, tail]);
                assert_eq!(cut, uncut, "{} cut at {at}", fixture.quirks.name);
            }
        }
    }
}

#[test]
fn truncated_stream_is_an_error() {
    for fixture in &fixtures::ALL {
        for call in [original(STREAM), composed_request(STREAM)] {
            let bytes = fixture.stream.as_bytes();
            let uncut = run(fixture.quirks, &call, &[bytes]).answer();
            for at in 0..bytes.len() {
                let broken = run(fixture.quirks, &call, &[&bytes[..at]]);
                let name = fixture.quirks.name;
                match broken.error {
                    // All was said; only accounts are missing.
                    None => assert_eq!(broken.answer().choices, uncut.choices, "{name} at {at}"),
                    Some(ErrorKind::UpstreamTruncated | ErrorKind::UpstreamInvalid) => {
                        assert!(!broken.out.contains("[DONE]"), "{name} at {at}");
                    }
                    Some(other) => panic!("{other:?}: {name} at {at}"),
                }
            }
        }
    }
}

/// Passes on `events` after one that says "a"; `expected` is the failure.
#[track_caller]
fn check_failure(quirks: Quirks, events: &str, expected: ErrorKind) {
    let first =
        r#"data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
    let stream = format!("{first}\n\n{events}\n\ndata: [DONE]\n\n");
    for call in [original(STREAM), composed_request(STREAM)] {
        let outcome = run(quirks, &call, &[stream.as_bytes()]);
        assert_eq!(outcome.error, Some(expected), "{events}");
        assert!(outcome.out.contains(r#""content":"a""#), "what came before is told");
        assert!(outcome.out.contains("data: {\"error\":{\"message\""), "{}", outcome.out);
        assert!(!outcome.out.contains("[DONE]"), "nothing follows an error: {}", outcome.out);
        assert!(!outcome.out.contains(r#""finish_reason":"stop""#), "{}", outcome.out);
    }
}

#[test]
fn error_inside_stream_is_reported() {
    for quirks in [Quirks::OPENAI, Quirks::COMPATIBLE] {
        check_failure(
            quirks,
            r#"data: {"error":{"message":"x","code":429}}"#,
            ErrorKind::RateLimited,
        );
        check_failure(
            quirks,
            r#"data: {"id":"x","error":{"code":502,"message":"x"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#,
            ErrorKind::Upstream,
        );
        check_failure(quirks, "event: error\ndata: {\"message\":\"x\"}", ErrorKind::Upstream);
        check_failure(quirks, "data: {\"choices\":", ErrorKind::UpstreamInvalid);
        check_failure(quirks, "data: {\"choices\":[]}", ErrorKind::UpstreamTruncated);
        // What looks like an object from outside is no chunk yet.
        check_failure(quirks, "data: {\"choices\":[}", ErrorKind::UpstreamInvalid);
        check_failure(quirks, "data: {\"id\":\"x\" \"choices\":[]}", ErrorKind::UpstreamInvalid);
        check_failure(
            quirks,
            r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"insufficient_system_resource"}]}"#,
            ErrorKind::UpstreamOverloaded,
        );
    }
}

#[test]
fn missing_choices_are_accepted_only_after_done() {
    let two = r#""stream":true,"n":2"#;
    let one = r#"data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    let silent = format!("{one}\n\n");
    let said = format!("{one}\n\ndata: [DONE]\n\n");
    for call in [original(two), composed_request(two)] {
        let outcome = run(Quirks::OPENAI, &call, &[silent.as_bytes()]);
        assert_eq!(outcome.error, Some(ErrorKind::UpstreamTruncated));
        assert_eq!(run(Quirks::OPENAI, &call, &[said.as_bytes()]).error, None);
    }
}

#[test]
fn content_after_finish_is_emitted_before_it() {
    let stream = r#"data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}

data: {"id":"x","choices":[{"index":0,"delta":{"content":"b"},"finish_reason":null}]}

data: [DONE]

"#;
    for call in [original(STREAM), composed_request(STREAM)] {
        let outcome = run(Quirks::COMPATIBLE, &call, &[stream.as_bytes()]);
        check_chunks(&outcome, false, "late content");
        let answer =
            run(Quirks::OPENAI, &composed_request(STREAM), &[outcome.out.as_bytes()]).answer();
        assert_eq!(answer.text(), "ab");
    }
}

#[test]
fn last_event_may_lack_blank_line() {
    for fixture in &fixtures::ALL {
        for call in [original(COUNTED), composed_request(COUNTED)] {
            let whole = run(fixture.quirks, &call, &[fixture.stream.as_bytes()]);
            let stream = fixture.stream.replace("data: [DONE]\n\n", "");
            let short = run(fixture.quirks, &call, &[stream.trim_end().as_bytes()]);
            assert_eq!(short.answer(), whole.answer(), "{}", fixture.quirks.name);
            assert_eq!(short.chunks(), whole.chunks(), "{}", fixture.quirks.name);
        }
    }
}

#[test]
fn carriage_returns_and_comments_are_removed() {
    let stream = fixtures::OPENAI.stream.replace('\n', "\r\n");
    let stream = format!(": hello\r\n\r\n{stream}");
    let outcome = run(Quirks::OPENAI, &original(COUNTED), &[stream.as_bytes()]);
    assert_eq!(outcome.out, fixtures::OPENAI.stream);
}

#[test]
fn full_inspection_reads_every_event() {
    let mut call = original(COUNTED);
    call.inspection = Inspection::Full;
    for fixture in &fixtures::ALL {
        let outcome = run(fixture.quirks, &call, &[fixture.stream.as_bytes()]);
        assert_eq!(
            outcome.answer(),
            whole(fixture, &composed_request("")),
            "{}",
            fixture.quirks.name
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(
        pieces in prop::collection::vec(
            prop_oneof![
                Just(b"data: ".to_vec()), Just(b"\n\n".to_vec()), Just(b"[DONE]".to_vec()),
                Just(br#"{"choices":[{"index":0,"delta":{"#.to_vec()),
                Just(br#"{"choices":[{"delta":{"tool_calls":[{"index":1}]},"finish_reason":"stop"}]}"#.to_vec()),
                Just(br#""content":"a"}}]}"#.to_vec()), Just(br#"{"usage":{"prompt_tokens":-1}}"#.to_vec()),
                prop::collection::vec(any::<u8>(), 0..8),
            ],
            0..16,
        ),
        verbatim in any::<bool>(),
    ) {
        let bytes = pieces.concat();
        let quirks = if verbatim { Quirks::OPENAI } else { Quirks::LLAMACPP };
        for call in [original(COUNTED), composed_request(COUNTED)] {
            let outcome = run(quirks, &call, &[&bytes]);
            let ended = outcome.out.ends_with("data: [DONE]\n\n");
            prop_assert_eq!(ended, outcome.error.is_none());
        }
    }
}
