//! Tool loops of several turns in every inbound dialect: whatever a model emits, in whatever order,
//! the stream follows its dialect's grammar and equals the whole response.

use crate::{
    IdGenerator, InboundDialect, MAX_ANSWER_BYTES, OutboundDialect, ResponseContext, StreamFraming,
    chat::{ChatInbound, ChatOutbound, Quirks},
    framing::EventSplitter,
    messages::{MessagesInbound, MessagesOutbound},
    responses::{self, ResponsesInbound, ResponsesOutbound},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt as _, TryStreamExt as _, stream};
use gateway_core::{
    ChatRequest, ChatResponse, Chunk, Collector, FinishReason, Json, Payload, Provider,
    ProviderRequest, ProviderResponse, ResponseMeta, Result, StreamEvent, Tool, ToolCallDelta,
    ToolContext, ToolError, ToolLoop, ToolSpec, Usage,
};
use proptest::prelude::*;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// An action of the scripted model in its turn.
#[derive(Clone, Debug)]
enum Step {
    /// Emits text.
    Say(&'static str),
    /// Emits reasoning text.
    Think(&'static str),
    /// Begins its call of this number, or goes on with it.
    Call(usize),
}

/// A turn: its steps, and which of its calls are of the gateway's tool.
type Turn = (Vec<Step>, [bool; 3]);

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop_oneof![Just("a"), Just(" b\n"), Just("é")].prop_map(Step::Say),
        Just(Step::Think("hm")),
        (0..3_usize).prop_map(Step::Call),
        (0..3_usize).prop_map(Step::Call),
    ]
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let ours = prop_oneof![
        3 => Just([true, true, true]),
        1 => any::<[bool; 3]>(),
    ];
    prop::collection::vec((prop::collection::vec(step(), 0..8), ours), 1..5)
}

/// A model that takes these turns, and then says `end`.
struct Model {
    turns: Vec<Turn>,
    asked: AtomicUsize,
}

#[async_trait]
impl Provider for Model {
    fn id(&self) -> &'static str {
        "model"
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let at = self.asked.fetch_add(1, Ordering::Relaxed);
        let last = (vec![Step::Say("end")], [true; 3]);
        let events = events(at, self.turns.get(at).unwrap_or(&last));
        let chunks: Vec<_> = if call.stream {
            events.into_iter().map(|event| Ok(Chunk::from_events(vec![event]))).collect()
        } else {
            vec![Ok(Chunk::from_events(events))]
        };
        Ok(ProviderResponse {
            meta: ResponseMeta::default(),
            chunks: Box::pin(stream::iter(chunks)),
        })
    }
}

fn events(at: usize, (steps, ours): &Turn) -> Vec<StreamEvent> {
    let mut events = vec![StreamEvent::Started(gateway_core::Started {
        id: Some(format!("turn{at}")),
        model: Some("model".to_owned()),
        created: Some(1),
    })];
    let mut calls: Vec<usize> = Vec::new();
    for step in steps {
        events.push(match step {
            Step::Say(text) => StreamEvent::Text((*text).to_owned()),
            Step::Think(text) => StreamEvent::Reasoning((*text).to_owned()),
            Step::Call(call) => {
                let known = calls.iter().position(|it| it == call);
                let index = known.unwrap_or(calls.len());
                if known.is_none() {
                    calls.push(*call);
                }
                let first = known.is_none();
                let name = if ours[*call] { "ours" } else { "theirs" };
                StreamEvent::ToolCall(ToolCallDelta {
                    index: u32::try_from(index).unwrap(),
                    id: if first { format!("c{at}-{call}") } else { String::new() },
                    name: if first { name.to_owned() } else { String::new() },
                    arguments: if first { "{\"a\":1".to_owned() } else { "1".to_owned() },
                    ..ToolCallDelta::default()
                })
            }
        });
    }
    for index in 0..calls.len() {
        events.push(StreamEvent::ToolCall(ToolCallDelta {
            index: u32::try_from(index).unwrap(),
            arguments: "}".to_owned(),
            ..ToolCallDelta::default()
        }));
    }
    let finish = if calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
    events.push(StreamEvent::Usage(Usage { input: 5, output: 2, ..Usage::default() }));
    events.push(StreamEvent::Finished(finish.into()));
    events
}

