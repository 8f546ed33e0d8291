//! The names of request and response headers, and the prefixes of groups of them. Looking up a
//! constant costs a third of looking up a text, which has to be converted to a name first.

use gateway_wire::messages::{BETA_HEADER, VERSION_HEADER};
use http::HeaderName;

/// Carries the API key, as Anthropic's clients send it.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static(API_KEY_TEXT);
/// Carries the API key, as Google's clients send it.
pub(crate) const GOOGLE_API_KEY: HeaderName = HeaderName::from_static(GOOGLE_API_KEY_TEXT);
/// Selects the version of Anthropic's API.
pub(crate) const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static(VERSION_HEADER);
/// Names the known model whose rules and prices apply to a newer one.
pub(crate) const ASSUMED: HeaderName = HeaderName::from_static("x-gateway-assumed");
/// Returns the remainder of the caller's smallest budget.
pub(crate) const BUDGET_REMAINING: HeaderName =
    HeaderName::from_static("x-gateway-budget-remaining-usd");
/// Allows or forbids caching of the response.
pub(crate) const CACHE: HeaderName = HeaderName::from_static("x-gateway-cache");
/// Selects the handling of a conversation that exceeds the context window.
pub(crate) const CMS_MODE: HeaderName = HeaderName::from_static("x-cms-mode");
/// Marks a request of the context-management service.
pub(crate) const CMS_ORIGIN: HeaderName = HeaderName::from_static("x-cms-origin");
/// Lists the compatibility modes of the response.
pub(crate) const COMPAT: HeaderName = HeaderName::from_static("x-gateway-compat");
/// Requests `x-gateway-decision` in the reply.
pub(crate) const EXPLAIN: HeaderName = HeaderName::from_static("x-gateway-explain");
/// Names how far the page that asks is from the gateway, set by browsers.
pub(crate) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Carries the caller's address, set by proxies.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Carries the idempotency key.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static(IDEMPOTENCY_KEY_TEXT);
/// Names the method of a request to the MCP server.
pub(crate) const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// Names the tool of a call of the MCP server.
pub(crate) const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Selects the version of the Model Context Protocol.
pub(crate) const MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Names the session of a client of the Model Context Protocol.
pub(crate) const MCP_SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// Names the model of a relayed request, before its body does.
pub(crate) const MODEL: HeaderName = HeaderName::from_static("x-gateway-model");
/// Names the records that could not be stored.
pub(crate) const NOT_STORED: HeaderName = HeaderName::from_static("x-gateway-not-stored");
/// Sets the priority of the request.
pub(crate) const PRIORITY: HeaderName = HeaderName::from_static("x-priority");
/// Carries the caller's own key for the provider.
pub(crate) const PROVIDER_KEY: HeaderName = HeaderName::from_static("x-gateway-provider-key");
/// Carries the request id in replies to clients of Anthropic's API.
pub(crate) const MESSAGES_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// Carries the request id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static(REQUEST_ID_TEXT);
/// Selects the handling of a concurrent turn of the session.
pub(crate) const SESSION_CONFLICT: HeaderName = HeaderName::from_static("x-session-conflict");
/// Carries the session's id.
pub(crate) const SESSION: HeaderName = HeaderName::from_static("x-gateway-session");
/// Carries the session's id, if the value has the form of one.
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");
/// Rejects the request if a translation would drop a parameter.
pub(crate) const STRICT: HeaderName = HeaderName::from_static("x-gateway-strict");
/// Selects the gateway tools to offer.
pub(crate) const TOOLS: HeaderName = HeaderName::from_static("x-gateway-tools");
/// Requests comments about gateway tool calls in the stream.
pub(crate) const TOOL_EVENTS: HeaderName = HeaderName::from_static("x-gateway-tool-events");
/// Carries the trace context: <https://www.w3.org/TR/trace-context/>.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Carries vendor-specific trace data, per W3C Trace Context.
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Names tags under which the usage of the request is booked.
pub(crate) const TAGS: HeaderName = HeaderName::from_static("x-gateway-tags");
/// Names the end user under whom the usage of the request is booked.
pub(crate) const USER: HeaderName = HeaderName::from_static("x-gateway-user");
/// Requests the usage at the end of a stream.
pub(crate) const USAGE: HeaderName = HeaderName::from_static("x-gateway-usage");

// Response headers.

