//! Running tools: what goes with a call, how it can fail, and the port to all tools at once.

use crate::{Json, ToolCall, ToolSpec};
use async_trait::async_trait;
use std::{borrow::Cow, sync::Arc};
use thiserror::Error;

/// A moment, as a value: nothing here asks what time it is.
#[expect(clippy::disallowed_types, reason = "carried from the caller's clock to the tool's")]
pub type Moment = std::time::Instant;

/// The tools that the gateway runs.
///
/// # Cancellation
///
/// Dropping the future of [`run`](Self::run) stops the tool.
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait Tools: Send + Sync {
    /// Every tool, in the order in which they are shown.
    fn specs(&self) -> Vec<Arc<ToolSpec>>;

    /// The tool called `name`.
    fn spec(&self, name: &str) -> Option<Arc<ToolSpec>>;

    /// Whether a tool that a request describes is one of these, to be run here, and not another of
    /// the caller's that shares its name.
    fn recognizes(&self, described: &ToolSpec) -> bool;

    /// Runs a tool with arguments that may not be valid, nor JSON.
    async fn run(&self, call: &ToolCall, context: &ToolContext) -> Result<Json, ToolError>;
}

/// The context of a tool call.
#[derive(Clone, Debug, Default)]
pub struct ToolContext {
    /// Tenant of the call.
    pub tenant: Arc<str>,
    /// The request's name; sent to services as `x-request-id`.
    pub request_id: Arc<str>,
    /// Scope in which call ids are unique: the session, or else the request.
    pub conversation: Arc<str>,
    /// W3C trace context of the request, if the caller is tracing.
    pub traceparent: Option<Arc<str>>,
    /// Vendor part of the trace context.
    pub tracestate: Option<Arc<str>>,
    /// Deadline of the request.
    pub deadline: Option<Moment>,
    /// The taxonomy that the user or the session chose, for tools that take one.
    pub taxonomy: Option<String>,
    /// The tiers that the session chose, for tools that take them.
    pub tier_filter: Option<Vec<i64>>,
    /// The caller's own name for its request: repeated under it, the same calls bear the same names,
    /// whatever ids a model makes up. To a tool: the name of this very call, by which services
    /// recognise a repetition. Whoever runs the tool makes one up.
    pub idempotency_key: Option<Arc<str>>,
    /// Refuse arguments that the tool's schema does not name. Models may add some; programs
    /// should not.
    pub strict: bool,
}

/// Why a tool did not do what it was asked. A model may recover from it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{message}")]
pub struct ToolError {
    /// Machine-readable code.
    pub code: ToolErrorCode,
    /// Why, for the model and the caller.
    pub message: Cow<'static, str>,
    /// The status that the service behind the tool answered with.
    pub status: Option<u16>,
}

/// The ways in which tools fail.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ToolErrorCode {
    /// The tool did not answer in time; whether it did its work is not known.
    Timeout,
    /// The service behind the tool has failed too often and is given a pause.
    CircuitOpen,
    /// There is no such tool, or it knows no such thing.
    NotFound,
    /// The service behind the tool answered with an error.
    UpstreamStatus,
    /// The service behind the tool answered with something unreadable.
    UpstreamInvalid,
    /// The service behind the tool cannot be reached, or the gateway has too much to do.
    Unavailable,
    /// The arguments do not fit the tool's schema.
    InvalidArguments,
    /// The result is larger than we take.
    TooLarge,
    /// The tool ran, and found that it cannot do what it was asked.
    Failed,
}

impl ToolError {
    /// Creates a tool error.
    pub fn new(code: ToolErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), status: None }
    }

    /// Arguments that do not fit.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ToolErrorCode::InvalidArguments, message)
    }

    /// No tool of this name.
    pub fn unknown(name: &str) -> Self {
        // The name may be anything that a model made up.
        let name: String = name.chars().take(64).collect();
        Self::new(ToolErrorCode::NotFound, format!("there is no tool '{name}'"))
    }

    /// Keeps the status that the service answered with.
    #[must_use]
    pub fn with_upstream_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Renders the error as JSON for the model.
    pub fn to_json(&self) -> Json {
        Json::of(&serde_json::json!({
            "error": self.message,
            "error_code": self.code.as_str(),
        }))
    }
}

impl ToolErrorCode {
    /// The stable name: `error_code` on the wire and a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::CircuitOpen => "circuit_open",
            Self::NotFound => "not_found",
            Self::UpstreamStatus => "upstream_status",
            Self::UpstreamInvalid => "upstream_invalid",
            Self::Unavailable => "unavailable",
            Self::InvalidArguments => "invalid_arguments",
            Self::TooLarge => "too_large",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_error_is_rendered_as_json() {
        let error = ToolError::unknown("\u{1}\"x").to_json();
        assert_eq!(
            error.get(),
            r#"{"error":"there is no tool '\u0001\"x'","error_code":"not_found"}"#
        );
    }

    #[test]
    fn unknown_tool_name_is_truncated() {
        assert!(ToolError::unknown(&"x".repeat(1 << 20)).message.len() < 100);
    }
}
