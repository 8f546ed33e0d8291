//! The HTTP status of an error.

use gateway_core::ErrorKind;

/// Returns the HTTP status for errors of `kind`: no other function knows one.
///
/// ```
/// use gateway_core::ErrorKind;
///
/// assert_eq!(gateway_wire::error_status(ErrorKind::RateLimited), 429);
/// ```
pub const fn error_status(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::ContentFilter => 400,
        ErrorKind::Unauthenticated => 401,
        ErrorKind::Forbidden => 403,
        ErrorKind::NotFound | ErrorKind::ModelNotFound => 404,
        ErrorKind::MethodNotAllowed => 405,
        ErrorKind::RequestTimeout => 408,
        ErrorKind::Conflict => 409,
        ErrorKind::TooLarge => 413,
        ErrorKind::UriTooLong => 414,
        ErrorKind::UnsupportedMedia => 415,
        ErrorKind::ExpectationFailed => 417,
        ErrorKind::Unprocessable => 422,
        ErrorKind::RateLimited | ErrorKind::QuotaExceeded => 429,
        ErrorKind::HeadersTooLarge => 431,
        // No caller reads it; logs know 499 for this.
        ErrorKind::Cancelled => 499,
        ErrorKind::Internal => 500,
        ErrorKind::NotImplemented | ErrorKind::UpstreamUnsupported => 501,
        ErrorKind::Upstream
        | ErrorKind::UpstreamAuth
        | ErrorKind::UpstreamInvalid
        | ErrorKind::UpstreamCut
        | ErrorKind::UpstreamTruncated
        | ErrorKind::UpstreamUnreachable => 502,
        ErrorKind::UpstreamOverloaded
        | ErrorKind::NotConfigured
        | ErrorKind::Unavailable
        | ErrorKind::Overloaded
        | ErrorKind::ShuttingDown => 503,
        ErrorKind::UpstreamStalled | ErrorKind::UpstreamTimeout => 504,
        ErrorKind::StorageQuota => 507,
    }
}
