//! Streamed answers, from every upstream's dialect to every caller's.

use bytes::Bytes;
use gateway_core::{
    ChatRequest, Chunk, ErrorKind, Inspection, Payload, ProviderRequest, StreamEvent,
};
use gateway_wire::{
    IdGenerator, InboundDialect, OutboundDialect, ResponseContext,
    chat::{ChatInbound, ChatOutbound, Quirks},
    completions::CompletionsInbound,
    framing::EventSplitter,
    gemini::GeminiOutbound,
    json::JsonLimits,
    messages::{MessagesInbound, MessagesOutbound},
    ollama::OllamaOutbound,
    responses::{ResponsesInbound, ResponsesOutbound},
};
use std::sync::Arc;

/// Maximum size of an event.
const LIMIT: usize = 1 << 16;

pub(crate) fn chat(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    let quirks = Quirks::ALL.get(usize::from(*which) % Quirks::ALL.len());
    let upstream = ChatOutbound { quirks: *quirks.expect("one of them") };
    stream(&upstream, &call(), data);
    // The caller's own dialect: bytes are passed on.
    let body = br#"{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    let envelope = gateway_wire::envelope::read(body, &JsonLimits::default()).expect("sound");
    let opened = ChatInbound.prepare(Bytes::from_static(body), envelope).expect("sound");
    for inspection in [Inspection::UsageOnly, Inspection::Full] {
        let mut call = call();
        (call.payload, call.inspection) = (opened.original.clone(), inspection);
        stream(&upstream, &call, data);
    }
}

pub(crate) fn responses(data: &[u8]) {
    stream(&ResponsesOutbound, &call(), data);
}

pub(crate) fn messages(data: &[u8]) {
    stream(&MessagesOutbound, &call(), data);
}

pub(crate) fn gemini(data: &[u8]) {
    stream(&GeminiOutbound, &call(), data);
}

pub(crate) fn ollama(data: &[u8]) {
    stream(&OllamaOutbound::default(), &call(), data);
}

fn call() -> ProviderRequest {
    let mut request = ChatRequest::user("m", "x");
    (request.stream, request.stream_usage) = (true, true);
    ProviderRequest::new(request)
}

/// The end is reported once, and only where there was one; the bytes may be split anywhere.
fn stream(upstream: &dyn OutboundDialect, call: &ProviderRequest, data: &[u8]) {
    let (chunks, error) = read(upstream, call, data, data.len());
    let (again, error_again) = read(upstream, call, data, 5);
    assert_eq!(error, error_again);
    let events = |chunks: &[Chunk]| -> Vec<StreamEvent> {
        chunks.iter().flat_map(|chunk| chunk.events.clone()).collect()
    };
    let passed = |chunks: &[Chunk]| -> Vec<u8> {
        chunks.iter().filter_map(|chunk| chunk.verbatim.as_deref()).collect::<Vec<_>>().concat()
    };
    assert_eq!(events(&chunks), events(&again));
    assert_eq!(passed(&chunks), passed(&again));
    let events = events(&chunks);
    let ends = events.iter().filter(|event| matches!(event, StreamEvent::Finished(_))).count();
    if let Some(choices) = choices(upstream, call, data) {
        assert!(ends <= choices, "each choice ends once: {events:?}");
    }
    assert!(error.is_some() || ends > 0, "it is complete, and nothing ended: {events:?}");
    let callers: [&dyn InboundDialect; 4] =
        [&ChatInbound, &ResponsesInbound, &MessagesInbound, &CompletionsInbound];
    for caller in callers {
        // Bytes that are passed on are for callers of their own dialect.
        if chunks.iter().all(|chunk| chunk.verbatim.is_none()) {
            tell(caller, &chunks, error);
        }
    }
}

/// Returns the number of choices in `data` according to full inspection, if it finds no error: a
/// digest does not report where one begins.
fn choices(upstream: &dyn OutboundDialect, call: &ProviderRequest, data: &[u8]) -> Option<usize> {
    let call = ProviderRequest { inspection: Inspection::Full, ..call.clone() };
    let (chunks, error) = read(upstream, &call, data, data.len());
    let events = chunks.iter().flat_map(|chunk| &chunk.events);
    let turns = events.filter(|event| matches!(event, StreamEvent::Choice(_))).count();
    error.is_none().then_some(turns + 1)
}

/// Reads `data`, which comes in pieces of `size`.
fn read(
    upstream: &dyn OutboundDialect,
    call: &ProviderRequest,
    data: &[u8],
    size: usize,
) -> (Vec<Chunk>, Option<ErrorKind>) {
    let mut reader = upstream.reader(call, IdGenerator::new(3));
    let mut splitter = EventSplitter::new(upstream.framing(), LIMIT);
    let mut chunks = Vec::new();
    let mut take = |block: Option<Bytes>, chunks: &mut Vec<Chunk>| {
        let block = block?;
        let mut chunk = Chunk::default();
        let failed = reader.read(block, &mut chunk).err();
        chunks.push(chunk);
        failed.map(|error| error.kind())
    };
    for piece in data.chunks(size.max(1)) {
        match splitter.push(Bytes::copy_from_slice(piece)) {
            Ok(block) => {
                if let Some(error) = take(block, &mut chunks) {
                    return (chunks, Some(error));
                }
            }
            Err(error) => return (chunks, Some(error.kind())),
        }
    }
    if let Some(error) = take(splitter.finish(), &mut chunks) {
        return (chunks, Some(error));
    }
    let mut last = Chunk::default();
    let ended = reader.end(&mut last);
    chunks.push(last);
    (chunks, ended.err().map(|error| error.kind()))
}

/// The output is text, and a failed response does not look complete.
fn tell(caller: &dyn InboundDialect, chunks: &[Chunk], error: Option<ErrorKind>) {
    let payload = Payload::Parsed(Arc::new(ChatRequest::user("m", "x")));
    let reply =
        ResponseContext { payload, model: "m".to_owned(), created: 7, ids: IdGenerator::new(9) };
    let mut writer = caller.writer(reply);
    let mut out = Vec::new();
    for chunk in chunks {
        writer.write(chunk.clone(), &mut out);
    }
    match error {
        None => writer.end(&mut out),
        Some(kind) => writer.fail(&gateway_core::GatewayError::new(kind, "it broke"), &mut out),
    }
    let out = String::from_utf8(out).expect("text");
    let done = out.matches("data: [DONE]\n\n").count()
        + out.matches("event: message_stop\n").count()
        + out.matches("event: response.completed\n").count()
        + out.matches("event: response.incomplete\n").count();
    assert_eq!(done, usize::from(error.is_none()), "{out}");
}
