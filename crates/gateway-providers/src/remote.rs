//! A provider somewhere else: dialects, an address, a credential.

use crate::{reading, services::Services};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::{
    Chunk, ChunkStream, Context, Dialect, DroppedParams, Embedded, EmbeddingCall, ErrorKind,
    GatewayError, Inspection, Payload, PlannedAttempt, Provider, ProviderRequest, ProviderResponse,
    ResponseMeta, Result, Target,
};
use gateway_net::client::{HttpClient, Pieces};
use gateway_wire::{
    EncodedRequest, ErrorReply, IdGenerator, MAX_ANSWER_BYTES, OutboundDialect, StreamFraming,
    unreadable, without_unsupported_tools,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::{sync::Arc, time::Duration};
use tokio::time;
use uuid::Uuid;

/// A provider behind HTTP.
pub struct Remote {
    /// Its id.
    pub(crate) id: Arc<str>,
    /// The dialects it speaks, its usual one first.
    pub(crate) apis: Vec<Api>,
    /// What it does besides answering.
    pub(crate) services: Services,
    /// What is sent with every request: credentials and whatever is configured.
    pub(crate) headers: HeaderMap,
    /// Headers of the caller that are passed on to an upstream of the same dialect.
    pub(crate) client: HttpClient,
}

/// One dialect of a provider, and where it is served.
pub(crate) struct Api {
    /// The dialect.
    pub(crate) upstream: Box<dyn OutboundDialect>,
    /// The address to post a call to.
    pub(crate) address: Address,
}

/// Where calls are posted.
pub(crate) enum Address {
    /// To one address.
    Fixed(Uri),
    /// To an address that names the model, and how the answer is to come.
    OfCall(Locate),
}

/// What is posted, and where.
pub(crate) struct Letter {
    to: Uri,
    body: Vec<Bytes>,
    accept: &'static str,
}

/// Says where a call is posted.
pub(crate) type Locate = Box<dyn Fn(&ProviderRequest) -> Result<Uri> + Send + Sync>;

/// An upstream's explanation of a failure is read no further than this.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// And for no longer than this.
const ERROR_TIME: Duration = Duration::from_secs(5);

#[async_trait]
impl Provider for Remote {
    fn id(&self) -> &str {
        &self.id
    }

    fn upstream_dialect(&self, target: &Target, dialect: Dialect) -> Option<Dialect> {
        self.api(target, |it| it == dialect).map(|api| api.upstream.dialect())
    }

    async fn plan(&self, call: &ProviderRequest) -> Vec<PlannedAttempt> {
        vec![PlannedAttempt {
            provider: Arc::clone(&self.id),
            target: call.target.clone(),
            credential: None,
            unavailable: None,
            dropped: self.prepare(call.clone()).map(|prepared| prepared.dropped),
            cache: None,
        }]
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let prepared = self.prepare(call)?;
        let model = Arc::clone(&prepared.call.target.model);
        self.ask(prepared).await.map_err(|error| error.with_meta(self.meta(&model)))
    }

    async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        match &self.services.counter {
            Some(counter) => {
                let tokens = counter.count(self, &call).await;
                tokens.map_err(|error| error.with_meta(self.meta(&call.target.model)))
            }
            None => Ok(None),
        }
    }

    async fn embed(&self, call: EmbeddingCall) -> Result<Embedded> {
        match &self.services.embedder {
            Some(embedder) => {
                let vectors = embedder.embed(self, &call).await;
                vectors.map_err(|error| error.with_meta(self.meta(&call.target.model)))
            }
            None => Err(EmbeddingCall::unsupported()),
        }
    }
}

/// A call that can be sent.
struct Prepared<'a> {
    api: &'a Api,
    call: ProviderRequest,
    letter: Letter,
    dropped: DroppedParams,
}

