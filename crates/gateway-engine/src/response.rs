//! The result of a request, success or failure, with the facts that the reply reports.

use crate::{Decision, context_fit::ContextFit};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use gateway_core::{Attribution, GatewayError, NanoDollars, Price, ResponseMeta, Result, Usage};
use gateway_limits::{Client, RateLimitStatus};
use gateway_sessions::{CompositionFacts as SessionFacts, NotStored};
use std::sync::Arc;

/// The facts that a reply reports outside of its body. The HTTP layer renders them as headers.
#[derive(Debug, Default)]
pub struct ResponseFacts {
    /// The state of the caller's rate limits.
    pub rate_limits: RateLimitStatus,
    /// The fill level of the model's context window, if it was measured.
    pub context_fit: Option<ContextFit>,
    /// The facts of the session.
    pub session: SessionFacts,
    /// The records of the response that could not be stored.
    pub not_stored: Vec<NotStored>,
    /// The provider that answered, its attempts, and what a translation dropped.
    pub meta: Option<ResponseMeta>,
    /// The cost of a whole response whose tokens are known.
    pub cost: Option<ResponseCost>,
    /// The provider did not report the tokens: those of the response are an estimate.
    pub usage_is_estimated: bool,
    /// The routing decision, if the caller asked for it.
    pub decision: Option<Decision>,
}

/// The cost of a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseCost {
    /// The price of the model is known.
    Known(NanoDollars),
    /// It is not.
    Unknown,
}

impl ResponseCost {
    /// The cost of `usage` at `price`.
    pub fn at(price: Option<&Price>, usage: &Usage) -> Self {
        price.map_or(Self::Unknown, |price| Self::Known(price.cost(usage)))
    }
}

/// A response of the engine.
pub struct EngineResponse {
    /// The facts that the reply reports in headers.
    pub facts: ResponseFacts,
    /// The body, complete or streamed.
    pub body: ResponseBody,
}

/// The body of a response, in the caller's dialect.
pub enum ResponseBody {
    /// A whole response: JSON.
    Whole(Bytes),
    /// A large response, which passes on while it arrives: pieces of JSON. An error means that it
    /// has broken off. Dropping the stream cancels the upstream.
    Passing {
        /// The length in bytes, if it is known.
        length: Option<u64>,
        /// The pieces, the last of which comes once the response was found complete.
        pieces: BoxStream<'static, Result<Bytes>>,
    },
    /// The reply to a relayed request, in the provider's own words, as it arrives. An error means that
    /// it has broken off. Dropping the stream cancels the upstream.
    Relayed {
        /// The HTTP status.
        status: u16,
        /// The length in bytes, if it is known.
        length: Option<u64>,
        /// The pieces.
        pieces: BoxStream<'static, Result<Bytes>>,
    },
    /// Server-sent events. Dropping the stream cancels the upstream.
    Events(BoxStream<'static, Bytes>),
}

/// A request that failed before its response began.
#[derive(Debug)]
pub struct RequestFailure {
    /// The cause of the failure.
    pub error: GatewayError,
    /// The facts that the reply reports in headers.
    pub facts: ResponseFacts,
    /// Whether the failure stands in the log and the ledger already.
    pub is_accounted: bool,
    /// The request, as far as it was read.
    pub request: FailedRequest,
}

/// The known part of a request that was refused.
#[derive(Clone, Debug, Default)]
pub struct FailedRequest {
    /// The client, if the caller was identified.
    pub client: Option<Arc<Client>>,
    /// The model, as the caller named it.
    pub model: Option<String>,
    /// The model as a metric label, if it was routed.
    pub model_label: Option<Arc<str>>,
    /// The tags and the user, as far as they were read.
    pub attribution: Option<Arc<Attribution>>,
}

impl std::fmt::Display for RequestFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for RequestFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl RequestFailure {
    /// A failure before anything is known of the request.
    pub fn early(error: GatewayError) -> Box<Self> {
        let (facts, request) = (ResponseFacts::default(), FailedRequest::default());
        Box::new(Self { error, facts, is_accounted: false, request })
    }

    /// Returns the failure of a request for `model` that was not routed; of a client, with its
    /// attribution.
    pub(crate) fn unrouted(
        error: GatewayError,
        (client, attribution): (Arc<Client>, Option<Arc<Attribution>>),
        model: Option<String>,
    ) -> Box<Self> {
        let mut failure = Self::early(error);
        let client = Some(client);
        failure.request = FailedRequest { client, model, model_label: None, attribution };
        failure
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Passing { .. } => "Passing",
            Self::Relayed { .. } => "Relayed",
            Self::Events(_) => "Events",
        })
    }
}

impl std::fmt::Debug for EngineResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineResponse").field("facts", &self.facts).finish_non_exhaustive()
    }
}
