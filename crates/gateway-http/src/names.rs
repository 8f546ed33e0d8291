//! The headers by which callers ask for something: looking a constant up costs a third of looking up
//! a text, which has to be turned into a name first.

use http::HeaderName;

/// Whether the answer may be remembered.
pub(crate) const CACHE: HeaderName = HeaderName::from_static("x-gateway-cache");
/// Selects the handling of a conversation that exceeds the context window.
pub(crate) const CMS_MODE: HeaderName = HeaderName::from_static("x-cms-mode");
/// Comes from the context management service.
pub(crate) const CMS_ORIGIN: HeaderName = HeaderName::from_static("x-cms-origin");
/// Requests `x-gateway-decision` in the reply.
pub(crate) const EXPLAIN: HeaderName = HeaderName::from_static("x-gateway-explain");
/// The request is to be done once.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Names the records that could not be stored.
pub(crate) const NOT_STORED: HeaderName = HeaderName::from_static("x-gateway-not-stored");
/// Sets the priority of the request.
pub(crate) const PRIORITY: HeaderName = HeaderName::from_static("x-priority");
/// Carries the request id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Selects the handling of a concurrent turn of the session.
pub(crate) const SESSION_CONFLICT: HeaderName = HeaderName::from_static("x-session-conflict");
/// The session, under a name of ours: whatever its form, it is one that the gateway gave out.
pub(crate) const SESSION: HeaderName = HeaderName::from_static("x-gateway-session");
/// The session, if the value has the form of names that the gateway gives out.
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");
/// Rejects the request if a translation would drop a parameter.
pub(crate) const STRICT: HeaderName = HeaderName::from_static("x-gateway-strict");
/// The gateway's tools are to be seen at work.
pub(crate) const TOOL_EVENTS: HeaderName = HeaderName::from_static("x-gateway-tool-events");
/// The trace that the request belongs to: <https://www.w3.org/TR/trace-context/>.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Carries vendor-specific trace data, per W3C Trace Context.
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Requests the usage at the end of a stream.
pub(crate) const USAGE: HeaderName = HeaderName::from_static("x-gateway-usage");
