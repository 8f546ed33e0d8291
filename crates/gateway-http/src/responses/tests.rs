//! Answers that are kept, from request to reply, over the store in memory.

use super::Responses;
use crate::{About, Access, App, Backend, Budget, Client, Cors, Limits, Meters, Times, handle};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use gateway_core::{
    Answer, Call, Dialect, ErrorKind, Finish, Frame, FrameStream, GatewayError, Head, Message,
    Provider, Routes, Started, StreamEvent, Target,
    state::{Events, Key, Outcome, ResponseStore, StoreError, StoredResponse},
};
use gateway_store::{Settings, Stores};
use gateway_wire::{Caller as _, Ids, Reply, responses::ResponsesCaller, sse};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time;

/// Says how many messages it was given, in the way that the model's name says.
struct Script {
    id: &'static str,
    /// It speaks Responses, and answers in its own bytes.
    native: bool,
    asked: Mutex<Vec<Asked>>,
    /// How many answers are being given.
    open: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Asked {
    original: bool,
    extra: Vec<String>,
    texts: Vec<String>,
}

struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Provider for Script {
    fn id(&self) -> &str {
        self.id
    }

    fn speaks(&self, _: &Target, _: Dialect) -> Option<Dialect> {
        Some(if self.native { Dialect::Responses } else { Dialect::Chat })
    }

    async fn answer(&self, call: Call) -> gateway_core::Result<Answer> {
        let request = call.request()?;
        let text = |message: &Message| format!("{:?}:{}", message.role, message.plain_text());
        let asked = Asked {
            original: call.original(Dialect::Responses).is_some(),
            extra: request.extra.iter().map(|(name, _)| name.to_owned()).collect(),
            texts: request.messages.iter().map(text).collect(),
        };
        let number = {
            let mut all = self.asked.lock().unwrap();
            all.push(asked);
            all.len()
        };
        if &*call.target.model == "down" {
            return Err(GatewayError::new(ErrorKind::UpstreamOverloaded, "busy"));
        }
        let frames = self.frames(&call, number);
        let head = Head { provider: self.id.into(), attempts: 1, ..Head::default() };
        Ok(Answer { head, frames })
    }
}

impl Script {
    fn frames(&self, call: &Call, number: usize) -> FrameStream {
        self.open.fetch_add(1, Ordering::SeqCst);
        let open = Open(Arc::clone(&self.open));
        let id = Some(format!("{}{number}", if self.native { "resp_up" } else { "resp_no" }));
        let mut steps = vec![
            vec![StreamEvent::Started(Started { id, ..Started::default() })],
            vec![StreamEvent::Text(format!("said {number}"))],
        ];
        let ends = &*call.target.model != "stall" && &*call.target.model != "cut";
        if ends {
            steps.push(vec![StreamEvent::Finished(Finish::default())]);
        }
        let frames = if self.native && call.original(Dialect::Responses).is_some() {
            verbatim(call, steps, ends)
        } else {
            steps.into_iter().map(|events| Ok(Frame::of(events))).collect()
        };
        let rest: FrameStream = match &*call.target.model {
            "stall" => Box::pin(stream::pending()),
            "cut" => {
                Box::pin(stream::iter([Err(GatewayError::new(ErrorKind::UpstreamCut, "cut"))]))
            }
            _ => Box::pin(stream::empty()),
        };
        Box::pin(stream::iter(frames).chain(rest).inspect(move |_| {
            let _ = &open;
        }))
    }
}

/// The frames of an upstream that speaks Responses, in its own bytes.
fn verbatim(
    call: &Call,
    steps: Vec<Vec<StreamEvent>>,
    ends: bool,
) -> Vec<gateway_core::Result<Frame>> {
    let reply = Reply { ask: call.ask.clone(), model: "m".into(), created: 1, ids: Ids::new(9) };
    if !call.stream {
        let mut answer = gateway_core::Collector::default();
        answer.extend(steps.into_iter().flatten());
        let whole = ResponsesCaller.write_whole(answer.finish(), reply);
        return vec![Ok(Frame { verbatim: Some(whole.into()), ..Frame::default() })];
    }
    let mut writer = ResponsesCaller.writer(reply);
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for events in steps {
        let mut out = Vec::new();
        writer.write(Frame::of(events), &mut out);
        blocks.push(out);
    }
    if ends {
        let mut out = Vec::new();
        writer.end(&mut out);
        blocks.push(out);
    }
    let frame =
        |block: Vec<u8>| Frame { verbatim: Some(block.into()), output: true, ..Frame::default() };
    blocks.into_iter().filter(|it| !it.is_empty()).map(|block| Ok(frame(block))).collect()
}

/// A store that is down.
struct Down;

fn down<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("down".into()))
}

