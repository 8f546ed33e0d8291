//! What callers, models and sessions see of a conversation.
//!
//! Turns are written as words: `t` text, `r` thinking, `g` a call of a tool of the gateway, `c` one
//! of the caller's, each with its number or text after it: `thi g0 c1`. `L` cuts the turn short.

use super::*;
use crate::{
    Choice, Collector, Content, FinishReason, Frame, FrameStream, Head, Message, Original, Part,
    Role, Started, StreamEvent, ToolCallDelta, ToolChoice, ToolErrorCode, ToolKind, Usage,
};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use proptest::prelude::*;
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// Answers with its turns, the last one for ever, and remembers what it was asked.
struct Script {
    turns: Mutex<Vec<Vec<StreamEvent>>>,
    asked: Mutex<Vec<Call>>,
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

    async fn answer(&self, call: Call) -> Result<Answer> {
        let whole = !call.stream;
        self.asked.lock().unwrap().push(call);
        let mut turns = self.turns.lock().unwrap();
        let events = if turns.len() > 1 { turns.remove(0) } else { turns[0].clone() };
        let verbatim = Some(bytes::Bytes::from_static(b"verbatim"));
        let frame = |events| Ok(Frame { verbatim: verbatim.clone(), ..Frame::of(events) });
        let frames: Vec<_> = if whole {
            vec![frame(events)]
        } else {
            events.into_iter().map(|event| frame(vec![event])).collect()
        };
        Ok(Answer { head: Head::default(), frames: Box::pin(stream::iter(frames)) })
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

fn conversation(script: &Arc<Script>) -> Conversation {
    let provider: Arc<dyn Provider> = Arc::<Script>::clone(script);
    Conversation::new(provider).with_tool(Echo::new("ours"))
}

fn frames(script: &Arc<Script>, request: ChatRequest) -> Vec<Frame> {
    let answer = block_on(Layer::answer(&conversation(script), Call::new(request))).unwrap();
    block_on(answer.frames.map(Result::unwrap).collect())
}

/// What a message says, in the words of this file; results are `=`.
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

/// What the caller sees of `turns`, and after `|` what a session keeps.
fn heard(turns: &[&str], stream: bool) -> String {
    let frames = frames(&Script::new(turns), ChatRequest { stream, ..request() });
    assert!(stream || frames.len() == 1, "one frame: {frames:?}");
    let mut answer = Collector::default();
    let mut kept = Vec::new();
    for frame in frames {
        answer.extend(frame.events);
        kept.extend(frame.exchanged.iter().map(spell));
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

#[test]
fn an_answer_without_calls_passes() {
    check(&["rhm thi"], "rhm thi (stop, 1) | rhm thi");
}

#[test]
fn our_calls_are_run_and_not_seen() {
    check(&["ta g0 g0", "tb g1", "tc"], "tabc (stop, 3) | ta g0 / g0=[11] / tb g1 / g1=[1] / tc");
}

#[test]
fn results_come_in_the_order_of_the_calls_and_failures_are_told() {
    let slow = r#"{"error":"slow","error_code":"timeout"}"#;
    let script = Script::new(&["tx"]);
    script.turns.lock().unwrap().insert(0, {
        let mut events = events("g0 g1 g2");
        if let StreamEvent::ToolCall(delta) = &mut events[2] {
            delta.arguments = "13".to_owned();
        }
        events
    });
    let kept: Vec<_> =
        frames(&script, request()).iter().flat_map(|it| &it.exchanged).map(spell).collect();
    assert_eq!(kept, ["g0 g1 g2", &format!("g0=[1] g1={slow}! g2=[1]"), "tx"]);
}

#[test]
fn the_callers_calls_end_the_answer() {
    check(&["ta c0 tb"], "ta c0 tb (tool_calls, 1) | ta c0 tb");
    check(&["g0", "tb c1", "tnever"], "tb c1 (tool_calls, 2) | g0 / g0=[1] / tb c1");
}

#[test]
fn a_mixed_turn_shows_every_call_unexecuted() {
    check(&["c0 g1", "tnever"], "c0 g1 (tool_calls, 1) | c0 g1");
    check(&["g0 c1 g2", "tnever"], "g0 c1 g2 (tool_calls, 1) | g0 c1 g2");
}

#[test]
fn a_turn_that_was_cut_is_not_acted_upon() {
    check(&["ta g0 L", "tnever"], "ta g0 (length, 1) | ta g0");
}

#[test]
fn a_model_that_never_stops_is_asked_once_more_without_tools() {
    let script = Script::new(&["g0"]);
    let frames = frames(&script, request());
    let finishes = frames.iter().flat_map(|frame| &frame.events).filter_map(|event| {
        if let StreamEvent::Finished(finish) = event { finish.native.as_deref() } else { None }
    });
    assert_eq!(finishes.collect::<Vec<_>>(), ["tool_rounds_exceeded"]);
    let asked = script.asked();
    assert_eq!(asked.len(), MAX_ROUNDS + 1);
    assert_eq!(asked[MAX_ROUNDS].tool_choice, Some(ToolChoice::None));
}

#[test]
fn a_forced_choice_is_forced_once() {
    let forced = |names: &[&str], required| ToolChoice::Allowed {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        required,
    };
    for (choice, next) in [
        (ToolChoice::Required, ToolChoice::Auto),
        (ToolChoice::Named("ours".to_owned()), ToolChoice::Auto),
        (forced(&["ours"], true), forced(&["ours"], false)),
        (ToolChoice::Auto, ToolChoice::Auto),
    ] {
        let script = Script::new(&["g0", "ta"]);
        frames(&script, ChatRequest { tool_choice: Some(choice.clone()), ..request() });
        let asked = script.asked();
        assert_eq!(asked[0].tool_choice, Some(choice));
        assert_eq!(asked[1].tool_choice, Some(next));
    }
}

#[test]
fn a_tool_is_shown_unless_the_caller_describes_it() {
    let described = |request: ChatRequest| {
        let script = Script::new(&["ta"]);
        frames(&script, request);
        let tools = script.asked().remove(0).tools.into_iter().map(|tool| match tool.kind {
            ToolKind::Function(it) => format!("{}: {}", it.name, it.description.unwrap()),
            other @ (ToolKind::Custom(_) | ToolKind::Hosted(_)) => panic!("{other:?}"),
        });
        tools.collect::<Vec<_>>()
    };
    assert_eq!(described(request()), ["theirs: the caller's", "ours: "]);
    let mut shadows = request();
    shadows.tools.push(ToolSpec::function("ours", "shadow", Json::null()));
    assert_eq!(described(shadows), ["theirs: the caller's", "ours: shadow"]);
}

#[test]
fn what_is_not_shown_is_not_run() {
    let script = Script::new(&["g0", "tnever"]);
    let provider: Arc<dyn Provider> = Arc::<Script>::clone(&script);
    let tools = Arc::new(OneTool(Echo::new("ours")));
    let known = Conversation::new(provider).with_tools(tools);
    let called = |conversation: &Conversation, request: ChatRequest| {
        block_on(conversation.ask(request)).unwrap().tool_calls().count()
    };
    assert_eq!(called(&known, request()), 1, "neither described nor offered");
    assert_eq!(called(&known.offering(["ours"]), request()), 0, "offered");
}

#[test]
fn a_tool_that_is_offered_must_exist() {
    let offering = conversation(&Script::new(&["ta"])).offering(["missing"]);
    let error = block_on(offering.ask(request())).unwrap_err();
    assert_eq!((error.code(), error.at_param()), ("tool_not_found", Some("tools")));
}

#[test]
fn several_answers_have_no_tools() {
    let mut request = request();
    request.options.n = Some(2);
    let script = Script::new(&["g0", "tnever"]);
    let answer = block_on(conversation(&script).ask(request)).unwrap();
    assert_eq!(answer.tool_calls().count(), 1);
    assert_eq!(script.asked()[0].tools.len(), 1);
}

#[test]
fn at_most_eight_tools_run_at_once() {
    let words: Vec<_> = (0..64).map(|at| format!("g{at}")).collect();
    let script = Script::new(&[&words.join(" "), "ta"]);
    let echo = Echo::new("ours");
    let tool: Arc<dyn Tool> = Arc::<Echo>::clone(&echo);
    let conversation = Conversation::new(script).with_tool(tool);
    block_on(conversation.ask(request())).unwrap();
    assert_eq!(echo.most.load(Ordering::Relaxed), MAX_PARALLEL);
}

#[test]
fn a_caller_that_leaves_stops_the_tools() {
    struct Guard(Arc<AtomicUsize>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    struct Endless(ToolSpec, Arc<AtomicUsize>);
    #[async_trait]
    impl Tool for Endless {
        fn spec(&self) -> &ToolSpec {
            &self.0
        }

        async fn call(&self, _: &str, _: &ToolContext) -> Result<Json, ToolError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            let _guard = Guard(Arc::clone(&self.1));
            std::future::pending().await
        }
    }
    let running = Arc::new(AtomicUsize::new(0));
    let spec = ToolSpec::function("ours", "", Json::null());
    let endless = Arc::new(Endless(spec, Arc::clone(&running)));
    let conversation = Conversation::new(Script::new(&["g0 g1"])).with_tool(endless);
    let call = Call::new(ChatRequest { stream: true, ..request() });
    let mut frames: FrameStream = block_on(Layer::answer(&conversation, call)).unwrap().frames;
    while frames.next().now_or_never().is_some() {}
    assert_eq!(running.load(Ordering::Relaxed), 2);
    drop(frames);
    assert_eq!(running.load(Ordering::Relaxed), 0);
}

#[test]
fn a_turn_without_end_is_given_up() {
    let script = Script::new(&["ta"]);
    let delta = ToolCallDelta {
        name: "ours".to_owned(),
        arguments: "x".repeat(1 << 20),
        ..ToolCallDelta::default()
    };
    *script.turns.lock().unwrap() = vec![vec![StreamEvent::ToolCall(delta); 64]];
    let error = block_on(conversation(&script).ask(request())).unwrap_err();
    assert_eq!(error.code(), "upstream_invalid_response");
}

#[test]
fn what_needs_no_tools_passes_as_it_came() {
    let decode = |_: &[u8]| -> Result<ChatRequest> { panic!("nobody needs to look inside") };
    let original = Original::new(
        crate::Dialect::Chat,
        bytes::Bytes::new(),
        crate::Envelope::default(),
        decode,
    );
    let mut call = Call::new(request());
    call.ask = Ask::Original(Arc::new(original));
    call.look = Look::Digest;
    let script = Script::new(&["ta"]);
    let provider: Arc<dyn Provider> = Arc::<Script>::clone(&script);
    let conversation = Conversation::new(provider).with_tools(Arc::new(OneTool(Echo::new("ours"))));
    let answer = block_on(Layer::answer(&conversation, call)).unwrap();
    let frames: Vec<_> = block_on(answer.frames.map(Result::unwrap).collect());
    assert!(frames.iter().all(|frame| frame.verbatim.is_some()));
}

#[test]
fn who_only_listens_hears_the_bytes_too() {
    let script = Script::new(&["ta"]);
    let provider: Arc<dyn Provider> = Arc::<Script>::clone(&script);
    let call = Call::new(ChatRequest { stream: true, ..request() });
    let answer = block_on(Layer::answer(&Conversation::new(provider), call)).unwrap();
    let frames: Vec<_> = block_on(answer.frames.map(Result::unwrap).collect());
    let (last, rest) = frames.split_last().unwrap();
    assert!(rest.iter().all(|frame| frame.verbatim.is_some()));
    assert_eq!(last.exchanged.iter().map(spell).collect::<Vec<_>>(), ["ta"]);
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

/// Turns of words, at random; a call may come in several pieces, and in between others.
fn script() -> impl Strategy<Value = Vec<String>> {
    let word = prop_oneof![
        "t[a-z]{1,3}",
        "r[a-z]{1,3}",
        (0..3u8).prop_map(|at| format!("g{at}")),
        Just("L".to_owned()),
        (0..2u8).prop_map(|at| format!("c{at}")),
    ];
    let turn = prop::collection::vec(word, 0..8).prop_map(|words| words.join(" "));
    prop::collection::vec(turn, 1..12)
}

/// Begins once, ends once, with nothing but counts after; calls are numbered without gaps, and
/// named once.
fn is_well_formed(events: &[StreamEvent]) -> Result<(), TestCaseError> {
    let place = |wanted: fn(&StreamEvent) -> bool| -> Vec<usize> {
        events.iter().enumerate().filter(|(_, it)| wanted(it)).map(|(at, _)| at).collect()
    };
    prop_assert_eq!(place(|it| matches!(it, StreamEvent::Started(_))), [0]);
    let ends = place(|it| matches!(it, StreamEvent::Finished(_)));
    prop_assert_eq!(ends.len(), 1);
    let rest = &events[ends[0] + 1..];
    prop_assert!(rest.iter().all(|it| matches!(it, StreamEvent::Usage(_))));
    let mut calls = 0;
    for event in events {
        if let StreamEvent::ToolCall(delta) = event {
            prop_assert_eq!(delta.name.is_empty(), delta.index < calls);
            prop_assert!(delta.index <= calls, "a gap before {}", delta.index);
            calls = calls.max(delta.index + 1);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_conversation_is_one_well_formed_answer(turns in script()) {
        let turns: Vec<_> = turns.iter().map(String::as_str).collect();
        let streamed = frames(&Script::new(&turns), ChatRequest { stream: true, ..request() });
        let events: Vec<_> = streamed.iter().flat_map(|frame| frame.events.clone()).collect();
        is_well_formed(&events)?;
        let whole = frames(&Script::new(&turns), request());
        prop_assert_eq!(whole.len(), 1);
        is_well_formed(&whole[0].events)?;
        let fold = |events: Vec<StreamEvent>| {
            let mut answer = Collector::default();
            answer.extend(events);
            answer.finish()
        };
        prop_assert_eq!(fold(events), fold(whole[0].events.clone()));
        let kept: Vec<_> = streamed.into_iter().flat_map(|frame| frame.exchanged).collect();
        prop_assert_eq!(&kept, &whole[0].exchanged);
        every_call_is_run_or_shown(&kept, &fold(whole[0].events.clone()).choices)?;
    }
}

/// Each call that is kept has its result right after it; the rest are the caller's to run.
fn every_call_is_run_or_shown(kept: &[Message], shown: &[Choice]) -> Result<(), TestCaseError> {
    let ids =
        |message: &Message| message.tool_calls().map(|call| call.id.clone()).collect::<Vec<_>>();
    let shown: Vec<_> = shown.iter().flat_map(|choice| ids(&choice.message)).collect();
    let mut messages = kept.iter().peekable();
    while let Some(said) = messages.next() {
        prop_assert_eq!(said.role, Role::Assistant);
        let answered = messages.next_if(|next| next.role == Role::Tool).map(|results| {
            let ids = results.parts.iter().filter_map(|part| {
                if let Content::ToolResult(it) = &part.content { Some(&it.call_id) } else { None }
            });
            ids.cloned().collect()
        });
        prop_assert_eq!(ids(said), answered.unwrap_or_else(|| shown.clone()));
    }
    Ok(())
}
