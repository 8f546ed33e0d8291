//! Requests to model providers, and their context.

use crate::{
    CacheDirective, CallMeter, ChatRequest, Content, Dialect, ErrorKind, GatewayError, ModelCard,
    Part, ProviderKey, RawRequest, RelayRequest, Result, SealOwner, UsageMeter,
};
use bytes::Bytes;
use std::{num::NonZeroU32, sync::Arc};

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
    /// The caller's own key, which replaces the credential of the request's one provider.
    pub provider_key: Option<ProviderKey>,
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