/// A tool that the gateway runs.
struct GatewayTool(ToolSpec);

#[async_trait]
impl Tool for GatewayTool {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, _: &str, _: &ToolContext) -> Result<Json, ToolError> {
        Ok(Json::of(&"done"))
    }
}

/// The chunks of a conversation in which a model takes `turns`.
fn talk(turns: &[Turn], stream: bool) -> Vec<Chunk> {
    let model = Model { turns: turns.to_vec(), asked: AtomicUsize::default() };
    let schema = Json::parse(r#"{"type":"object"}"#).unwrap();
    let tool = GatewayTool(ToolSpec::function("ours", "A gateway tool.", schema));
    let conversation = ToolLoop::new(Arc::new(model)).with_tool(Arc::new(tool));
    let mut request = ChatRequest::user("m", "hi");
    request.stream = stream;
    let answer =
        conversation.generate(ProviderRequest::new(request)).now_or_never().unwrap().unwrap();
    answer.chunks.try_collect().now_or_never().unwrap().unwrap()
}

fn fold(chunks: impl IntoIterator<Item = Chunk>) -> ChatResponse {
    let mut answer = Collector::default();
    for chunk in chunks {
        answer.extend(chunk.events);
    }
    answer.finish()
}

fn reply() -> ResponseContext {
    let mut request = ChatRequest::user("m", "hi");
    request.stream_usage = true;
    let payload = Payload::Parsed(Arc::new(request));
    ResponseContext { payload, model: "m".to_owned(), created: 1, ids: IdGenerator::new(7) }
}

/// The stream that a caller reads.
fn encoded_turns(caller: &dyn InboundDialect, turns: &[Turn]) -> Vec<u8> {
    let (mut writer, mut out) = (caller.writer(reply()), Vec::new());
    for chunk in talk(turns, true) {
        writer.write(chunk, &mut out);
    }
    writer.end(&mut out);
    out
}

/// The response as a client of the dialect reads it from `stream`.
fn read(upstream: &dyn OutboundDialect, stream: Vec<u8>) -> ChatResponse {
    let mut call = ProviderRequest::new(ChatRequest::user("m", "hi"));
    call.stream = true;
    let mut reader = upstream.reader(&call, IdGenerator::new(3));
    let mut splitter = EventSplitter::new(StreamFraming::Sse, MAX_ANSWER_BYTES);
    let mut blocks: Vec<_> = splitter.push(Bytes::from(stream)).unwrap().into_iter().collect();
    blocks.extend(splitter.finish());
    let mut chunks = Vec::new();
    for block in blocks {
        let mut chunk = Chunk::default();
        reader.read(block, &mut chunk).unwrap();
        chunks.push(chunk);
    }
    let mut last = Chunk::default();
    reader.end(&mut last).unwrap();
    assert!(reader.is_complete() && reader.is_finished());
    chunks.push(last);
    fold(chunks)
}

/// The content of a response that matters to a client, however it is divided.
#[derive(Debug, PartialEq)]
struct ResponseContent {
    text: String,
    /// The id, the name and the arguments of each call.
    calls: Vec<[String; 3]>,
    finish: String,
    usage: Option<Usage>,
}

fn meaning(answer: &ChatResponse) -> ResponseContent {
    let calls = answer.tool_calls();
    let calls = calls.map(|it| [it.id.clone(), it.name.clone(), it.arguments.clone()]);
    let finish = answer.choices.first().map(|choice| format!("{:?}", choice.finish));
    ResponseContent {
        text: answer.text(),
        calls: calls.collect(),
        finish: finish.unwrap_or_default(),
        usage: answer.usage,
    }
}

/// The stream keeps to the grammar, and means what the whole response means.
fn check(
    caller: &dyn InboundDialect,
    upstream: &dyn OutboundDialect,
    grammar: fn(&[u8]),
    turns: &[Turn],
) {
    let stream = encoded_turns(caller, turns);
    grammar(&stream);
    let whole = caller.write_whole(fold(talk(turns, false)), reply());
    let call = ProviderRequest::new(ChatRequest::user("m", "hi"));
    let whole = upstream.read_whole(&call, whole.into(), IdGenerator::new(3)).unwrap();
    assert_eq!(meaning(&read(upstream, stream)), meaning(&fold([whole])));
}

/// The events of a stream: their names and their data.
fn events_of(stream: &[u8]) -> Vec<(String, Value)> {
    let events = crate::sse::events(stream);
    events
        .map(|it| (it.name.to_string(), serde_json::from_str(&it.data).unwrap_or_default()))
        .collect()
}

/// Chunks of one response: calls are counted from 0 and named once, and one of them finishes.
fn chunks(stream: &[u8]) {
    assert!(stream.ends_with(b"data: [DONE]\n\n"));
    let (mut finishes, mut calls, mut ids) = (0, Vec::new(), Vec::new());
    let events = events_of(stream);
    for (_, chunk) in events.iter().filter(|(_, chunk)| !chunk.is_null()) {
        ids.push(chunk["id"].as_str().unwrap());
        let Some(choice) = chunk["choices"].get(0) else { continue };
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if let Some(id) = call["id"].as_str() {
                assert_eq!(index, calls.len(), "calls are counted through");
                calls.push(id.to_owned());
            }
            assert!(index < calls.len(), "more of a call that did not begin");
        }
        finishes += usize::from(!choice["finish_reason"].is_null());
    }
    assert_eq!(finishes, 1);
    ids.dedup();
    assert_eq!(ids.len(), 1, "one id");
}

