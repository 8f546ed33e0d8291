//! The port to a model vendor.

use crate::{
    Attempt, Cached, Caching, ChatRequest, ChatResponse, ChunkStream, Collector, Dialect,
    DroppedParams, Embedded, EmbeddingCall, ModelCard, PlannedAttempt, RawRequest, Result,
    UnavailableReason,
};
use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use std::{num::NonZeroU32, sync::Arc};

/// Something that answers calls.
///
/// A provider translates and transports. It does not retry, cache, count or fall back: those are
/// wrappers that implement this same trait, by way of [`ProviderLayer`](crate::ProviderLayer), so they compose in any
/// order. The defaults are those of a provider that can do no more than answer.
///
/// # Cancellation
///
/// Dropping a returned future or stream cancels the upstream call.
#[async_trait]
pub trait Provider: Send + Sync {
    /// A short, stable name: `openai`, `anthropic`.
    fn id(&self) -> &str;

    /// The dialect in which a request that came in `dialect` is put to `target`, if there is one.
    fn upstream_dialect(&self, target: &Target, dialect: Dialect) -> Option<Dialect> {
        let _ = (target, dialect);
        None
    }

    /// What speaks against asking `target` now, as far as is known without asking.
    fn unavailability(&self, target: &Target) -> Option<UnavailableReason> {
        let _ = target;
        None
    }

    /// What answering `call` would come to: each target in the order in which it would be asked.
    /// Nobody is asked.
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

    /// Answers. A call that does not stream has its whole answer in one chunk.
    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse>;

    /// Counts the tokens that `call` would have its model read. `None` if this provider does not
    /// count for others.
    async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        let _ = call;
        Ok(None)
    }

    /// Turns texts into vectors.
    ///
    /// # Errors
    ///
    /// Among others, if this provider makes none.
    async fn embed(&self, call: EmbeddingCall) -> Result<Embedded> {
        let _ = call;
        Err(EmbeddingCall::unsupported())
    }
}

/// A request on its way to a provider. Cheap to clone, so that it can be sent again.
#[derive(Clone, Debug)]
pub struct ProviderRequest {
    /// Whom to ask.
    pub target: Target,
    /// What to ask.
    pub payload: Payload,
    /// Whether to ask for the answer step by step.
    pub stream: bool,
    /// How closely to read chunks that are passed on verbatim.
    pub inspection: Inspection,
    /// Refuse what cannot be carried, instead of leaving it behind.
    pub strict: bool,
    /// What travels beside the request.
    pub context: Context,
}

/// Whom to ask: a model, as its provider names it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The name to send.
    pub model: Arc<str>,
    /// What the catalogue knows of it.
    pub card: Option<Arc<ModelCard>>,
}

/// What to ask: the caller's own bytes, or a request that the gateway composed.
#[derive(Clone, Debug)]
pub enum Payload {
    /// As the caller wrote it.
    Raw(Arc<RawRequest>),
    /// Composed or edited here.
    Parsed(Arc<ChatRequest>),
}

/// How closely a provider reads chunks whose bytes are passed on verbatim.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Inspection {
    /// Usage and finish only.
    #[default]
    UsageOnly,
    /// Every event: something in the gateway needs the content.
    Full,
}

/// What travels beside a request.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The request's name in logs; sent upstream as `x-request-id`.
    pub request_id: Arc<str>,
    /// Whose request it is: part of every key under which anything is kept.
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
    /// The models that the caller may use, if not all: see [`admits`].
    pub models: Option<Arc<[String]>>,
    /// How often upstreams may be called; as often as is usual if absent.
    pub attempts: Option<NonZeroU32>,
    /// What the request may do although circuits are open.
    pub breaker: BreakerHints,
    /// Whether the answer may be remembered.
    pub caching: Caching,
}

/// How a request treats circuit breakers. The default respects them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BreakerHints {
    /// Ignores circuit breakers and cooldowns: the request is admitted, and nothing is recorded.
    pub bypass_breaker: bool,
    /// Probes an open circuit before its cooldown has passed: no other target is left.
    pub force_open_circuit: bool,
    /// The request is the probe of a half-open circuit: it has half the time to begin.
    pub half_open_probe: bool,
}

/// Whether one of `patterns` fits a model, by any of its `names`. `*` at the end of a pattern stands
/// for any rest.
pub fn admits(patterns: &[String], names: &[&str]) -> bool {
    let fits = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
        Some(start) => {
            name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
        }
        None => name.eq_ignore_ascii_case(pattern),
    };
    patterns.iter().any(|pattern| names.iter().any(|name| fits(pattern, name)))
}

/// An answer that has begun.
pub struct ProviderResponse {
    /// What is known of it before its first chunk.
    pub meta: ResponseMeta,
    /// The answer.
    pub chunks: ChunkStream,
}

/// What is known of an answer before its first chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseMeta {
    /// Who answers.
    pub provider: Arc<str>,
    /// The model that was asked, as its provider names it.
    pub model: Arc<str>,
    /// The upstream's name for the request.
    pub upstream_request_id: Option<String>,
    /// What the translation left behind.
    pub dropped: DroppedParams,
    /// How often upstreams were called.
    pub attempts: u32,
    /// What the catalogue knows of the model that answers.
    pub card: Option<Arc<ModelCard>>,
    /// Who was considered before, and did not answer.
    pub attempts_log: Vec<Attempt>,
    /// What a cache did, if there is one.
    pub cache: Option<Cached>,
}

impl ProviderRequest {
    /// A call of the gateway's own making.
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

    /// The request, decoded.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the caller's request, if it is undecoded and cannot be decoded.
    pub fn request(&self) -> Result<&ChatRequest> {
        match &self.payload {
            Payload::Raw(original) => original.decoded(),
            Payload::Parsed(request) => Ok(request),
        }
    }

    /// The caller's own bytes, if they are in `dialect` and nothing was edited.
    pub fn original(&self, dialect: Dialect) -> Option<&RawRequest> {
        match &self.payload {
            Payload::Raw(original) if original.dialect == dialect => Some(original),
            Payload::Raw(_) | Payload::Parsed(_) => None,
        }
    }
}

impl ProviderResponse {
    /// Waits for the whole answer: the fold of its chunks.
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
