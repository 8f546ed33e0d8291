//! A response is written in one dialect and read again.

use crate::{fold, read, told};
use bytes::Bytes;
use gateway_core::{
    ChatRequest, Chunk, FinishReason, Inspection, Payload, ProviderRequest, Started, StreamEvent,
    ToolCallDelta, Usage,
};
use gateway_wire::{
    IdGenerator, InboundDialect, OutboundDialect, ResponseContext,
    chat::{ChatInbound, ChatOutbound, Quirks},
    messages::{MessagesInbound, MessagesOutbound},
    responses::{ResponsesInbound, ResponsesOutbound},
};
use proptest::prelude::*;
use std::sync::Arc;

fn both() -> Vec<(Box<dyn OutboundDialect>, Box<dyn InboundDialect>)> {
    vec![
        (Box::new(ChatOutbound { quirks: Quirks::OPENAI }), Box::new(ChatInbound)),
        (Box::new(ResponsesOutbound), Box::new(ResponsesInbound)),
        (Box::new(MessagesOutbound), Box::new(MessagesInbound)),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{1,12}",
        any::<String>().prop_filter("something", |text| !text.is_empty()),
        Just("data: [DONE]\n\n\r\nevent: x\r".to_owned()),
        Just("\u{2028}é☃😀\u{0}\"\\".to_owned()),
    ]
}

/// A response in steps, as some upstream may take them.
fn events() -> impl Strategy<Value = Vec<StreamEvent>> {
    let texts = |most| prop::collection::vec(text(), 0..most);
    let calls = prop::collection::vec(texts(3), 0..3);
    (texts(3), texts(4), calls, any::<bool>(), (0..90_u64, 1..90_u64)).prop_map(
        |(thoughts, said, calls, cut, (cached, tokens))| {
            let started = Started {
                id: Some("x-1".to_owned()),
                model: Some("m".to_owned()),
                created: Some(1_700_000_000),
            };
            let mut events = vec![StreamEvent::Started(started)];
            events.extend(thoughts.into_iter().map(StreamEvent::Reasoning));
            events.extend(said.into_iter().map(StreamEvent::Text));
            let called = !calls.is_empty();
            for (index, words) in (0..).zip(calls) {
                let begun = ToolCallDelta {
                    index,
                    id: format!("call_{index}"),
                    name: format!("tool_{index}"),
                    ..ToolCallDelta::default()
                };
                events.push(StreamEvent::ToolCall(begun));
                // A call's arguments are an object, which one dialect cannot but write as one.
                let object = serde_json::json!({ "words": words }).to_string();
                let middle = (0..=object.len() / 2).rev().find(|at| object.is_char_boundary(*at));
                let (first, rest) = object.split_at(middle.unwrap_or_default());
                for piece in [first, rest] {
                    let arguments = piece.to_owned();
                    events.push(StreamEvent::ToolCall(ToolCallDelta {
                        index,
                        arguments,
                        ..ToolCallDelta::default()
                    }));
                }
            }
            let reason = match (cut, called) {
                (true, false) => FinishReason::Length,
                (_, true) => FinishReason::ToolCalls,
                (false, false) => FinishReason::Stop,
            };
            let usage =
                Usage { input: tokens, cache_read: cached, output: tokens, ..Usage::default() };
            events.extend([StreamEvent::Usage(usage), StreamEvent::Finished(reason.into())]);
            events
        },
    )
}

fn request_and_context(stream: bool) -> (ProviderRequest, ResponseContext) {
    let mut request = ChatRequest::user("m", "hello");
    (request.stream, request.stream_usage) = (stream, stream);
    let mut call = ProviderRequest::new(request.clone());
    call.inspection = Inspection::Full;
    let payload = Payload::Parsed(Arc::new(request));
    let reply = ResponseContext {
        payload,
        model: "m".to_owned(),
        created: 1_700_000_000,
        ids: IdGenerator::new(7),
    };
    (call, reply)
}

fn streamed_bytes(caller: &dyn InboundDialect, events: Vec<StreamEvent>) -> Vec<u8> {
    let mut writer = caller.writer(request_and_context(true).1);
    let mut out = Vec::new();
    for event in events {
        writer.write(Chunk::from_events(vec![event]), &mut out);
    }
    writer.end(&mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// For every pair of dialects: the stream of A, translated to B and read again, equals the
    /// complete response, wherever the bytes are split.
    #[test]
    fn streamed_response_equals_whole_response_for_every_dialect_pair(
        events in events(),
        cuts in prop::collection::vec(0..20_000_usize, 0..40),
        from in 0..3_usize,
        to in 0..3_usize,
    ) {
        let dialects = both();
        let ((up_a, down_a), (up_b, down_b)) = (&dialects[from], &dialects[to]);
        let expected = told(&fold(events.clone()));
        let bytes = streamed_bytes(&**down_a, events);
        let (call, _) = request_and_context(true);
        let heard = read(&**up_a, &call, &bytes, &cuts).expect("it is complete");
        prop_assert_eq!(&heard, &read(&**up_a, &call, &bytes, &[]).expect("it is complete"));
        prop_assert_eq!(&told(&fold(heard.clone())), &expected);
        let again = read(&**up_b, &call, &streamed_bytes(&**down_b, heard.clone()), &cuts).expect("so is this");
        prop_assert_eq!(&told(&fold(again)), &expected);
        let (call, reply) = request_and_context(false);
        let body = Bytes::from(down_b.write_whole(fold(heard), reply));
        let whole = up_b.read_whole(&call, body, IdGenerator::new(5)).expect("an answer");
        prop_assert_eq!(&told(&fold(whole.events)), &expected);
    }

    /// A stream that stops before its end is never taken for a complete one.
    #[test]
    fn truncated_stream_is_never_complete(events in events(), at in 0..3_usize, part in 0.0..1.0_f64) {
        let (upstream, caller) = &both()[at];
        let bytes = streamed_bytes(&**caller, events);
        let text = String::from_utf8(bytes).expect("text");
        // Up to the terminal event; what follows it in this dialect is not needed.
        let end = ["\"finish_reason\":\"", "event: response.completed", "event: response.incomplete", "event: message_delta"]
            .iter()
            .filter_map(|mark| text.find(mark))
            .min()
            .expect("it ends");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a length")]
        let cut = (end as f64 * part) as usize;
        let (call, _) = request_and_context(true);
        prop_assert!(read(&**upstream, &call, &text.as_bytes()[..cut], &[]).is_err());
    }
}
