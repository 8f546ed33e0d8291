//! A gateway over the in-memory store, with two providers that record the requests they get.

use crate::{BodyLimits, BrowserGate, HttpService, ServiceInfo, handle};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use gateway_core::MemoryBudget;
use gateway_core::{
    Chunk, ChunkStream, Dialect, ErrorKind, Finish, GatewayError, Message, Provider,
    ProviderRequest, ProviderResponse, ResponseMeta, Started, StreamEvent, Target,
    state::{Key, ResponseEvents, ResponseStore, StoreError, StoredResponse, WriteOutcome},
};
use gateway_engine::{Engine, EngineSettings};
use gateway_limits::{Access, Client};
use gateway_sessions::Responses;
use gateway_store::{StoreSettings, Stores};
use gateway_wire::{
    IdGenerator, InboundDialect as _, ResponseContext, responses::ResponsesInbound, sse,
};
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

/// The address of all callers.
pub(super) const PEER: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Says how many messages it was given, in the way that the model's name says.
pub(super) struct ScriptedProvider {
    id: &'static str,
    /// It speaks Responses, and answers in its own bytes.
    native: bool,
    pub(super) asked: Mutex<Vec<SeenRequest>>,
    /// The number of open responses.
    pub(super) open: Arc<AtomicUsize>,
}

#[derive(Clone)]
pub(super) struct SeenRequest {
    pub(super) original: bool,
    pub(super) extra: Vec<String>,
    pub(super) texts: Vec<String>,
}

pub(super) struct OpenGuard(Arc<AtomicUsize>);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Provider for ScriptedProvider {
    fn id(&self) -> &str {
        self.id
    }

    fn upstream_dialect(&self, _: &Target, _: Dialect) -> Option<Dialect> {
        Some(if self.native { Dialect::Responses } else { Dialect::Chat })
    }

    async fn generate(&self, call: ProviderRequest) -> gateway_core::Result<ProviderResponse> {
        let request = call.request()?;
        let text = |message: &Message| format!("{:?}:{}", message.role, message.plain_text());
        let asked = SeenRequest {
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
        let chunks = self.chunks(&call, number);
        let meta =
            ResponseMeta { provider: self.id.into(), attempts: 1, ..ResponseMeta::default() };
        Ok(ProviderResponse { meta, chunks })
    }
}

impl ScriptedProvider {
    fn chunks(&self, call: &ProviderRequest, number: usize) -> ChunkStream {
        self.open.fetch_add(1, Ordering::SeqCst);
        let open = OpenGuard(Arc::clone(&self.open));
        let id = Some(format!("{}{number}", if self.native { "resp_up" } else { "resp_no" }));
        let mut steps = vec![
            vec![StreamEvent::Started(Started { id, ..Started::default() })],
            vec![StreamEvent::Text(format!("said {number}"))],
        ];
        let ends = &*call.target.model != "stall" && &*call.target.model != "cut";
        if ends {
            steps.push(vec![StreamEvent::Finished(Finish::default())]);
        }
        let chunks = if self.native && call.original(Dialect::Responses).is_some() {
            verbatim(call, steps, ends)
        } else {
            steps.into_iter().map(|events| Ok(Chunk::from_events(events))).collect()
        };
        let rest: ChunkStream = match &*call.target.model {
            "stall" => Box::pin(stream::pending()),
            "cut" => {
                Box::pin(stream::iter([Err(GatewayError::new(ErrorKind::UpstreamCut, "cut"))]))
            }
            _ => Box::pin(stream::empty()),
        };
        Box::pin(stream::iter(chunks).chain(rest).inspect(move |_| {
            let _ = &open;
        }))
    }
}

/// The chunks of an upstream that speaks Responses, in its own bytes.
pub(super) fn verbatim(
    call: &ProviderRequest,
    steps: Vec<Vec<StreamEvent>>,
    ends: bool,
) -> Vec<gateway_core::Result<Chunk>> {
    let reply = ResponseContext {
        payload: call.payload.clone(),
        model: "m".into(),
        created: 1,
        ids: IdGenerator::new(9),
    };
    if !call.stream {
        let mut answer = gateway_core::Collector::default();
        answer.extend(steps.into_iter().flatten());
        let whole = ResponsesInbound.write_whole(answer.finish(), reply);
        return vec![Ok(Chunk { verbatim: Some(whole.into()), ..Chunk::default() })];
    }
    let mut writer = ResponsesInbound.writer(reply);
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for events in steps {
        let mut out = Vec::new();
        writer.write(Chunk::from_events(events), &mut out);
        blocks.push(out);
    }
    if ends {
        let mut out = Vec::new();
        writer.end(&mut out);
        blocks.push(out);
    }
    let chunk =
        |block: Vec<u8>| Chunk { verbatim: Some(block.into()), output: true, ..Chunk::default() };
    blocks.into_iter().filter(|it| !it.is_empty()).map(|block| Ok(chunk(block))).collect()
}

/// A store that is down.
pub(super) struct FailingStore;

pub(super) fn down<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("down".into()))
}

#[async_trait]
impl ResponseStore for FailingStore {
    async fn put(&self, _: &Key, _: &StoredResponse, _: Duration) -> Result<(), StoreError> {
        down()
    }

    async fn get(&self, _: &Key) -> Result<Option<StoredResponse>, StoreError> {
        down()
    }

    async fn renew(&self, _: &Key, _: Duration) -> Result<bool, StoreError> {
        down()
    }

    async fn end_abandoned(
        &self,
        _: &Key,
        _: &StoredResponse,
        _: Duration,
    ) -> Result<bool, StoreError> {
        down()
    }

    async fn delete(&self, _: &Key) -> Result<bool, StoreError> {
        down()
    }

