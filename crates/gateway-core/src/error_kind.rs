//! The kinds of errors: stable, and few enough for the label of a metric.

/// Why a call failed, in terms a caller can act on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ErrorKind {
    /// The request is malformed; sending it again will not help.
    InvalidRequest,
    /// The request is well-formed, but has an impossible value.
    Unprocessable,
    /// The conversation does not fit the model's window.
    ContextLength,
    /// The provider refuses the content.
    ContentFilter,
    /// The caller did not say who it is, or not truthfully.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// No such session, tool or route.
    NotFound,
    /// No model of this name exists.
    ModelNotFound,
    /// The route does not answer this method.
    MethodNotAllowed,
    /// The caller took too long to say what it wants.
    RequestTimeout,
    /// A concurrent request was first.
    Conflict,
    /// The request is larger than we take.
    TooLarge,
    /// The request's target is longer than we take.
    UriTooLong,
    /// The request's headers are larger than we take.
    HeadersTooLarge,
    /// The request's body is of a type or encoding we do not take.
    UnsupportedMedia,
    /// `Expect` has an unsupported value.
    ExpectationFailed,
    /// The request's framing is one we do not take.
    NotImplemented,
    /// A limit is reached, here or upstream; wait and try again.
    RateLimited,
    /// The money is spent, here or upstream; waiting a little will not help.
    QuotaExceeded,
    /// The caller's tenant keeps as much as it may.
    StorageQuota,
    /// The upstream answered with an error.
    Upstream,
    /// The upstream is not made, or not set up, for what the request asks.
    UpstreamUnsupported,
    /// The upstream does not accept the gateway's own credential.
    UpstreamAuth,
    /// The upstream sent something we cannot read, or should not have sent.
    UpstreamInvalid,
    /// The connection to the upstream broke in the middle of the answer.
    UpstreamCut,
    /// The upstream's answer ended without saying that it was complete.
    UpstreamTruncated,
    /// The upstream fell silent in the middle of the answer.
    UpstreamStalled,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// No connection to the upstream.
    UpstreamUnreachable,
    /// The upstream has too much to do.
    UpstreamOverloaded,
    /// The model's provider has no credential here.
    NotConfigured,
    /// No upstream, or no store, is able to take the call now.
    Unavailable,
    /// The gateway has too much to do.
    Overloaded,
    /// The gateway is stopping.
    ShuttingDown,
    /// The caller has gone.
    Cancelled,
    /// A bug in the gateway.
    Internal,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 36] = [
        Self::InvalidRequest,
        Self::Unprocessable,
        Self::ContextLength,
        Self::ContentFilter,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::ModelNotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::Conflict,
        Self::TooLarge,
        Self::UriTooLong,
        Self::HeadersTooLarge,
        Self::UnsupportedMedia,
        Self::ExpectationFailed,
        Self::NotImplemented,
        Self::RateLimited,
        Self::QuotaExceeded,
        Self::StorageQuota,
        Self::Upstream,
        Self::UpstreamUnsupported,
        Self::UpstreamAuth,
        Self::UpstreamInvalid,
        Self::UpstreamCut,
        Self::UpstreamTruncated,
        Self::UpstreamStalled,
        Self::UpstreamTimeout,
        Self::UpstreamUnreachable,
        Self::UpstreamOverloaded,
        Self::NotConfigured,
        Self::Unavailable,
        Self::Overloaded,
        Self::ShuttingDown,
        Self::Cancelled,
        Self::Internal,
    ];

    /// Returns the kind with the stable name `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The stable name: the wire's `error.code` and the metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unprocessable => "unprocessable",
            Self::ContextLength => "context_length_exceeded",
            Self::ContentFilter => "content_filter",
            Self::Unauthenticated => "invalid_api_key",
            Self::Forbidden => "permission_denied",
            Self::NotFound => "not_found",
            Self::ModelNotFound => "model_not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::Conflict => "conflict",
            Self::TooLarge => "request_too_large",
            Self::UriTooLong => "uri_too_long",
            Self::HeadersTooLarge => "headers_too_large",
            Self::UnsupportedMedia => "unsupported_media_type",
            Self::ExpectationFailed => "expectation_failed",
            Self::NotImplemented => "unsupported_transfer_encoding",
            Self::RateLimited => "rate_limit_exceeded",
            Self::QuotaExceeded => "insufficient_quota",
            Self::StorageQuota => "storage_quota_exceeded",
            Self::Upstream => "upstream_error",
            Self::UpstreamUnsupported => "upstream_unsupported",
            Self::UpstreamAuth => "upstream_auth",
            Self::UpstreamInvalid => "upstream_invalid_response",
            Self::UpstreamCut => "upstream_cut",
            Self::UpstreamTruncated => "upstream_truncated",
            Self::UpstreamStalled => "upstream_stalled",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamOverloaded => "upstream_overloaded",
            Self::NotConfigured => "provider_not_configured",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::ShuttingDown => "server_shutting_down",
            Self::Cancelled => "client_cancelled",
            Self::Internal => "internal_error",
        }
    }

    /// Returns whether the failure counts against the upstream's circuit breaker.
    pub const fn is_upstreams_fault(self) -> bool {
        matches!(
            self,
            Self::Upstream
                | Self::UpstreamInvalid
                | Self::UpstreamCut
                | Self::UpstreamTruncated
                | Self::UpstreamStalled
                | Self::UpstreamTimeout
                | Self::UpstreamUnreachable
                | Self::UpstreamOverloaded
        )
    }

    /// Returns whether another attempt, here or at another provider, could succeed.
    pub const fn is_retryable(self) -> bool {
        let passes = matches!(
            self,
            Self::RequestTimeout
                | Self::RateLimited
                | Self::Unavailable
                | Self::Overloaded
                | Self::ShuttingDown
        );
        // The same request would get the same unreadable response.
        passes || (self.is_upstreams_fault() && !matches!(self, Self::UpstreamInvalid))
    }
}
