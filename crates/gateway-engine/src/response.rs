//! What comes of a request: a response or a failure, and what its reply reports either way.

use crate::{Decision, context_fit::ContextFit};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use gateway_core::{GatewayError, Price, ResponseMeta, Usage};
use gateway_limits::RateLimitStatus;
use gateway_sessions::{Composed as SessionFacts, NotStored};

/// What a reply reports beside its body. Rendered as headers by the HTTP layer.
#[derive(Debug, Default)]
pub struct ResponseFacts {
    /// The state of the caller's rate limits.
    pub rate_limits: RateLimitStatus,
    /// How full the model's context window is, if it was measured.
    pub context_fit: Option<ContextFit>,
    /// What the session contributed.
    pub session: SessionFacts,
    /// The records of the response that could not be stored.
    pub not_stored: Vec<NotStored>,
    /// The provider that answered, its attempts, and what a translation dropped.
    pub meta: Option<ResponseMeta>,
    /// The tokens of a whole response, and their price if it is known.
    pub cost: Option<(Usage, Option<Price>)>,
    /// The routing decision, if the caller asked for it.
    pub decision: Option<Decision>,
}

/// A response of the engine.
pub struct EngineResponse {
    /// What the reply reports beside the body.
    pub facts: ResponseFacts,
    /// The body.
    pub body: ResponseBody,
}

/// The body of a response, in the caller's dialect.
pub enum ResponseBody {
    /// A whole response: JSON.
    Whole(Bytes),
    /// Server-sent events. Dropping the stream cancels the upstream.
    Events(BoxStream<'static, Bytes>),
}

/// A request that failed before its response began.
#[derive(Debug)]
pub struct RequestFailure {
    /// What went wrong.
    pub error: GatewayError,
    /// What the reply reports all the same.
    pub facts: ResponseFacts,
    /// Whether the failure stands in the log and the ledger already.
    pub is_accounted: bool,
}

impl RequestFailure {
    /// A failure before anything is known of the request.
    pub(crate) fn early(error: GatewayError) -> Box<Self> {
        Box::new(Self { error, facts: ResponseFacts::default(), is_accounted: false })
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Events(_) => "Events",
        })
    }
}

impl std::fmt::Debug for EngineResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineResponse").field("facts", &self.facts).finish_non_exhaustive()
    }
}