    async fn append(
        &self,
        _: &Key,
        _: u64,
        _: &[bytes::Bytes],
    ) -> Result<WriteOutcome, StoreError> {
        down()
    }

    async fn events(&self, _: &Key, _: u64, _: u64) -> Result<Option<ResponseEvents>, StoreError> {
        down()
    }
}

pub(super) struct Bench {
    pub(super) service: Arc<HttpService>,
    pub(super) chat: Arc<ScriptedProvider>,
    pub(super) native: Arc<ScriptedProvider>,
    _stores: Stores,
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::over(None).await
    }

    /// Keeps answers in `store`, if another than the usual is wanted.
    pub(super) async fn over(store: Option<Arc<dyn ResponseStore>>) -> Self {
        let stores = gateway_store::open(StoreSettings::new(gateway_store::StoreBackend::Memory))
            .await
            .unwrap();
        let store = store.unwrap_or_else(|| Arc::clone(&stores.responses));
        let script = |id, native| {
            Arc::new(ScriptedProvider { id, native, asked: Mutex::default(), open: Arc::default() })
        };
        let (chat, native) = (script("chat", false), script("native", true));
        let mut directory = gateway_engine::DirectoryBuilder::new(
            gateway_engine::ResilienceSettings::default(),
            gateway_engine::EngineResources::default(),
        );
        for it in [&chat, &native] {
            directory = directory.custom_provider(Arc::<ScriptedProvider>::clone(it));
        }
        let sessions = gateway_sessions::Sessions::new(
            Arc::clone(&stores.sessions),
            gateway_sessions::SessionRules::default(),
        );
        let engine = Engine {
            directory: directory.build().unwrap(),
            settings: EngineSettings::default(),
            limits: gateway_limits::Limits::default(),
            toolbox: gateway_engine::Toolbox::default(),
            sessions: gateway_sessions::SessionManager::new(sessions),
            responses: Responses::new(store, Duration::from_mins(10), 2),
            context_service: None,
            context_windows: Arc::default(),
            local_models: Arc::default(),
            metrics: Arc::default(),
            observers: Vec::new(),
            memory: Arc::new(MemoryBudget::unlimited()),
            generation: 1,
        };
        let service = HttpService {
            engine: Arc::new(engine),
            access: Access::Keys(HashMap::from([Self::client("ours"), Self::client("theirs")])),
            idempotency: Self::idempotency(&stores),
            mcp_sessions: gateway_sessions::McpSessions::default(),
            circuits: Arc::new(|_| false),
            bodies: body_limits(),
            peers: crate::request::peer::Peers::default(),
            gate: BrowserGate::default(),
            operators: crate::OperatorAccess::default(),
            openapi: crate::OpenApiDocument::default(),
            metrics: None,
            health: crate::Health::default(),
            console: None,
            about: ServiceInfo { version: String::new(), docs: None },
        };
        Self { service: Arc::new(service), chat, native, _stores: stores }
    }

    fn idempotency(stores: &gateway_store::Stores) -> gateway_sessions::Idempotency {
        let store = Arc::clone(&stores.idempotency);
        gateway_sessions::Idempotency::new(store, Duration::from_mins(10), 1 << 20)
    }

    /// A client and its key, of one name.
    fn client(name: &str) -> (gateway_core::state::KeyHash, Arc<Client>) {
        use sha2::Digest as _;
        let key = gateway_core::state::KeyHash::new(sha2::Sha256::digest(name).into());
        (key, Arc::new(Client::new(name, name)))
    }

    pub(super) fn request(
        who: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Request<Full<bytes::Bytes>> {
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

    pub(super) async fn text(
        &self,
        who: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> (u16, String) {
        let reply =
            handle(Arc::clone(&self.service), PEER, Self::request(who, method, path, &body)).await;
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    pub(super) async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let (status, text) = self.text("ours", method, path, body).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}")))
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, &format!("/v1/responses/{path}"), Value::Null).await
    }

    /// Creates an answer, which must succeed.
    pub(super) async fn create(&self, model: &str, more: Value) -> Value {
        let (status, answer) = self.post(model, more).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    pub(super) async fn post(&self, model: &str, more: Value) -> (u16, Value) {
        self.call(Method::POST, "/v1/responses", asks(model, &more)).await
    }

    /// The whole of a streamed answer.
    pub(super) async fn stream(&self, model: &str, more: Value) -> String {
        let mut body = asks(model, &more);
        body["stream"] = json!(true);
        self.text("ours", Method::POST, "/v1/responses", body).await.1
    }

    /// Waits until the answer `id` has this status.
    pub(super) async fn until(&self, id: &str, status: &str) -> Value {
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

pub(super) fn asks(model: &str, more: &Value) -> Value {
    let mut body = json!({ "model": model, "input": "hi" });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

pub(super) fn id(answer: &Value) -> &str {
    answer["id"].as_str().unwrap()
}

pub(super) fn said(answer: &Value) -> &str {
    answer["output"][0]["content"][0]["text"].as_str().unwrap_or_default()
}

/// Returns the response object of the last of `events`.
pub(super) fn last(events: &str) -> Value {
    let last = sse::events(events.as_bytes()).last().unwrap();
    serde_json::from_str::<Value>(&last.data).unwrap()["response"].clone()
}

pub(super) fn first(events: &str) -> Value {
    let first = sse::events(events.as_bytes()).next().unwrap();
    serde_json::from_str::<Value>(&first.data).unwrap()["response"].clone()
}

/// The limits of bodies.
fn body_limits() -> BodyLimits {
    BodyLimits {
        max_bytes: 1 << 20,
        max_upload_bytes: 1 << 20,
        timeout: Duration::from_secs(5),
        budget: Arc::new(MemoryBudget::new(1 << 24)),
    }
}
