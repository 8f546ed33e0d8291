//! The table of all endpoints.
//!
//! A path names an endpoint whatever the method, so that a wrong method is a 405 and not a 404. An
//! endpoint has a label, so that metrics never contain a raw path. A new row does not compile
//! without a handler in `service.rs`, and a test requires its documentation.

use gateway_wire::{
    InboundDialect, chat::ChatInbound, completions::CompletionsInbound, gemini::GeminiInbound,
    messages::MessagesInbound, relay::RelayEndpoint, responses::ResponsesInbound,
};
use http::Method;

/// The access class of an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Information about the gateway, without a key: health checks and metrics.
    Open,
    /// Requests that need a key.
    Keyed,
    /// A keyed endpoint that calls a model.
    Model,
    /// A keyed endpoint whose requests are relayed to the provider of their model.
    Relayed,
}

/// The dialect of an endpoint's errors.
#[derive(Clone, Copy)]
enum ErrorDialect {
    Chat,
    Responses,
    Messages,
    Completions,
    Gemini,
    /// The gateway's own endpoints.
    Platform,
}

/// Defines the endpoints, one a row: name, path (for those in `named`, the parts before and after
/// the id), methods, access class, and the dialect of errors. An `id` is one segment of a path; a
/// `rest` may contain slashes. Those in `within` have a second id at the end. Those in `relayed` are
/// rows of the table in `gateway_wire::relay`, which has everything else about them.
macro_rules! endpoints {
    (
        fixed { $($fixed:ident $path:literal [$($fixed_method:ident)+] $fixed_kind:ident $fixed_errors:ident;)* }
        named {
            $($named:ident $before:literal $extent:ident $behind:literal
                [$($named_method:ident)+] $named_kind:ident $named_errors:ident;)*
        }
        within {
            $($within:ident $above:literal $between:literal
                [$($within_method:ident)+] $within_kind:ident $within_errors:ident;)*
        }
        relayed { $($relayed:literal;)* }
    ) => {
        /// An endpoint with the ids in its path.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Endpoint<'path> {
            $(#[doc = concat!("`", $path, "`")] $fixed,)*
            $(#[doc = concat!("`", $before, "{id}", $behind, "`")] $named(&'path str),)*
            $(#[doc = concat!("`", $above, "{id}", $between, "{item_id}`")]
            $within(&'path str, &'path str),)*
            /// An endpoint whose requests are relayed, by its path.
            Relayed(&'static str),
        }

        impl<'path> Endpoint<'path> {
            /// An example of each endpoint, in the order of the table.
            pub const ALL: &'static [Endpoint<'static>] = &[
                $(Endpoint::$fixed,)*
                $(Endpoint::$named("{id}"),)*
                $(Endpoint::$within("{id}", "{item_id}"),)*
                $(Endpoint::Relayed($relayed),)*
            ];

            /// Returns the endpoint at `path`, which is matched as sent: nothing is decoded twice.
            pub fn at(path: &'path str) -> Option<Self> {
                let path = without_slash(path);
                match path {
                    $($path => return Some(Self::$fixed),)*
                    $($relayed => return Some(Self::Relayed($relayed)),)*
                    _ => {}
                }
                $(if let Some(id) = $extent(path, $before, $behind) {
                    return Some(Self::$named(id));
                })*
                $(if let Some((id, item)) = pair(path, $above, $between) {
                    return Some(Self::$within(id, item));
                })*
                None
            }

            /// Returns the supported methods.
            pub fn methods(self) -> &'static [Method] {
                match self {
                    $(Self::$fixed => &[$(Method::$fixed_method),+],)*
                    $(Self::$named(_) => &[$(Method::$named_method),+],)*
                    $(Self::$within(..) => &[$(Method::$within_method),+],)*
                    Self::Relayed(_) => &[Method::POST],
                }
            }

            /// Its name in logs and metrics, and its template in the documentation.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$fixed => $path,)*
                    $(Self::$named(_) => concat!($before, "{id}", $behind),)*
                    $(Self::$within(..) => concat!($above, "{id}", $between, "{item_id}"),)*
                    Self::Relayed(path) => path,
                }
            }

            /// Returns the access class of the endpoint.
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$fixed => Kind::$fixed_kind,)*
                    $(Self::$named(_) => Kind::$named_kind,)*
                    $(Self::$within(..) => Kind::$within_kind,)*
                    Self::Relayed(_) => Kind::Relayed,
                }
            }

            const fn error_dialect(self) -> ErrorDialect {
                match self {
                    $(Self::$fixed => ErrorDialect::$fixed_errors,)*
                    $(Self::$named(_) => ErrorDialect::$named_errors,)*
                    $(Self::$within(..) => ErrorDialect::$within_errors,)*
                    Self::Relayed(_) => ErrorDialect::Chat,
                }
            }
        }
    };
}