impl Remote {
    /// Puts a call into the words of one of the provider's dialects.
    ///
    /// # Errors
    ///
    /// If it cannot be said there; nobody has been asked then.
    fn prepare(&self, call: ProviderRequest) -> Result<Prepared<'_>> {
        let original = |dialect| call.original(dialect).is_some();
        let api = self.api(&call.target, original).ok_or_else(speechless)?;
        let (call, mut dropped) = sayable(call, api.upstream.dialect())?;
        let EncodedRequest { body, dropped: more } = api.upstream.encode(&call)?;
        dropped.extend(more);
        if call.strict {
            dropped.require_empty()?;
        }
        let uri = match &api.address {
            Address::Fixed(uri) => uri.clone(),
            Address::OfCall(of) => of(&call)?,
        };
        let streamed = call.stream && api.upstream.framing() == StreamFraming::Sse;
        let accept = if streamed { "text/event-stream" } else { "application/json" };
        Ok(Prepared { api, call, letter: Letter { to: uri, body, accept }, dropped })
    }

    async fn ask(&self, prepared: Prepared<'_>) -> Result<ProviderResponse> {
        let Prepared { api, call, letter, dropped } = prepared;
        let same_dialect = call.original(api.upstream.dialect()).is_some();
        let response = self.post(letter, &call.context, same_dialect).await?;
        let response = check(api, response).await?;
        let meta = ResponseMeta {
            upstream_request_id: upstream_request_id(response.headers()),
            dropped,
            card: call.target.card.clone(),
            ..self.meta(&call.target.model)
        };
        let ids = IdGenerator::new(Uuid::new_v4().as_u128());
        let chunks = if call.stream && is_streamed(api.upstream.framing(), response.headers()) {
            reading::chunks(response.into_body(), api.upstream.framing(), {
                api.upstream.reader(&call, ids)
            })
        } else {
            let body = whole(response.into_body()).await?;
            one(read_whole(api, call, body, ids)?)
        };
        Ok(ProviderResponse { meta, chunks })
    }

    /// Who was asked, once.
    pub(crate) fn meta(&self, model: &Arc<str>) -> ResponseMeta {
        ResponseMeta {
            provider: Arc::clone(&self.id),
            model: Arc::clone(model),
            attempts: 1,
            ..ResponseMeta::default()
        }
    }

    /// The dialect in which to ask: the one the model wants, else the caller's own, else the usual.
    fn api(&self, target: &Target, is_callers: impl Fn(Dialect) -> bool) -> Option<&Api> {
        let speaks =
            |dialect: Dialect| self.apis.iter().find(|it| it.upstream.dialect() == dialect);
        let wanted = target.card.as_ref().and_then(|card| card.api).and_then(speaks);
        let callers = || self.apis.iter().find(|it| is_callers(it.upstream.dialect()));
        wanted.or_else(callers).or(self.apis.first())
    }

    /// Posts `body` to a service of this provider and waits for the whole reply.
    ///
    /// # Errors
    ///
    /// If the provider refuses or fails, in the words of its usual dialect.
    pub(crate) async fn exchange(
        &self,
        letter: Letter,
        context: &Context,
        same_dialect: bool,
    ) -> Result<(HeaderMap, Bytes)> {
        let response = self.post(letter, context, same_dialect).await?;
        let usual = self.apis.first().ok_or_else(speechless)?;
        let (head, body) = check(usual, response).await?.into_parts();
        Ok((head.headers, whole(body).await?))
    }

    /// Headers are built, never copied: nothing of the caller's gets through by accident.
    async fn post(
        &self,
        letter: Letter,
        context: &Context,
        same_dialect: bool,
    ) -> Result<Response<Incoming>> {
        let Letter { to, body, accept } = letter;
        let mut request = Request::new(Pieces::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = to;
        let headers = request.headers_mut();
        // Room for all that is added here, by the caller's dialect, and by the HTTP client.
        headers.reserve(self.headers.len() + 16);
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("llm-gateway"));
        add_context(headers, context, same_dialect);
        self.client.send(request).await
    }
}

impl Letter {
    /// One that wants to be answered in JSON.
    pub(crate) const fn json(to: Uri, body: Vec<Bytes>) -> Self {
        Self { to, body, accept: "application/json" }
    }
}

