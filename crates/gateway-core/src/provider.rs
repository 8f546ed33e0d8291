//! The provider port: requests to and responses from model providers.

use crate::{
    Attempt, CacheDirective, CacheStatus, CallMeter, ChatRequest, ChatResponse, ChunkStream,
    Collector, Content, Dialect, DroppedParams, EmbeddingCall, EmbeddingResult, ErrorKind,
    GatewayError, ModelCard, Part, PlannedAttempt, RawRequest, RelayRequest, Result, SealOwner,
    UnavailableReason, UsageMeter,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use std::{num::NonZeroU32, sync::Arc};

/// A model provider: the port to an upstream.
///
/// A provider translates and transports. It does not retry, cache, count or fall back: those are
/// wrappers that implement this same trait, by way of [`ProviderLayer`](crate::ProviderLayer), so
/// they compose in any order. The defaults are those of a provider that can do no more than answer.
///
/// # Cancellation
///
/// Dropping a returned future or stream cancels the upstream call.
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait Provider: Send + Sync {
    /// Returns the short, stable id: `openai`, `anthropic`.
    fn id(&self) -> &str;

    /// Returns the dialect in which a request of `dialect` is sent to `target`, if known beforehand.
    fn upstream_dialect(&self, target: &Target, dialect: Dialect) -> Option<Dialect> {
        let _ = (target, dialect);
        None
    }

    /// Returns the owners under which this provider seals reasoning for `target`: one for each
    /// credential. A provider that seals nothing has none.
    fn seal_owners(&self, target: &Target) -> Vec<SealOwner> {
        let _ = target;
        Vec::new()
    }

    /// Returns why `target` cannot be called now, as far as is known without I/O.
    fn unavailability(&self, target: &Target) -> Option<UnavailableReason> {
        let _ = target;
        None
    }

    /// Plans `call` without sending it: every target in the order in which it would be called.
    /// No upstream is called.
    async fn plan(&self, call: &ProviderRequest) -> Vec<PlannedAttempt> {
        vec![PlannedAttempt {
            provider: self.id().into(),
            target: call.target.clone(),
            credential: None,
            unavailable: self.unavailability(&call.target),
            dropped: Ok(DroppedParams::default()),
            cache: None,
        }]
    }

    /// Sends the request and returns the response. A request without `stream` yields a single chunk.
    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse>;

    /// Counts the input tokens of `call`. Returns `None` if this provider does not
    /// count tokens.
    async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        let _ = call;
        Ok(None)
    }

    /// Computes embeddings.
    ///
    /// # Errors
    ///
    /// Among others, if this provider has no embeddings.
    async fn embed(&self, call: EmbeddingCall) -> Result<EmbeddingResult> {
        let _ = call;
        Err(EmbeddingCall::unsupported())
    }
}

/// A request to a provider. Cheap to clone, so that it can be retried.
#[derive(Clone, Debug)]
pub struct ProviderRequest {
    /// The model to call, and its provider.
    pub target: Target,
    /// Body of the request.
    pub payload: Payload,
    /// Whether the response is streamed.
    pub stream: bool,
    /// Depth of inspection of chunks that are passed on verbatim.
    pub inspection: Inspection,
    /// Whether parameters that cannot be translated are refused instead of dropped.
    pub strict: bool,
    /// Request context: identity, tracing, limits.
    pub context: Context,
}

/// A model, as its provider names it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Model name that is sent upstream.
    pub model: Arc<str>,
    /// Catalogue entry of the model.
    pub card: Option<Arc<ModelCard>>,
}

/// The body of a request: the caller's own bytes, or a request that the gateway composed.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Bytes of the caller, unchanged.
    Raw(Arc<RawRequest>),
    /// A request that was composed or edited by the gateway.
    Parsed(Arc<ChatRequest>),
    /// A request that is relayed as it is, and holds no conversation.
    Relayed(Arc<RelayRequest>),
}

/// The depth to which a provider decodes chunks whose bytes are passed on verbatim.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Inspection {
    /// Only usage and finish reason are decoded.
    #[default]
    UsageOnly,
    /// Every event is decoded: the gateway needs the content.
    Full,
}

/// The context of a request: identity, tracing, limits.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Request id for logs; sent upstream as `x-request-id`.
    pub request_id: Arc<str>,
    /// Tenant of the request: part of every storage key.
    pub tenant: Arc<str>,
    /// W3C trace context of the request, if the caller is tracing.
    pub traceparent: Option<Arc<str>>,
    /// Vendor part of the trace context.
    pub tracestate: Option<Arc<str>>,
    /// Headers that the caller's dialect passes through to an upstream of the same dialect, such
    /// as `anthropic-beta`. Names are in lower case.
    pub headers: Arc<[(&'static str, String)]>,
    /// The request comes from the platform's context service, and must not be sent back to it.
    pub from_context_service: bool,
    /// Allowed models (patterns, see [`admits`](crate::admits)); `None` allows all.
    pub models: Option<Arc<[String]>>,
    /// Maximum number of upstream calls; default: the retry layer's own.
    pub attempts: Option<NonZeroU32>,
    /// Treatment of open circuits.
    pub breaker: BreakerHints,
    /// Whether the response may be cached.
    pub caching: CacheDirective,
    /// Meter of the upstream calls, if they are accounted for.
    pub meter: Option<Arc<UsageMeter>>,
    /// Size above which a response that is not streamed may pass on while it arrives, in bytes;
    /// `None` if it has to be whole.
    pub passthrough_above: Option<usize>,
}

/// The treatment of circuit breakers by a request. The default respects them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BreakerHints {
    /// Ignores circuit breakers and cooldowns: the request is admitted, and nothing is recorded.
    pub bypass_breaker: bool,
    /// Probes an open circuit before its cooldown has passed: no other target is left.
    pub force_open_circuit: bool,
    /// The request is the probe of a half-open circuit: it has half the time to begin.
    pub half_open_probe: bool,
}