#[async_trait]
impl ResponseStore for Down {
    async fn put(&self, _: &Key, _: &StoredResponse, _: Duration) -> Result<(), StoreError> {
        down()
    }

    async fn get(&self, _: &Key) -> Result<Option<StoredResponse>, StoreError> {
        down()
    }

    async fn delete(&self, _: &Key) -> Result<bool, StoreError> {
        down()
    }

    async fn append(&self, _: &Key, _: u64, _: &[bytes::Bytes]) -> Result<Outcome, StoreError> {
        down()
    }

    async fn events(&self, _: &Key, _: u64, _: u64) -> Result<Option<Events>, StoreError> {
        down()
    }
}

struct Bench {
    app: Arc<App>,
    chat: Arc<Script>,
    native: Arc<Script>,
    _stores: Stores,
}

impl Bench {
    async fn new() -> Self {
        Self::over(None).await
    }

    /// Keeps answers in `store`, if another than the usual is wanted.
    async fn over(store: Option<Arc<dyn ResponseStore>>) -> Self {
        let stores =
            gateway_store::open(Settings::new(gateway_store::Backend::Memory)).await.unwrap();
        let store = store.unwrap_or_else(|| Arc::clone(&stores.responses));
        let script = |id, native| {
            Arc::new(Script { id, native, asked: Mutex::default(), open: Arc::default() })
        };
        let (chat, native) = (script("chat", false), script("native", true));
        let mut routes = Routes::default();
        let mut providers = HashMap::new();
        for it in [&chat, &native] {
            routes.prefix(it.id, it.id);
            let provider: Arc<dyn Provider> = Arc::<Script>::clone(it);
            providers.insert(it.id.into(), Backend::Ready(provider));
        }
        let key = |key: &str| {
            use sha2::Digest as _;
            sha2::Sha256::digest(key).into()
        };
        let client = |name: &str| {
            let client = Client { name: name.into(), tenant: name.into(), models: None };
            (key(name), Arc::new(client))
        };
        let app = App {
            access: Access::Keys(HashMap::from([client("ours"), client("theirs")])),
            routes,
            providers,
            keeper: crate::Keeper::new(gateway_sessions::Sessions::new(
                Arc::clone(&stores.sessions),
                gateway_sessions::Rules::default(),
            )),
            responses: Responses::new(store, Duration::from_mins(10), 2),
            limits: Limits {
                max_bytes: 1 << 20,
                timeout: Duration::from_secs(5),
                budget: Arc::new(Budget::new(1 << 24)),
            },
            json_depth: 64,
            strict: false,
            default_model: None,
            times: Times::default(),
            cors: Cors::Closed,
            metrics: None,
            meters: Meters::default(),
            about: About { version: String::new(), docs: None },
        };
        Self { app: Arc::new(app), chat, native, _stores: stores }
    }

    fn request(who: &str, method: Method, path: &str, body: &Value) -> Request<Full<bytes::Bytes>> {
        let bytes = if body.is_null() { String::new() } else { body.to_string() };
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", "h")
            .header("authorization", format!("Bearer {who}"))
            .header("content-type", "application/json")
            .body(Full::new(bytes.into()))
            .unwrap()
    }