fn speechless() -> GatewayError {
    GatewayError::new(ErrorKind::Internal, "a provider without a dialect")
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The call without tools that only other providers have.
pub(crate) fn sayable(
    mut call: ProviderRequest,
    dialect: Dialect,
) -> Result<(ProviderRequest, DroppedParams)> {
    let mut dropped = DroppedParams::default();
    if call.original(dialect).is_none()
        && let Some(rest) = without_unsupported_tools(call.request()?, dialect, &mut dropped)?
    {
        call.payload = Payload::Parsed(Arc::new(rest));
    }
    Ok((call, dropped))
}

fn add_context(headers: &mut HeaderMap, context: &Context, same_dialect: bool) {
    let mut add = |name: &'static str, value: Option<&str>| {
        if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    add("x-request-id", Some(&*context.request_id).filter(|id| !id.is_empty()));
    add("traceparent", context.traceparent.as_deref());
    add("tracestate", context.tracestate.as_deref());
    if same_dialect {
        for (name, value) in context.headers.iter() {
            add(name, Some(value));
        }
    }
}

/// Lets a success pass; turns anything else into an error.
async fn check(api: &Api, response: Response<Incoming>) -> Result<Response<Incoming>> {
    let status = response.status();
    if status.is_redirection() {
        return Err(GatewayError::new(
            ErrorKind::UpstreamInvalid,
            "the provider answered with a redirect, which is not followed",
        )
        .with_code("upstream_redirect")
        .with_upstream_status(status.as_u16()));
    }
    if !status.is_success() {
        return Err(refusal(api, response).await);
    }
    if status == StatusCode::NO_CONTENT {
        return Err(unreadable("an answer without content"));
    }
    let encoding = response.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(unreadable("an encoded answer, which was not asked for"));
    }
    Ok(response)
}

async fn refusal(api: &Api, response: Response<Incoming>) -> GatewayError {
    let (head, body) = response.into_parts();
    let reading = Limited::new(body, MAX_ERROR_BYTES).collect();
    let body = match time::timeout(ERROR_TIME, reading).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) | Err(_) => Bytes::new(),
    };
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    api.upstream.read_error(&ErrorReply {
        status: head.status.as_u16(),
        retry_after: crate::retry_after::of_reply(&head.headers, head.status),
        should_retry: text("x-should-retry").and_then(|value| value.parse().ok()),
        body: &body,
    })
}

/// Reads a whole answer.
async fn whole(body: Incoming) -> Result<Bytes> {
    match Limited::new(body, MAX_ANSWER_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(unreadable(error)),
        Err(error) => Err(reading::cut(error)),
    }
}

/// Where a stream was asked for, the bytes of a whole answer are of no use: only what it says is.
fn read_whole(
    api: &Api,
    mut call: ProviderRequest,
    body: Bytes,
    ids: IdGenerator,
) -> Result<Chunk> {
    if !call.stream {
        return api.upstream.read_whole(&call, body, ids);
    }
    call.inspection = Inspection::Full;
    let chunk = api.upstream.read_whole(&call, body, ids)?;
    Ok(Chunk { verbatim: None, ..chunk })
}

fn one(chunk: Chunk) -> ChunkStream {
    Box::pin(futures_util::stream::iter([Ok(chunk)]))
}

/// Whether the answer comes in pieces. A server that does not know how to stream answers whole.
fn is_streamed(framing: StreamFraming, headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match framing {
        StreamFraming::Sse => kind.trim_start().starts_with("text/event-stream"),
        StreamFraming::Lines => true,
    }
}

pub(crate) fn upstream_request_id(headers: &HeaderMap) -> Option<String> {
    const NAMES: [HeaderName; 3] = [
        HeaderName::from_static("x-request-id"),
        HeaderName::from_static("request-id"),
        HeaderName::from_static("x-generation-id"),
    ];
    NAMES
        .into_iter()
        .find_map(|name| headers.get(name)?.to_str().ok())
        .filter(|id| id.len() <= 128)
        .map(str::to_owned)
}