endpoints! {
    fixed {
        ChatCompletions "/v1/chat/completions"      [POST]      Model Chat;
        Responses       "/v1/responses"             [GET POST]  Model Responses;
        ResponseCompact "/v1/responses/compact"     [POST]      Model Responses;
        ResponseTokens  "/v1/responses/input_tokens" [POST]     Keyed Responses;
        Conversations   "/v1/conversations"         [POST]      Keyed Responses;
        Messages        "/v1/messages"              [POST]      Model Messages;
        CountTokens     "/v1/messages/count_tokens" [POST]      Keyed Messages;
        Completions     "/v1/completions"           [POST]      Model Completions;
        Embeddings      "/v1/embeddings"            [POST]      Keyed Chat;
        Explain         "/v1/explain"              [POST]      Keyed Platform;
        Models          "/v1/models"                [GET]       Keyed Platform;
        Providers       "/v1/providers"             [GET]       Keyed Platform;
        Tools           "/v1/tools"                 [GET]       Keyed Platform;
        ToolExecute     "/v1/tools/execute"         [POST]      Keyed Platform;
        Mcp             "/mcp"                      [GET POST DELETE] Keyed Platform;
        Usage           "/v1/usage"                 [GET]       Keyed Platform;
        Requests        "/v1/requests"              [GET]       Keyed Platform;
        RequestExport   "/v1/requests/export"       [GET]       Keyed Platform;
        Sessions        "/v1/sessions"              [GET POST]  Keyed Platform;
        Root            "/"                         [GET]       Open Platform;
        Health          "/health"                   [GET]       Open Platform;
        HealthReady     "/health/ready"             [GET]       Open Platform;
        HealthDetailed  "/health/detailed"          [GET]       Keyed Platform;
        Ready           "/ready"                    [GET]       Open Platform;
        Live            "/live"                     [GET]       Open Platform;
        Metrics         "/metrics"                  [GET]       Open Platform;
        OpenApi         "/openapi.json"             [GET]       Open Platform;
        Docs            "/docs"                     [GET]       Open Platform;
        Console         "/console"                  [GET]       Open Platform;
        ConsoleFeed     "/console/feed"             [GET]       Keyed Platform;
    }
    named {
        Response        "/v1/responses/" id ""             [GET DELETE]       Keyed Responses;
        ResponseCancel  "/v1/responses/" id "/cancel"      [POST]             Keyed Responses;
        ResponseItems   "/v1/responses/" id "/input_items" [GET]              Keyed Responses;
        Conversation      "/v1/conversations/" id ""       [GET POST DELETE]  Keyed Responses;
        ConversationItems "/v1/conversations/" id "/items" [GET POST]         Keyed Responses;
        Model           "/v1/models/"    rest ""           [GET]              Keyed Platform;
        GeminiGenerate  "/v1beta/models/" rest ":generateContent"       [POST]   Model Gemini;
        GeminiStream    "/v1beta/models/" rest ":streamGenerateContent" [POST]   Model Gemini;
        Passthrough     "/v1/passthrough/" rest ""         [GET POST PUT PATCH DELETE] Relayed Chat;
        Request         "/v1/requests/"  id ""             [GET]              Keyed Platform;
        Tool            "/v1/tools/"     id ""             [GET]              Keyed Platform;
        Session         "/v1/sessions/"  id ""             [GET PATCH DELETE] Keyed Platform;
        SessionFork     "/v1/sessions/"  id "/fork"        [POST]             Keyed Platform;
        SessionMessages "/v1/sessions/"  id "/messages"    [GET]              Keyed Platform;
        DocsFile        "/docs/"         id ""             [GET]              Open Platform;
        ConsoleFile     "/console/"      id ""             [GET]              Open Platform;
    }
    within {
        ConversationItem "/v1/conversations/" "/items/" [GET DELETE] Keyed Responses;
    }
    relayed {
        "/v1/images/generations";
        "/v1/images/edits";
        "/v1/images/variations";
        "/v1/audio/transcriptions";
        "/v1/audio/translations";
        "/v1/audio/speech";
        "/v1/moderations";
        "/v1/rerank";
        "/v2/rerank";
    }
}

impl Endpoint<'_> {
    /// Whether it is a health check or metrics endpoint.
    pub const fn is_probed(self) -> bool {
        matches!(
            self,
            Self::Health
                | Self::HealthReady
                | Self::HealthDetailed
                | Self::Ready
                | Self::Live
                | Self::Metrics
        )
    }

    /// Whether its requests are about a model: every refusal of one is in the request log.
    pub const fn asks_model(self) -> bool {
        matches!(self.kind(), Kind::Model | Kind::Relayed)
            || matches!(self, Self::Embeddings | Self::CountTokens | Self::ResponseTokens)
    }

    /// Returns how its requests are relayed, if they are.
    pub(crate) fn relayed(self) -> Option<&'static RelayEndpoint> {
        RelayEndpoint::at(self.label()).filter(|_| self.kind() == Kind::Relayed)
    }

    /// Returns the dialect of its responses and errors; `None` for the platform's own endpoints.
    pub(crate) fn caller(self) -> Option<&'static dyn InboundDialect> {
        match self.error_dialect() {
            ErrorDialect::Chat => Some(&ChatInbound),
            ErrorDialect::Responses => Some(&ResponsesInbound),
            ErrorDialect::Messages => Some(&MessagesInbound),
            ErrorDialect::Completions => Some(&CompletionsInbound),
            ErrorDialect::Gemini => Some(&GeminiInbound),
            ErrorDialect::Platform => None,
        }
    }
}

