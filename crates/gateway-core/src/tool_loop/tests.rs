//! Tool loops as callers, models and sessions see them.
//!
//! Turns are written as words: `t` text, `r` reasoning, `g` a call of a gateway tool, `c` one of
//! the caller's, each with its number or text after it: `thi g0 c1`. `L` cuts the turn short.

mod answers;
mod bounds;
mod offers;
mod passing;
mod random;

use super::*;
use crate::{
    Choice, Chunk, ChunkStream, Collector, Content, FinishReason, Message, Part, RawRequest,
    ResponseMeta, Role, Started, StreamEvent, ToolCallDelta, ToolChoice, ToolErrorCode, ToolKind,
    Usage,
};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// Answers with its turns, the last one for ever, and remembers what it was asked.
struct Script {
    turns: Mutex<Vec<Vec<StreamEvent>>>,
    asked: Mutex<Vec<ProviderRequest>>,
}

impl Script {
    fn new(turns: &[&str]) -> Arc<Self> {
        let turns = turns.iter().map(|turn| events(turn)).collect();
        Arc::new(Self { turns: Mutex::new(turns), asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<ChatRequest> {
        self.asked.lock().unwrap().iter().map(|call| call.request().unwrap().clone()).collect()
    }
}

#[async_trait]
impl Provider for Script {
    fn id(&self) -> &'static str {
        "script"
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let whole = !call.stream;
        self.asked.lock().unwrap().push(call);
        let mut turns = self.turns.lock().unwrap();
        let events = if turns.len() > 1 { turns.remove(0) } else { turns[0].clone() };
        let verbatim = Some(bytes::Bytes::from_static(b"verbatim"));
        let chunk = |events| Ok(Chunk { verbatim: verbatim.clone(), ..Chunk::from_events(events) });
        let chunks: Vec<_> = if whole {
            vec![chunk(events)]
        } else {
            events.into_iter().map(|event| chunk(vec![event])).collect()
        };
        Ok(ProviderResponse {
            meta: ResponseMeta::default(),
            chunks: Box::pin(stream::iter(chunks)),
        })
    }
}

/// The events of a turn.
fn events(turn: &str) -> Vec<StreamEvent> {
    let mut events = vec![StreamEvent::Started(Started::default())];
    let mut calls: Vec<&str> = Vec::new();
    let mut reason = None;
    for word in turn.split_whitespace() {
        let (kind, rest) = word.split_at(1);
        match kind {
            "t" => events.push(StreamEvent::Text(rest.to_owned())),
            "r" => events.push(StreamEvent::Reasoning(rest.to_owned())),
            "L" => reason = Some(FinishReason::Length),
            _ => {
                let known = calls.iter().position(|it| *it == word);
                let index = known.unwrap_or(calls.len());
                let delta = ToolCallDelta {
                    index: u32::try_from(index).unwrap(),
                    arguments: "1".to_owned(),
                    ..ToolCallDelta::default()
                };
                events.push(StreamEvent::ToolCall(if known.is_some() {
                    delta
                } else {
                    calls.push(word);
                    let name = if kind == "g" { "ours" } else { "theirs" };
                    ToolCallDelta { id: word.to_owned(), name: name.to_owned(), ..delta }
                }));
            }
        }
    }
    let usual = if calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
    events.push(StreamEvent::Finished(reason.unwrap_or(usual).into()));
    events.push(StreamEvent::Usage(Usage { input: 1, ..Usage::default() }));
    events
}

/// Answers with its arguments, or fails for `13`; remembers how many ran at once.
struct Echo {
    spec: ToolSpec,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Echo {
    fn new(name: &str) -> Arc<Self> {
        let spec = ToolSpec::function(name, "", Json::null());
        Arc::new(Self { spec, running: AtomicUsize::default(), most: AtomicUsize::default() })
    }
}

#[async_trait]
impl Tool for Echo {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, arguments: &str, _: &ToolContext) -> Result<Json, ToolError> {
        let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(running, Ordering::Relaxed);
        turns_of_others().await;
        self.running.fetch_sub(1, Ordering::Relaxed);
        match arguments {
            "13" => Err(ToolError::new(ToolErrorCode::Timeout, "slow")),
            arguments => Ok(Json::parse(format!(" [ {arguments} ]")).unwrap()),
        }
    }
}

/// Is ready at the second asking.
async fn turns_of_others() {
    let mut asked = false;
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut asked, true) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    loop {
        if let Some(done) = future.as_mut().now_or_never() {
            return done;
        }
    }
}

fn request() -> ChatRequest {
    let tool = |name: &str| ToolSpec::function(name, "the caller's", Json::null());
    ChatRequest { tools: vec![tool("theirs")], ..ChatRequest::user("m", "hello") }
}

fn conversation(script: &Arc<Script>) -> ToolLoop {
    let provider: Arc<dyn Provider> = Arc::<Script>::clone(script);
    ToolLoop::new(provider).with_tool(Echo::new("ours"))
}

fn chunks(script: &Arc<Script>, request: ChatRequest) -> Vec<Chunk> {
    let answer =
        block_on(ProviderLayer::generate(&conversation(script), ProviderRequest::new(request)))
            .unwrap();
    block_on(answer.chunks.map(Result::unwrap).collect())
}

/// Returns a message in the words of this file; results are `=`.
fn spell(message: &Message) -> String {
    let word = |part: &Part| {
        if let Content::Text(text) = &part.content {
            format!("t{text}")
        } else if let Content::Reasoning(it) = &part.content {
            format!("r{}", it.text)
        } else if let Content::ToolCall(call) = &part.content {
            call.id.clone()
        } else if let Content::ToolResult(result) = &part.content {
            let error = if result.is_error { "!" } else { "" };
            format!("{}={}{error}", result.call_id, crate::plain_text(&result.parts))
        } else {
            panic!("unexpected {part:?}")
        }
    };
    message.parts.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Returns the caller's view of `turns`, and after `|` the session's.
fn heard(turns: &[&str], stream: bool) -> String {
    let chunks = chunks(&Script::new(turns), ChatRequest { stream, ..request() });
    assert!(stream || chunks.len() == 1, "one frame: {chunks:?}");
    let mut answer = Collector::default();
    let mut kept = Vec::new();
    for chunk in chunks {
        answer.extend(chunk.events);
        kept.extend(chunk.completed_messages.iter().map(spell));
    }
    let answer = answer.finish();
    let message = answer.choices.first().map(|choice| spell(&choice.message)).unwrap_or_default();
    let finish = answer.choices.first().and_then(|choice| choice.finish.as_ref());
    let reason = finish.map_or("nothing", |finish| finish.reason.as_str());
    let rounds = answer.usage.map_or(0, |usage| usage.input);
    format!("{message} ({reason}, {rounds}) | {}", kept.join(" / "))
}

#[track_caller]
fn check(turns: &[&str], expected: &str) {
    assert_eq!(heard(turns, true), expected, "streamed");
    assert_eq!(heard(turns, false), expected, "whole");
}

/// Tools that are one tool.
struct OneTool(Arc<Echo>);

#[async_trait]
impl Tools for OneTool {
    fn specs(&self) -> Vec<Arc<ToolSpec>> {
        vec![Arc::new(self.0.spec.clone())]
    }

    fn spec(&self, name: &str) -> Option<Arc<ToolSpec>> {
        self.specs().into_iter().find(|spec| spec.name() == name)
    }

    fn recognizes(&self, described: &ToolSpec) -> bool {
        self.spec(described.name()).is_some_and(|known| described.may_describe(&known))
    }

    async fn run(&self, call: &ToolCall, context: &ToolContext) -> Result<Json, ToolError> {
        self.0.call(&call.arguments, context).await
    }
}