/// A response that has begun.
pub struct ProviderResponse {
    /// Metadata, known before the first chunk.
    pub meta: ResponseMeta,
    /// Chunks of the response.
    pub chunks: ChunkStream,
}

/// The metadata of a response, known before its first chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseMeta {
    /// Id of the provider.
    pub provider: Arc<str>,
    /// Model name, as the provider names it.
    pub model: Arc<str>,
    /// Request id that the upstream assigned.
    pub upstream_request_id: Option<String>,
    /// Header fields of the upstream that callers of its dialect read, names in lower case.
    pub relayed_headers: Option<Arc<[(String, String)]>>,
    /// Parameters that the translation dropped.
    pub dropped: DroppedParams,
    /// Number of upstream calls.
    pub attempts: u32,
    /// Catalogue entry of the model.
    pub card: Option<Arc<ModelCard>>,
    /// Targets that were tried or skipped before.
    pub attempts_log: Vec<Attempt>,
    /// Cache lookup result, if a cache is configured.
    pub cache: Option<CacheStatus>,
    /// Set if the chunks are the pieces of one body, which passes on while it arrives.
    pub passthrough: Option<PassthroughBody>,
}

/// The body of a response that passes on while it arrives: its verbatim bytes are those of its chunks,
/// one after the other. Unless the request was relayed, its last bytes come after it was found
/// complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PassthroughBody {
    /// The HTTP status of the reply.
    pub status: u16,
    /// Length of the body in bytes, if the upstream announced it.
    pub length: Option<u64>,
}

impl Context {
    /// Opens the record of an upstream call with this body in the meter of the request.
    pub fn meter_call(&self, provider: &Arc<str>, target: &Target, body: &[Bytes]) -> CallMeter {
        let meter = self.meter.as_ref();
        meter.map(|it| it.call(provider, target.card.as_ref(), body)).unwrap_or_default()
    }
}

impl ProviderRequest {
    /// Creates a request that the gateway composed.
    pub fn new(request: ChatRequest) -> Self {
        Self {
            target: Target { model: request.model.as_str().into(), card: None },
            stream: request.stream,
            payload: Payload::Parsed(Arc::new(request)),
            inspection: Inspection::Full,
            strict: false,
            context: Context::default(),
        }
    }

    /// Returns the decoded request.
    ///
    /// # Errors
    ///
    /// If the caller's bytes are not a valid request of their dialect.
    pub fn request(&self) -> Result<&ChatRequest> {
        match &self.payload {
            Payload::Raw(original) => original.decoded(),
            Payload::Parsed(request) => Ok(request),
            Payload::Relayed(_) => {
                let message = "a relayed request holds no conversation";
                Err(GatewayError::new(ErrorKind::Internal, message))
            }
        }
    }

    /// Returns the dialect that the caller speaks, if one does.
    pub fn caller_dialect(&self) -> Option<Dialect> {
        match &self.payload {
            Payload::Raw(original) => Some(original.dialect),
            Payload::Parsed(request) => request.dialect,
            Payload::Relayed(_) => None,
        }
    }

    /// Whether it can be sent again: the body of a relayed one may be gone.
    pub fn is_repeatable(&self) -> bool {
        self.relayed().is_none_or(|relayed| relayed.is_repeatable())
    }

    /// Returns the relayed request, if this is one.
    pub fn relayed(&self) -> Option<&Arc<RelayRequest>> {
        match &self.payload {
            Payload::Relayed(relayed) => Some(relayed),
            Payload::Raw(_) | Payload::Parsed(_) => None,
        }
    }

    /// Returns the owner of the last seal in the conversation, which is best called again.
    pub fn latest_seal_owner(&self) -> Option<SealOwner> {
        match &self.payload {
            Payload::Raw(original) => SealOwner::last_of(&original.body),
            Payload::Parsed(request) => {
                let messages = request.messages.iter().rev();
                messages.flat_map(|message| message.parts.iter().rev()).find_map(owner_of_part)
            }
            Payload::Relayed(_) => None,
        }
    }

    /// Returns the caller's own bytes, if they are in `dialect` and were not edited.
    pub fn original(&self, dialect: Dialect) -> Option<&RawRequest> {
        match &self.payload {
            Payload::Raw(original) if original.dialect == dialect => Some(original),
            Payload::Raw(_) | Payload::Parsed(_) | Payload::Relayed(_) => None,
        }
    }
}

/// The owner of the seal that `part` carries.
fn owner_of_part(part: &Part) -> Option<SealOwner> {
    let seal = match &part.content {
        Content::Reasoning(reasoning) => reasoning.seal.as_ref()?,
        Content::ToolCall(call) => call.seal.as_ref()?,
        Content::Opaque(opaque) => return SealOwner::of(opaque.json.get()),
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Image(_)
        | Content::Audio(_)
        | Content::File(_)
        | Content::ToolResult(_) => return None,
    };
    SealOwner::of(&seal.data)
}

impl ProviderResponse {
    /// Waits for the whole response: the fold of its chunks.
    ///
    /// # Errors
    ///
    /// The first error of the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the upstream request.
    pub async fn collect(mut self) -> Result<ChatResponse> {
        let mut answer = Collector::default();
        while let Some(chunk) = self.chunks.try_next().await? {
            answer.extend(chunk.events);
        }
        Ok(answer.finish())
    }
}

impl std::fmt::Debug for ProviderResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderResponse").field("meta", &self.meta).finish_non_exhaustive()
    }
}