/// Returns `path` without the slash at its end, which some clients add.
fn without_slash(path: &str) -> &str {
    let bare = path.strip_suffix('/').filter(|it| !it.is_empty() && !it.ends_with('/'));
    bare.unwrap_or(path)
}

/// Returns the part of `path` between the two, if it is one segment.
fn id<'path>(path: &'path str, before: &str, behind: &str) -> Option<&'path str> {
    rest(path, before, behind).filter(|id| !id.contains('/'))
}

/// Returns the part of `path` between the two, if it is not empty.
fn rest<'path>(path: &'path str, before: &str, behind: &str) -> Option<&'path str> {
    path.strip_prefix(before)?.strip_suffix(behind).filter(|rest| !rest.is_empty())
}

/// Returns the parts of `path` after `above` and after `between`, if each is one segment.
fn pair<'path>(path: &'path str, above: &str, between: &str) -> Option<(&'path str, &'path str)> {
    let (one, other) = path.strip_prefix(above)?.split_once(between)?;
    let is_segment = |it: &str| !it.is_empty() && !it.contains('/');
    (is_segment(one) && is_segment(other)).then_some((one, other))
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
    fn response_paths_resolve_to_endpoints() {
        check("/v1/responses/resp_1", Some(Endpoint::Response("resp_1")));
        check("/v1/responses/resp_1/cancel", Some(Endpoint::ResponseCancel("resp_1")));
        check("/v1/responses/resp_1/input_items", Some(Endpoint::ResponseItems("resp_1")));
        check("/v1/responses/input_tokens", Some(Endpoint::ResponseTokens));
        for path in ["/cancel", "resp_1//", "resp_1/x", "resp_1/cancel/x"] {
            check(&format!("/v1/responses/{path}"), None);
        }
    }

    #[test]
    fn conversation_paths_resolve_to_endpoints() {
        check("/v1/conversations", Some(Endpoint::Conversations));
        check("/v1/conversations/c", Some(Endpoint::Conversation("c")));
        check("/v1/conversations/c/items", Some(Endpoint::ConversationItems("c")));
        check("/v1/conversations/c/items/i", Some(Endpoint::ConversationItem("c", "i")));
        for path in ["/items", "c//", "c/x", "c/items//", "c/items/i/x", "/items/i"] {
            check(&format!("/v1/conversations/{path}"), None);
        }
    }

    #[test]
    fn slash_at_the_end_is_ignored() {
        check("/v1/chat/completions/", Some(Endpoint::ChatCompletions));
        check("/v1/models/", Some(Endpoint::Models));
        check("/v1/responses/resp_1/", Some(Endpoint::Response("resp_1")));
        check("/v1/messages//", None);
    }

    #[test]
    fn every_endpoint_is_found_by_its_label() {
        for endpoint in Endpoint::ALL {
            check(endpoint.label(), Some(*endpoint));
        }
    }

    #[test]
    fn every_row_of_the_relay_table_has_an_endpoint() {
        for row in gateway_wire::relay::RELAY_ENDPOINTS {
            let endpoint = Endpoint::at(row.path).and_then(Endpoint::relayed);
            assert_eq!(endpoint.map(|it| it.upstream), Some(row.upstream), "{}", row.path);
        }
        let relayed = Endpoint::ALL.iter().filter(|it| it.kind() == Kind::Relayed);
        let relayed = relayed.filter(|it| !matches!(it, Endpoint::Passthrough(_)));
        assert!(relayed.clone().all(|it| it.relayed().is_some()));
        assert_eq!(relayed.count(), gateway_wire::relay::RELAY_ENDPOINTS.len());
    }

    #[test]
    fn session_paths_resolve_to_endpoints() {
        check("/v1/sessions", Some(Endpoint::Sessions));
        check("/v1/sessions/a", Some(Endpoint::Session("a")));
        check("/v1/sessions/a/fork", Some(Endpoint::SessionFork("a")));
        check("/v1/sessions/a/messages", Some(Endpoint::SessionMessages("a")));
        for path in ["/fork", "a//", "a/b", "a/fork/b"] {
            check(&format!("/v1/sessions/{path}"), None);
        }
    }

    #[test]
    fn unknown_paths_resolve_to_no_endpoint() {
        for path in ["", "//", "/health//", "/v1/../health", "/V1/models", "/v1/chat"] {
            check(path, None);
        }
    }
}