/// Disables buffering in proxies such as nginx.
pub(crate) const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Reports the number of running requests.
pub(crate) const ACTIVE_REQUESTS: HeaderName = HeaderName::from_static("x-active-requests");
/// Reports the number of upstream calls.
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("x-gateway-attempts");
/// Reports the status of the response cache.
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("x-cache");
/// Reports whether the context-management service was used.
pub(crate) const CMS_ROUTED: HeaderName = HeaderName::from_static("x-cms-routed");
/// Reports the tier of the context window's fill level.
pub(crate) const CMS_TIER: HeaderName = HeaderName::from_static("x-cms-tier");
/// Reports the cost of the response.
pub(crate) const COST_USD: HeaderName = HeaderName::from_static("x-gateway-cost-usd");
/// Isolates the console from other windows.
pub(crate) const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");
/// Reports the routing decision as JSON.
pub(crate) const DECISION: HeaderName = HeaderName::from_static("x-gateway-decision");
/// Lists the dropped parameters.
pub(crate) const DROPPED: HeaderName = HeaderName::from_static("x-gateway-dropped");
/// Marks an estimated token count.
pub(crate) const ESTIMATED: HeaderName = HeaderName::from_static("x-gateway-estimated");
/// Names the first target that was skipped or failed.
pub(crate) const FALLBACK_FROM: HeaderName = HeaderName::from_static("x-gateway-fallback-from");
/// Reports the free part of the context window, in percent.
pub(crate) const HEADROOM_PCT: HeaderName = HeaderName::from_static("x-headroom-pct");
/// Reports the number of dropped messages of the history.
pub(crate) const HISTORY_DROPPED: HeaderName = HeaderName::from_static("x-gateway-history-dropped");
/// Marks a replayed response.
pub(crate) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Reports the level of memory pressure.
pub(crate) const MEMORY_PRESSURE: HeaderName = HeaderName::from_static("x-memory-pressure");
/// Reports the memory in use, in MiB.
pub(crate) const MEMORY_RSS_MB: HeaderName = HeaderName::from_static("x-memory-rss-mb");
/// Names the provider that served the response.
pub(crate) const PROVIDER: HeaderName = HeaderName::from_static("x-gateway-provider");
/// Reports to SDKs whether a retry helps.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Reports the taxonomy that applies to the request.
pub(crate) const TAXONOMY: HeaderName = HeaderName::from_static("x-gateway-taxonomy");
/// Reports the tokens of the conversation.
pub(crate) const TOKEN_COUNT: HeaderName = HeaderName::from_static("x-token-count");
/// Reports the size of the context window, in tokens.
pub(crate) const TOKEN_LIMIT: HeaderName = HeaderName::from_static("x-token-limit");
/// Carries the provider's id of the request.
pub(crate) const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-upstream-request-id");
/// Reports the provider's HTTP status, for an error.
pub(crate) const UPSTREAM_STATUS: HeaderName = HeaderName::from_static("x-upstream-status");
/// Report the rate limit for requests, with the reset as Unix time: limit, remaining, reset.
pub(crate) const RATE_LIMIT: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
];
/// Report the rate limit for requests: limit, remaining, reset.
pub(crate) const RATE_LIMIT_REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
/// Report the rate limit for tokens: limit, remaining, reset.
pub(crate) const RATE_LIMIT_TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

// Texts, where a header is compared or passed on as one.

/// The name of [`API_KEY`].
pub(crate) const API_KEY_TEXT: &str = "x-api-key";
/// The name of [`GOOGLE_API_KEY`].
pub(crate) const GOOGLE_API_KEY_TEXT: &str = "x-goog-api-key";
/// The name of [`IDEMPOTENCY_KEY`].
pub(crate) const IDEMPOTENCY_KEY_TEXT: &str = "idempotency-key";
/// The name of [`REQUEST_ID`].
pub(crate) const REQUEST_ID_TEXT: &str = "x-request-id";
/// The headers of Anthropic's API that upstreams of the same dialect get: beta features, version,
/// workspace.
pub(crate) const ANTHROPIC_FORWARDED: [&str; 3] =
    [BETA_HEADER, VERSION_HEADER, "anthropic-workspace-id"];

// Prefixes.

/// Prefix of the headers of Anthropic's API.
pub(crate) const ANTHROPIC_PREFIX: &str = "anthropic-";
/// Prefix of the gateway's own headers.
pub(crate) const GATEWAY_PREFIX: &str = "x-gateway-";
/// Prefix of the headers that repeat an argument of a tool for the MCP server.
pub(crate) const MCP_PARAM_PREFIX: &str = "mcp-param-";
/// Prefix of the headers that report rate limits.
pub(crate) const RATE_LIMIT_PREFIX: &str = "x-ratelimit-";
/// Prefix of the headers about sessions.
pub(crate) const SESSION_PREFIX: &str = "x-session-";
