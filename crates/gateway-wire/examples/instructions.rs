//! Instruction counts of the request and chunk path, for callgrind.
//!
//! ```text
//! cargo build --release -p gateway-wire --example instructions
//! valgrind --tool=callgrind --toggle-collect='*::measured' \
//!     target/release/examples/instructions envelope 200
//! ```
//!
//! The arguments name an operation and the size of its input: the number of bytes of a body, or
//! `messages` for 90 kB of 200 messages. The operation runs once to warm up, unmeasured, then
//! [`ROUNDS`] times; divide callgrind's count by that.

use bytes::Bytes;
use gateway_core::{
    Chunk, Context, Inspection, Payload, ProviderRequest, RawRequest, Target, estimate,
};
use gateway_wire::{
    IdGenerator, InboundDialect as _, OutboundDialect as _, ResponseContext, StreamFraming,
    chat::{ChatInbound, ChatOutbound, Quirks},
    envelope,
    framing::EventSplitter,
    json::{self, JsonLimits},
    messages::MessagesOutbound,
};
use std::{hint::black_box, sync::Arc};

/// An upstream whose responses pass through unchanged.
const UPSTREAM: ChatOutbound = ChatOutbound { quirks: Quirks::OPENAI };

/// The number of measured executions.
const ROUNDS: usize = 10;

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let operation = arguments.next().unwrap_or_else(|| "envelope".to_owned());
    let size = arguments.next().unwrap_or_else(|| "200".to_owned());
    let body = if size == "messages" { messages() } else { prompt(size.parse().unwrap_or(200)) };
    let mut run: Box<dyn FnMut()> = match operation.as_str() {
        "envelope" => Box::new(move || {
            black_box(envelope::read(black_box(&body), &JsonLimits::default()).is_ok());
        }),
        "validate" => Box::new(move || {
            black_box(json::validate(black_box(&body), &JsonLimits::default()).is_ok());
        }),
        "encode" => {
            let call = call(body, false);
            Box::new(move || drop(black_box(UPSTREAM.encode(&call))))
        }
        "usage" => {
            let (call, answer) = (call(prompt(200), false), answer(size.parse().unwrap_or(200)));
            Box::new(move || {
                let read = UPSTREAM.read_whole(&call, answer.clone(), IdGenerator::new(1));
                drop(black_box(read));
            })
        }
        "chunks" => {
            let call = call(prompt(200), true);
            let chunks: Vec<Bytes> = (0..100).map(chunk).collect();
            Box::new(move || relay(&call, &chunks))
        }
        "translate" => {
            let call = call(prompt(200), true);
            let chunks: Vec<Bytes> = (0..100).map(delta).collect();
            Box::new(move || translate(&call, &chunks))
        }
        "estimate" => Box::new(move || {
            black_box(estimate::tokens_of_json(black_box(&body)));
        }),
        _ => {
            return Err(
                "operations: envelope, validate, estimate, encode, usage, chunks, translate"
                    .to_owned(),
            );
        }
    };
    run();
    measured(&mut *run);
    Ok(())
}

/// The part that callgrind collects.
#[inline(never)]
fn measured(run: &mut dyn FnMut()) {
    for _ in 0..ROUNDS {
        run();
    }
}

/// Passes a stream of 100 chunks through splitter, reader and writer.
fn relay(call: &ProviderRequest, chunks: &[Bytes]) {
    let mut splitter = EventSplitter::new(StreamFraming::Sse, 1 << 20);
    let mut reader = UPSTREAM.reader(call, IdGenerator::new(1));
    let mut writer = ChatInbound.writer(ResponseContext {
        payload: call.payload.clone(),
        model: "gpt-5".to_owned(),
        created: 1,
        ids: IdGenerator::new(2),
    });
    for chunk in chunks {
        if let Ok(Some(block)) = splitter.push(chunk.clone()) {
            let mut chunk = Chunk::default();
            drop(black_box(reader.read(block, &mut chunk)));
            black_box(writer.pass(&mut chunk));
        }
    }
}