    async fn text(&self, who: &str, method: Method, path: &str, body: Value) -> (u16, String) {
        let reply = handle(Arc::clone(&self.app), Self::request(who, method, path, &body)).await;
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let (status, text) = self.text("ours", method, path, body).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}")))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, &format!("/v1/responses/{path}"), Value::Null).await
    }

    /// Creates an answer, which must succeed.
    async fn create(&self, model: &str, more: Value) -> Value {
        let (status, answer) = self.post(model, more).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn post(&self, model: &str, more: Value) -> (u16, Value) {
        self.call(Method::POST, "/v1/responses", asks(model, &more)).await
    }

    /// The whole of a streamed answer.
    async fn stream(&self, model: &str, more: Value) -> String {
        let mut body = asks(model, &more);
        body["stream"] = json!(true);
        self.text("ours", Method::POST, "/v1/responses", body).await.1
    }

    /// Waits until the answer `id` has this status.
    async fn until(&self, id: &str, status: &str) -> Value {
        for _ in 0..200 {
            let (_, response) = self.get(id).await;
            if response["status"] == status {
                return response;
            }
            time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{id} does not become {status}: {:?}", self.get(id).await)
    }
}

fn asks(model: &str, more: &Value) -> Value {
    let mut body = json!({ "model": model, "input": "hi" });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

fn id(answer: &Value) -> &str {
    answer["id"].as_str().unwrap()
}

fn said(answer: &Value) -> &str {
    answer["output"][0]["content"][0]["text"].as_str().unwrap_or_default()
}

/// The response object that the last of `events` tells of.
fn last(events: &str) -> Value {
    let last = sse::events(events.as_bytes()).last().unwrap();
    serde_json::from_str::<Value>(&last.data).unwrap()["response"].clone()
}

fn first(events: &str) -> Value {
    let first = sse::events(events.as_bytes()).next().unwrap();
    serde_json::from_str::<Value>(&first.data).unwrap()["response"].clone()
}

/// An answer of `model`, streamed or not, can be asked for again, and is then as it was.
async fn check_kept(model: &str, streamed: bool) {
    let bench = Bench::new().await;
    let answer = if streamed {
        last(&bench.stream(model, Value::Null).await)
    } else {
        bench.create(model, Value::Null).await
    };
    assert_eq!(said(&answer), "said 1");
    assert_eq!(bench.get(id(&answer)).await, (200, answer.clone()), "{model}");
    let (_, items) = bench.get(&format!("{}/input_items", id(&answer))).await;
    assert_eq!(items["data"][0]["content"][0]["text"], "hi");
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_asked_for_again() {
    for model in ["chat/say", "native/say"] {
        check_kept(model, false).await;
        check_kept(model, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_native_upstream_pass_untouched() {
    let bench = Bench::new().await;
    let answer = bench.create("native/say", json!({ "previous_response_id": "resp_theirs" })).await;
    assert_eq!(id(&answer), "resp_up1");
    let asked = bench.native.asked.lock().unwrap()[0].clone();
    assert!(asked.original);
    assert!(asked.extra.iter().any(|name| name == "previous_response_id"));
}

#[tokio::test(start_paused = true)]
async fn the_name_of_an_answer_is_our_own_where_the_upstream_keeps_none() {
    let bench = Bench::new().await;
    assert_ne!(id(&bench.create("chat/say", Value::Null).await), "resp_no1");
    assert_ne!(id(&last(&bench.stream("chat/say", Value::Null).await)), "resp_no2");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_to_be_stored_is_not() {
    let bench = Bench::new().await;
    for model in ["chat/say", "native/say"] {
        let answer = bench.create(model, json!({ "store": false })).await;
        assert_eq!(bench.get(id(&answer)).await.0, 404, "{model}");
        let answer = last(&bench.stream(model, json!({ "store": false })).await);
        assert_eq!(bench.get(id(&answer)).await.0, 404, "{model}");
    }
}

/// A conversation over `models` puts everything said before each turn, except where the upstream
/// keeps it.
async fn check_chain(models: &[&str], expected: &[&str]) {
    let bench = Bench::new().await;
    let mut more = json!({ "instructions": "only once" });
    for model in models {
        let answer = bench.create(model, more).await;
        more = json!({ "previous_response_id": id(&answer), "input": "more" });
    }
    let script =
        if models.last().unwrap().starts_with("chat") { &bench.chat } else { &bench.native };
    let asked = script.asked.lock().unwrap().last().unwrap().clone();
    assert_eq!(asked.texts, expected, "{models:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_continued() {
    let three = ["User:hi", "Assistant:said 1", "User:more", "Assistant:said 2", "User:more"];
    check_chain(&["chat/say", "chat/say"], &three[..3]).await;
    check_chain(&["chat/say", "chat/say", "chat/say"], &three).await;
    check_chain(&["native/say", "chat/say"], &three[..3]).await;
    check_chain(&["chat/say", "native/say"], &three[..3]).await;
    check_chain(&["native/say", "native/say"], &["User:more"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_answer_is_not_continued() {
    let bench = Bench::new().await;
    for previous in ["resp_none", "nonsense", ""] {
        let (status, error) =
            bench.post("chat/say", json!({ "previous_response_id": previous })).await;
        let told = (status, &error["error"]["code"], &error["error"]["param"]);
        assert_eq!(
            told,
            (400, &json!("previous_response_not_found"), &json!("previous_response_id"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_answers_of_others_are_not_there() {
    let bench = Bench::new().await;
    let answer = bench.create("chat/say", Value::Null).await;
    let id = id(&answer);
    for (method, below) in [
        (Method::GET, ""),
        (Method::GET, "?stream=true"),
        (Method::GET, "/input_items"),
        (Method::DELETE, ""),
        (Method::POST, "/cancel"),
    ] {
        let ask = async |id: &str| {
            bench
                .text("theirs", method.clone(), &format!("/v1/responses/{id}{below}"), Value::Null)
                .await
        };
        let foreign = ask(id).await;
        assert_eq!(foreign.0, 404);
        assert_eq!(foreign, ask("resp_none").await);
        assert_eq!(foreign, ask("no-response").await);
    }
    let body = asks("chat/say", &json!({ "previous_response_id": id }));
    let (status, error) = bench.text("theirs", Method::POST, "/v1/responses", body).await;
    assert_eq!(status, 400);
    assert!(error.contains("previous_response_not_found"));
    assert_eq!(bench.get(id).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_answer_is_gone() {
    let bench = Bench::new().await;
    let answer = bench.create("chat/say", Value::Null).await;
    let path = format!("/v1/responses/{}", id(&answer));
    let (status, deleted) = bench.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!((status, deleted["deleted"].as_bool()), (200, Some(true)));
    assert_eq!(bench.get(id(&answer)).await.0, 404);
    assert_eq!(bench.call(Method::DELETE, &path, Value::Null).await.0, 404);
    let more = json!({ "previous_response_id": id(&answer) });
    assert_eq!(bench.post("chat/say", more).await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_told_again() {
    let bench = Bench::new().await;
    for model in ["chat/say", "native/say"] {
        let told = bench.stream(model, Value::Null).await;
        let path = format!("/v1/responses/{}?stream=true", id(&last(&told)));
        assert_eq!(bench.text("ours", Method::GET, &path, Value::Null).await, (200, told.clone()));
        let after = format!("{path}&starting_after=3");
        let rest = bench.text("ours", Method::GET, &after, Value::Null).await.1;
        assert!(told.ends_with(&rest) && rest.contains("\"sequence_number\":4"), "{rest}");
        assert!(!rest.contains("\"sequence_number\":3"));
        let nonsense = format!("{path}&starting_after=x");
        assert_eq!(bench.text("ours", Method::GET, &nonsense, Value::Null).await.0, 400);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_not_streamed_is_told_in_steps_too() {
    let bench = Bench::new().await;
    let answer = bench.create("chat/say", Value::Null).await;
    let path = format!("/v1/responses/{}?stream=true", id(&answer));
    let (_, told) = bench.text("ours", Method::GET, &path, Value::Null).await;
    assert_eq!(last(&told), answer);
}

/// A caller of `model` reads one block, sees the answer in progress, and leaves. The upstream is
/// left too, what was told is kept, and can be continued.
async fn check_leaving(model: &str) {
    let bench = Bench::new().await;
    let mut body = asks(model, &Value::Null);
    body["stream"] = json!(true);
    let request = Bench::request("ours", Method::POST, "/v1/responses", &body);
    let mut reply = handle(Arc::clone(&bench.app), request).await.into_body();
    let block = reply.frame().await.unwrap().unwrap().into_data().unwrap();
    let begun = first(std::str::from_utf8(&block).unwrap());
    let (status, kept) = bench.get(id(&begun)).await;
    assert_eq!((status, kept["status"].as_str()), (200, Some("in_progress")));
    drop(reply);
    let kept = bench.until(id(&begun), "incomplete").await;
    assert_eq!(said(&kept), "said 1");
    assert_eq!(
        bench.chat.open.load(Ordering::SeqCst) + bench.native.open.load(Ordering::SeqCst),
        0
    );
    let next = json!({ "previous_response_id": id(&begun), "input": "go on" });
    bench.create("chat/say", next).await;
    let asked = bench.chat.asked.lock().unwrap().last().unwrap().texts.clone();
    assert_eq!(asked, ["User:hi", "Assistant:said 1", "User:go on"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_told_to_a_caller_that_left_is_kept() {
    check_leaving("chat/stall").await;
    check_leaving("native/stall").await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_the_middle_is_kept() {
    let bench = Bench::new().await;
    for model in ["chat/cut", "native/cut"] {
        let told = bench.stream(model, Value::Null).await;
        let failed = last(&told);
        assert_eq!(failed["status"], "failed");
        let (_, kept) = bench.get(id(&failed)).await;
        assert_eq!((&kept["status"], &kept["error"]), (&failed["status"], &failed["error"]));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_made_without_its_caller() {
    let bench = Bench::new().await;
    for model in ["chat/say", "native/say"] {
        let queued = bench.create(model, json!({ "background": true })).await;
        assert_eq!(queued["status"], "queued");
        assert_eq!(queued["background"], true);
        let done = bench.until(id(&queued), "completed").await;
        assert!(said(&done).starts_with("said"));
        assert_eq!(done["background"], true);
        let path = format!("/v1/responses/{}?stream=true", id(&queued));
        let (_, told) = bench.text("ours", Method::GET, &path, Value::Null).await;
        assert_eq!(last(&told), done);
        let script = if model == "chat/say" { &bench.chat } else { &bench.native };
        let asked = script.asked.lock().unwrap()[0].clone();
        assert!(!asked.extra.iter().any(|name| name == "background"), "the upstream waits for us");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_the_background_can_be_followed_at_once() {
    let bench = Bench::new().await;
    let told = bench.stream("chat/say", json!({ "background": true })).await;
    assert_eq!(bench.get(id(&last(&told))).await.1, last(&told));
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_the_background_fails_where_it_is_kept() {
    let bench = Bench::new().await;
    for model in ["chat/down", "chat/cut"] {
        let queued = bench.create(model, json!({ "background": true })).await;
        let failed = bench.until(id(&queued), "failed").await;
        assert!(failed["error"]["code"].is_string(), "{failed}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_the_background_is_cancelled() {
    let bench = Bench::new().await;
    let queued = bench.create("chat/stall", json!({ "background": true })).await;
    let path = format!("/v1/responses/{}/cancel", id(&queued));
    bench.until(id(&queued), "in_progress").await;
    for _ in 0..2 {
        let (status, cancelled) = bench.call(Method::POST, &path, Value::Null).await;
        assert_eq!((status, cancelled["status"].as_str()), (200, Some("cancelled")));
        assert_eq!(bench.chat.open.load(Ordering::SeqCst), 0, "the upstream is left");
    }
    assert_eq!(bench.get(id(&queued)).await.1["status"], "cancelled");
    let answer = bench.create("chat/say", Value::Null).await;
    let path = format!("/v1/responses/{}/cancel", id(&answer));
    assert_eq!(bench.call(Method::POST, &path, Value::Null).await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_deleted_is_not_made_further() {
    let bench = Bench::new().await;
    let queued = bench.create("chat/stall", json!({ "background": true })).await;
    bench.until(id(&queued), "in_progress").await;
    let path = format!("/v1/responses/{}", id(&queued));
    assert_eq!(bench.call(Method::DELETE, &path, Value::Null).await.0, 200);
    assert_eq!(bench.get(id(&queued)).await.0, 404);
    assert_eq!(bench.chat.open.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn there_are_only_so_many_places_in_the_background() {
    let bench = Bench::new().await;
    let background = json!({ "background": true });
    bench.create("chat/stall", background.clone()).await;
    let second = bench.create("chat/stall", background.clone()).await;
    assert_eq!(bench.post("chat/stall", background.clone()).await.0, 503);
    let path = format!("/v1/responses/{}/cancel", id(&second));
    bench.call(Method::POST, &path, Value::Null).await;
    bench.create("chat/stall", background).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_in_the_background_ends_with_the_gateway() {
    let bench = Bench::new().await;
    let queued = bench.create("chat/stall", json!({ "background": true })).await;
    bench.until(id(&queued), "in_progress").await;
    bench.app.responses.close().await;
    let (_, kept) = bench.get(id(&queued)).await;
    assert_eq!(kept["status"], "failed");
    assert_eq!(bench.chat.open.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn background_needs_the_store() {
    let bench = Bench::new().await;
    let (status, error) =
        bench.post("chat/say", json!({ "background": true, "store": false })).await;
    assert_eq!((status, &error["error"]["param"]), (400, &json!("background")));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_costs_only_what_needs_it() {
    let bench = Bench::over(Some(Arc::new(Down))).await;
    assert_eq!(said(&bench.create("chat/say", Value::Null).await), "said 1");
    assert_eq!(said(&last(&bench.stream("chat/say", Value::Null).await)), "said 2");
    let previous = json!({ "previous_response_id": "resp_1" });
    assert_eq!(bench.post("chat/say", previous.clone()).await.0, 503);
    assert_eq!(bench.post("native/say", previous).await.0, 200);
    assert_eq!(bench.post("chat/say", json!({ "background": true })).await.0, 503);
    assert_eq!(bench.get("resp_1").await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_estimated() {
    let bench = Bench::new().await;
    let count = async |body: Value| {
        let (status, told) = bench.call(Method::POST, "/v1/responses/input_tokens", body).await;
        assert_eq!((status, &told["object"]), (200, &json!("response.input_tokens")), "{told}");
        told["input_tokens"].as_u64().unwrap()
    };
    let short = count(json!({ "input": "hi" })).await;
    let long = count(json!({ "input": "hi ".repeat(400) })).await;
    assert!((1..20).contains(&short) && (200..500).contains(&long), "{short} {long}");
    let answer = bench.create("chat/say", Value::Null).await;
    let after = count(json!({ "input": "hi", "previous_response_id": id(&answer) })).await;
    assert!(after > short);
    let path = "/v1/responses/input_tokens";
    assert_eq!(bench.call(Method::POST, path, json!({ "input": 1 })).await.0, 400);
}
