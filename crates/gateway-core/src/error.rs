//! The one error that public gateway calls return.
//!
//! A [`GatewayError`] has three parts. The [`ErrorKind`] says what went wrong; it is stable and
//! low-cardinality, so it doubles as a metric label. The message is for the caller.
//! The source chain says what really happened; it goes to the log and nowhere else.

use crate::{ErrorKind, ResponseMeta};
use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

/// A result whose error is a [`GatewayError`].
pub type Result<T, E = GatewayError> = std::result::Result<T, E>;

/// Any error that can cross a thread.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// A failed gateway call.
///
/// One word wide, so that a `Result` costs little where nothing fails.
#[derive(Debug)]
pub struct GatewayError(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    message: Cow<'static, str>,
    code: Option<Cow<'static, str>>,
    param: Option<Cow<'static, str>>,
    limit: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
    upstream_status: Option<u16>,
    meta: Option<Box<ResponseMeta>>,
    final_attempt: bool,
    source: Option<BoxError>,
}

impl GatewayError {
    /// Creates an error without a source.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Details {
            kind,
            message: message.into(),
            code: None,
            param: None,
            limit: None,
            retry_after: None,
            upstream_status: None,
            meta: None,
            final_attempt: false,
            source: None,
        }))
    }

    /// Creates an [`ErrorKind::InvalidRequest`] error for a parameter.
    pub fn invalid(
        param: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(ErrorKind::InvalidRequest, message).with_param(param)
    }

    /// Attaches the source error, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Sets the time after which a retry may succeed.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Option<Duration>) -> Self {
        self.0.retry_after = delay;
        self
    }

    /// Sets a more precise code than the kind's own.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Sets the parameter at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Sets the limit that refused the request: the name of its setting, never a caller's text.
    #[must_use]
    pub fn with_limit(mut self, limit: impl Into<Cow<'static, str>>) -> Self {
        self.0.limit = Some(limit.into());
        self
    }

    /// Sets the upstream's HTTP status.
    #[must_use]
    pub fn with_upstream_status(mut self, status: u16) -> Self {
        self.0.upstream_status = Some(status);
        self
    }

    /// Attaches the metadata of the failed response: provider, model, attempts.
    #[must_use]
    pub fn with_meta(mut self, meta: ResponseMeta) -> Self {
        self.0.meta = Some(Box::new(meta));
        self
    }

    /// Marks the error as the final attempt: retrying at once would only add load.
    #[must_use]
    pub fn as_final_attempt(mut self) -> Self {
        self.0.final_attempt = true;
        self
    }

    /// Copies the error without its source, for another waiter of the same response.
    #[must_use]
    pub fn clone_without_source(&self) -> Self {
        let Details {
            kind,
            message,
            code,
            param,
            limit,
            retry_after,
            upstream_status,
            meta,
            final_attempt,
            ..
        } = &*self.0;
        Self(Box::new(Details {
            kind: *kind,
            message: message.clone(),
            code: code.clone(),
            param: param.clone(),
            limit: limit.clone(),
            retry_after: *retry_after,
            upstream_status: *upstream_status,
            meta: meta.clone(),
            final_attempt: *final_attempt,
            source: None,
        }))
    }

    /// Returns the kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the message for the caller.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the stable code: the kind's, or a more precise one.
    pub fn code(&self) -> &str {
        self.0.code.as_deref().unwrap_or(self.0.kind.as_str())
    }

    /// Returns the parameter at fault.
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// Returns the limit that refused the request.
    pub fn limit(&self) -> Option<&str> {
        self.0.limit.as_deref()
    }

    /// Returns the time after which a retry may succeed.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the metadata of the failed response; `None` if no upstream was called.
    pub fn meta(&self) -> Option<&ResponseMeta> {
        self.0.meta.as_deref()
    }

    /// Takes the metadata out of the error.
    pub fn take_meta(&mut self) -> Option<ResponseMeta> {
        self.0.meta.take().map(|meta| *meta)
    }

    /// Returns whether the gateway has exhausted its own attempts.
    pub fn is_final_attempt(&self) -> bool {
        self.0.final_attempt
    }

    /// Whether a retry by the caller may succeed: the failure is of a kind that passes, and the
    /// gateway has not tried all there is already. A rate limit passes however often it was tried.
    pub fn is_retryable(&self) -> bool {
        let is_rate_limit = self.kind() == ErrorKind::RateLimited;
        self.kind().is_retryable() && (is_rate_limit || !self.is_final_attempt())
    }

    /// Returns the upstream's HTTP status.
    pub fn upstream_status(&self) -> Option<u16> {
        self.0.upstream_status
    }
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for GatewayError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
