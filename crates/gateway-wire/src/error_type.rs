//! The `type` values by which OpenAI's clients distinguish errors.

use gateway_core::ErrorKind;

/// Returns `OpenAI`'s `type` for an error.
///
/// ```
/// use gateway_core::ErrorKind;
///
/// assert_eq!(gateway_wire::error_type(ErrorKind::RateLimited), "rate_limit_error");
/// ```
pub const fn error_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::QuotaExceeded | ErrorKind::StorageQuota => "insufficient_quota",
        ErrorKind::InvalidRequest
        | ErrorKind::Unprocessable
        | ErrorKind::ContextLength
        | ErrorKind::ContentFilter
        | ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
        | ErrorKind::NotFound
        | ErrorKind::ModelNotFound
        | ErrorKind::MethodNotAllowed
        | ErrorKind::RequestTimeout
        | ErrorKind::Conflict
        | ErrorKind::TooLarge
        | ErrorKind::UriTooLong
        | ErrorKind::HeadersTooLarge
        | ErrorKind::UnsupportedMedia
        | ErrorKind::ExpectationFailed
        | ErrorKind::Cancelled => "invalid_request_error",
        ErrorKind::NotImplemented
        | ErrorKind::UpstreamUnsupported
        | ErrorKind::Upstream
        | ErrorKind::UpstreamAuth
        | ErrorKind::UpstreamInvalid
        | ErrorKind::UpstreamCut
        | ErrorKind::UpstreamTruncated
        | ErrorKind::UpstreamStalled
        | ErrorKind::UpstreamTimeout
        | ErrorKind::UpstreamUnreachable
        | ErrorKind::UpstreamOverloaded
        | ErrorKind::NotConfigured
        | ErrorKind::Unavailable
        | ErrorKind::Overloaded
        | ErrorKind::ShuttingDown
        | ErrorKind::Internal => "server_error",
    }
}