/// Blocks that open and close one after the other, between one beginning and one end.
fn blocks(stream: &[u8]) {
    let events = events_of(stream);
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names.first(), names.last()), (Some(&"message_start"), Some(&"message_stop")));
    for once in ["message_start", "message_delta", "message_stop"] {
        assert_eq!(names.iter().filter(|name| **name == once).count(), 1, "{once}");
    }
    let (mut open, mut next) = (None, 0);
    let mut kinds = BTreeMap::new();
    for (name, event) in &events {
        assert_eq!(event["type"], name.as_str());
        let index = event["index"].as_u64();
        match name.as_str() {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(next)));
                kinds.insert(next, event["content_block"]["type"].as_str().unwrap().to_owned());
                (open, next) = (Some(next), next + 1);
            }
            "content_block_delta" => {
                assert_eq!(open, index);
                let kind = event["delta"]["type"].as_str().unwrap();
                let expected = match kinds[&index.unwrap()].as_str() {
                    "text" => "text_delta",
                    "tool_use" => "input_json_delta",
                    "thinking" => kind,
                    other => panic!("{other}"),
                };
                assert_eq!(kind, expected);
            }
            "content_block_stop" => {
                assert_eq!(open.take(), index);
            }
            _ => assert_eq!(open, None, "{name}"),
        }
    }
}

proptest! {
    #[test]
    fn chat_tool_loop_streams_a_single_response(turns in turns()) {
        check(&ChatInbound, &ChatOutbound { quirks: Quirks::OPENAI }, chunks, &turns);
    }

    #[test]
    fn messages_tool_loop_streams_a_single_response(turns in turns()) {
        check(&MessagesInbound, &MessagesOutbound, blocks, &turns);
    }

    #[test]
    fn responses_tool_loop_streams_a_single_response(turns in turns()) {
        let grammar = |stream: &[u8]| drop(responses::tests::stream_grammar::check(stream));
        check(&ResponsesInbound, &ResponsesOutbound, grammar, &turns);
    }

    /// The gateway's calls are never seen unless the caller has one to answer beside them, and
    /// then none is run.
    #[test]
    fn gateway_calls_run_and_client_calls_are_returned(turns in turns()) {
        let chunks = talk(&turns, true);
        let ran: Vec<_> = chunks.iter().flat_map(|it| &it.started_tool_calls).map(|it| it.id.clone()).collect();
        let answer = fold(chunks);
        let seen: Vec<_> = answer.tool_calls().map(|it| it.id.clone()).collect();
        prop_assert!(ran.iter().all(|id| !seen.contains(id)));
        let theirs = answer.tool_calls().filter(|it| it.name == "theirs").count();
        prop_assert!(seen.is_empty() || theirs > 0);
        let mut once = ran.clone();
        once.sort();
        once.dedup();
        prop_assert_eq!(once.len(), ran.len());
    }
}