/// Translates 100 events of Anthropic into chunks of Chat Completions.
fn translate(call: &ProviderRequest, chunks: &[Bytes]) {
    let mut splitter = EventSplitter::new(StreamFraming::Sse, 1 << 20);
    let mut reader = MessagesOutbound.reader(call, IdGenerator::new(1));
    let mut writer = ChatInbound.writer(ResponseContext {
        payload: call.payload.clone(),
        model: "claude-sonnet-4-5".to_owned(),
        created: 1,
        ids: IdGenerator::new(2),
    });
    for chunk in chunks {
        if let Ok(Some(block)) = splitter.push(chunk.clone()) {
            let (mut frame, mut out) = (Chunk::default(), Vec::new());
            drop(black_box(reader.read(block, &mut frame)));
            writer.write(frame, &mut out);
            black_box(out);
        }
    }
}

/// A provider request with the caller's own bytes.
fn call(body: Bytes, stream: bool) -> ProviderRequest {
    let body = if stream {
        Bytes::from([b"{\"stream\":true,", body.get(1..).unwrap_or_default()].concat())
    } else {
        body
    };
    let envelope = envelope::read(&body, &JsonLimits::default()).unwrap_or_default();
    let dialect = ChatInbound.dialect();
    let raw = RawRequest::new(dialect, body, envelope, ChatInbound.decode());
    ProviderRequest {
        target: Target { model: "gpt-5-mini".into(), card: None },
        payload: Payload::Raw(Arc::new(raw)),
        stream,
        inspection: Inspection::UsageOnly,
        strict: false,
        context: Context::default(),
    }
}

/// A request with one message, `size` bytes long.
fn prompt(size: usize) -> Bytes {
    let head = r#"{"model":"gpt-5","temperature":0.7,"max_tokens":256,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":""#;
    let tail = r#""}]}"#;
    Bytes::from([head, &words(size.saturating_sub(head.len() + tail.len())), tail].concat())
}

/// A conversation of 200 messages, 90 kB long.
fn messages() -> Bytes {
    let message = |at: usize| {
        let role = if at.is_multiple_of(2) { "user" } else { "assistant" };
        format!(r#"{{"role":"{role}","content":"{}"}}"#, words(415))
    };
    let messages: Vec<String> = (0..200).map(message).collect();
    Bytes::from(format!(r#"{{"model":"gpt-5","messages":[{}]}}"#, messages.join(",")))
}

/// A whole response with `size` bytes of text.
fn answer(size: usize) -> Bytes {
    Bytes::from(format!(
        r#"{{"id":"chatcmpl-9fT2vKq","object":"chat.completion","created":1760000000,"model":"gpt-5-2025-08-07","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}},"service_tier":"default","system_fingerprint":null}}"#,
        words(size)
    ))
}

/// A chunk of a streamed response.
fn chunk(at: usize) -> Bytes {
    let role = if at == 0 { r#""role":"assistant","# } else { "" };
    Bytes::from(format!(
        "data: {{\"id\":\"chatcmpl-9fT2vKq\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"gpt-5-2025-08-07\",\"service_tier\":\"default\",\"system_fingerprint\":null,\"choices\":[{{\"index\":0,\"delta\":{{{role}\"content\":\" token\"}},\"logprobs\":null,\"finish_reason\":null}}],\"usage\":null,\"obfuscation\":\"x8Gk\"}}\n\n"
    ))
}

/// An event of a streamed Anthropic response.
fn delta(at: usize) -> Bytes {
    Bytes::from_static(match at {
        0 => b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n",
        1 => b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        _ => b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" token\"}}\n\n",
    })
}

/// English text of `size` bytes, with an escape every 100.
fn words(size: usize) -> String {
    let line = "The quick brown fox jumps over the lazy dog, and then it goes to sleep in the shade of a tree.\\n";
    let mut text = line.repeat(size / line.len());
    text.push_str(&"x".repeat(size - text.len()));
    text
}
