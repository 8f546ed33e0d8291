//! Fallback conditions: the failures after which the next target is called.

use gateway_core::{ErrorKind, GatewayError};

/// A sort of failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FallbackCondition {
    /// The provider limits the rate of requests.
    RateLimit,
    /// The provider failed, cannot be reached, or sent no answer that could be read.
    ServerError,
    /// The provider timed out.
    Timeout,
    /// The provider is not asked: it is given a pause, not set up, refuses the gateway's credential
    /// or wants to be paid, or does not have the model.
    Unavailable,
    /// The conversation does not fit the model.
    ContextLength,
    /// The provider refuses the content.
    ContentFilter,
}

impl FallbackCondition {
    /// Classifies `error`; `None` if no fallback condition applies.
    pub fn of(error: &GatewayError) -> Option<Self> {
        if error.code() == "circuit_open" {
            return Some(Self::Unavailable);
        }
        match error.kind() {
            ErrorKind::RateLimited => Some(Self::RateLimit),
            ErrorKind::Upstream
            | ErrorKind::UpstreamInvalid
            | ErrorKind::UpstreamCut
            | ErrorKind::UpstreamTruncated
            | ErrorKind::UpstreamUnreachable
            | ErrorKind::UpstreamOverloaded => Some(Self::ServerError),
            ErrorKind::UpstreamStalled | ErrorKind::UpstreamTimeout => Some(Self::Timeout),
            ErrorKind::UpstreamAuth
            | ErrorKind::UpstreamUnsupported
            | ErrorKind::QuotaExceeded
            | ErrorKind::NotConfigured
            | ErrorKind::ModelNotFound
            | ErrorKind::Unavailable => Some(Self::Unavailable),
            ErrorKind::ContextLength => Some(Self::ContextLength),
            ErrorKind::ContentFilter => Some(Self::ContentFilter),
            ErrorKind::InvalidRequest
            | ErrorKind::Unprocessable
            | ErrorKind::Unauthenticated
            | ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::MethodNotAllowed
            | ErrorKind::RequestTimeout
            | ErrorKind::Conflict
            | ErrorKind::TooLarge
            | ErrorKind::UriTooLong
            | ErrorKind::HeadersTooLarge
            | ErrorKind::UnsupportedMedia
            | ErrorKind::ExpectationFailed
            | ErrorKind::NotImplemented
            | ErrorKind::StorageQuota
            | ErrorKind::Overloaded
            | ErrorKind::ShuttingDown
            | ErrorKind::Cancelled
            | ErrorKind::Internal => None,
        }
    }
}
