//! Every endpoint the gateway serves.
//!
//! A path names an endpoint whatever the method, so that a wrong method is a 405 and not a 404.
//! An endpoint has a label, so that metrics never see a raw path. Adding a variant breaks the
//! build until it has a path, its methods, a label and a handler.

use http::Method;

/// What a request is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Endpoint<'path> {
    /// `/`
    Root,
    /// `/health`
    Health,
    /// `/metrics`
    Metrics,
    /// `/openapi.json`
    OpenApi,
    /// `/v1/chat/completions`
    ChatCompletions,
    /// `/v1/responses`
    Responses,
    /// `/v1/responses/{id}`
    Response(&'path str),
    /// `/v1/responses/{id}/cancel`
    ResponseCancel(&'path str),
    /// `/v1/responses/{id}/input_items`
    ResponseItems(&'path str),
    /// `/v1/responses/input_tokens`
    ResponseTokens,
    /// `/v1/messages`
    Messages,
    /// `/v1/messages/count_tokens`
    CountTokens,
    /// `/v1/completions`
    Completions,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/models`
    Models,
    /// `/v1/models/{id}`, where the id may contain slashes.
    Model(&'path str),
    /// `/v1/providers`
    Providers,
    /// `/v1/sessions`
    Sessions,
    /// `/v1/sessions/{id}`
    Session(&'path str),
    /// `/v1/sessions/{id}/fork`
    SessionFork(&'path str),
    /// `/v1/sessions/{id}/messages`
    SessionMessages(&'path str),
}

impl<'path> Endpoint<'path> {
    /// One of each, in the order of the documentation.
    pub const ALL: [Endpoint<'static>; 21] = [
        Endpoint::ChatCompletions,
        Endpoint::Responses,
        Endpoint::Response("{id}"),
        Endpoint::ResponseCancel("{id}"),
        Endpoint::ResponseItems("{id}"),
        Endpoint::ResponseTokens,
        Endpoint::Messages,
        Endpoint::CountTokens,
        Endpoint::Completions,
        Endpoint::Embeddings,
        Endpoint::Models,
        Endpoint::Model("{id}"),
        Endpoint::Providers,
        Endpoint::Sessions,
        Endpoint::Session("{id}"),
        Endpoint::SessionFork("{id}"),
        Endpoint::SessionMessages("{id}"),
        Endpoint::Root,
        Endpoint::Health,
        Endpoint::Metrics,
        Endpoint::OpenApi,
    ];

    /// The endpoint at `path`, which is matched as it was sent: nothing is decoded twice.
    pub fn at(path: &'path str) -> Option<Self> {
        if let Some(id) = path.strip_prefix("/v1/models/").filter(|id| !id.is_empty()) {
            return Some(Self::Model(id));
        }
        if let Some(rest) = path.strip_prefix("/v1/responses/") {
            return Self::of_response(rest);
        }
        if let Some(rest) = path.strip_prefix("/v1/sessions/") {
            return Self::of_session(rest);
        }
        Some(match path {
            "/" => Self::Root,
            "/health" => Self::Health,
            "/metrics" => Self::Metrics,
            "/openapi.json" => Self::OpenApi,
            "/v1/chat/completions" => Self::ChatCompletions,
            "/v1/responses" => Self::Responses,
            "/v1/messages" => Self::Messages,
            "/v1/messages/count_tokens" => Self::CountTokens,
            "/v1/completions" => Self::Completions,
            "/v1/embeddings" => Self::Embeddings,
            "/v1/models" => Self::Models,
            "/v1/providers" => Self::Providers,
            "/v1/sessions" => Self::Sessions,
            _ => return None,
        })
    }

    /// The endpoint below that of responses.
    fn of_response(rest: &'path str) -> Option<Self> {
        let (id, below) = rest.split_once('/').map_or((rest, None), |(id, it)| (id, Some(it)));
        match (id, below) {
            ("", _) => None,
            ("input_tokens", None) => Some(Self::ResponseTokens),
            (id, None) => Some(Self::Response(id)),
            (id, Some("cancel")) => Some(Self::ResponseCancel(id)),
            (id, Some("input_items")) => Some(Self::ResponseItems(id)),
            (_, Some(_)) => None,
        }
    }

    /// The endpoint below that of sessions.
    fn of_session(rest: &'path str) -> Option<Self> {
        let (id, below) = rest.split_once('/').map_or((rest, None), |(id, it)| (id, Some(it)));
        match (id, below) {
            ("", _) => None,
            (id, None) => Some(Self::Session(id)),
            (id, Some("fork")) => Some(Self::SessionFork(id)),
            (id, Some("messages")) => Some(Self::SessionMessages(id)),
            (_, Some(_)) => None,
        }
    }

    /// The methods it answers.
    pub fn methods(self) -> &'static [Method] {
        match self {
            Self::Root
            | Self::Health
            | Self::Metrics
            | Self::OpenApi
            | Self::Models
            | Self::Model(_)
            | Self::ResponseItems(_)
            | Self::SessionMessages(_)
            | Self::Providers => &[Method::GET],
            Self::Sessions => &[Method::GET, Method::POST],
            Self::Session(_) => &[Method::GET, Method::PATCH, Method::DELETE],
            Self::Response(_) => &[Method::GET, Method::DELETE],
            Self::ChatCompletions
            | Self::Responses
            | Self::ResponseCancel(_)
            | Self::ResponseTokens
            | Self::Messages
            | Self::CountTokens
            | Self::Completions
            | Self::SessionFork(_)
            | Self::Embeddings => &[Method::POST],
        }
    }

    /// Its name in logs and metrics, and its template in the documentation.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Root => "/",
            Self::Health => "/health",
            Self::Metrics => "/metrics",
            Self::OpenApi => "/openapi.json",
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Response(_) => "/v1/responses/{id}",
            Self::ResponseCancel(_) => "/v1/responses/{id}/cancel",
            Self::ResponseItems(_) => "/v1/responses/{id}/input_items",
            Self::ResponseTokens => "/v1/responses/input_tokens",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Models => "/v1/models",
            Self::Model(_) => "/v1/models/{id}",
            Self::Providers => "/v1/providers",
            Self::Sessions => "/v1/sessions",
            Self::Session(_) => "/v1/sessions/{id}",
            Self::SessionFork(_) => "/v1/sessions/{id}/fork",
            Self::SessionMessages(_) => "/v1/sessions/{id}/messages",
        }
    }

    /// Whether it answers anybody: probes and scrapers carry no keys.
    pub const fn is_open(self) -> bool {
        match self {
            Self::Root | Self::Health | Self::Metrics | Self::OpenApi => true,
            Self::ChatCompletions
            | Self::Responses
            | Self::Response(_)
            | Self::ResponseCancel(_)
            | Self::ResponseItems(_)
            | Self::ResponseTokens
            | Self::Messages
            | Self::CountTokens
            | Self::Completions
            | Self::Embeddings
            | Self::Models
            | Self::Model(_)
            | Self::Providers
            | Self::Sessions
            | Self::Session(_)
            | Self::SessionFork(_)
            | Self::SessionMessages(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<Endpoint<'_>>) {
        assert_eq!(Endpoint::at(path), expected, "{path}");
    }

    #[test]
    fn finds_endpoints() {
        check("/", Some(Endpoint::Root));
        check("/v1/chat/completions", Some(Endpoint::ChatCompletions));
        check(
            "/v1/models/openrouter/meta/llama-3",
            Some(Endpoint::Model("openrouter/meta/llama-3")),
        );
    }

    #[test]
    fn finds_what_is_below_a_response() {
        check("/v1/responses/resp_1", Some(Endpoint::Response("resp_1")));
        check("/v1/responses/resp_1/cancel", Some(Endpoint::ResponseCancel("resp_1")));
        check("/v1/responses/resp_1/input_items", Some(Endpoint::ResponseItems("resp_1")));
        check("/v1/responses/input_tokens", Some(Endpoint::ResponseTokens));
        for path in ["", "/cancel", "resp_1/", "resp_1/x", "resp_1/cancel/x"] {
            check(&format!("/v1/responses/{path}"), None);
        }
    }

    #[test]
    fn every_endpoint_is_found_by_its_label() {
        for endpoint in Endpoint::ALL {
            check(endpoint.label(), Some(endpoint));
        }
    }

    #[test]
    fn finds_what_is_below_sessions() {
        check("/v1/sessions", Some(Endpoint::Sessions));
        check("/v1/sessions/a", Some(Endpoint::Session("a")));
        check("/v1/sessions/a/fork", Some(Endpoint::SessionFork("a")));
        check("/v1/sessions/a/messages", Some(Endpoint::SessionMessages("a")));
        for path in ["", "/fork", "a/", "a/b", "a/fork/b"] {
            check(&format!("/v1/sessions/{path}"), None);
        }
    }

    #[test]
    fn finds_nothing_else() {
        for path in ["", "//", "/health/", "/v1/models/", "/v1/../health", "/V1/models", "/v1/chat"]
        {
            check(path, None);
        }
    }
}
