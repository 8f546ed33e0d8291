//! A server's two ways of being asked, and which of them it knows.
//!
//! ```text
//!   stateless    POST tools/call, whose `_meta` and headers say what a handshake would
//!   with a       POST initialize, POST notifications/initialized, POST tools/call, DELETE
//!   handshake
//! ```
//!
//! A server is asked without a handshake first. One that answers 4xx without an error that only
//! newer servers know is asked with one, and that is remembered.

use super::{
    endpoint::{ExchangeRules, McpEndpoint},
    exchange::{self, McpExchange},
    message::{ErrorMessage, RequestMessage, ResponseMessage, STATELESS},
    oauth::OAuthClient,
    result,
    settings::McpSettings,
};
use crate::client::{ServiceClient, headers};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use gateway_core::{Json, JsonObject, McpRelay, McpReply, ToolContext, ToolError, ToolErrorCode};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};

/// The header with the name of a session.
pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// The header with the version of the protocol.
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// A server, and what is known of it. Clones share that.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) settings: Arc<McpSettings>,
    pub(super) client: ServiceClient,
    /// The source of tokens, if the gateway is an OAuth client of the server.
    oauth: Option<OAuthClient>,
    era: Arc<AtomicU8>,
    /// Whether the server has been found to have no stream that belongs to no request.
    pub(super) has_no_stream: Arc<AtomicBool>,
    /// Whether the server announces changes of its lists.
    pub(super) announces_lists: Arc<AtomicBool>,
    /// The number of requests that were sent.
    requests: Arc<AtomicU64>,
}

/// The content of a request.
#[derive(Clone, Debug)]
pub(super) struct McpQuestion<'a> {
    pub(super) method: &'a str,
    pub(super) params: JsonObject,
    /// The name or URI that the request is about.
    pub(super) name: Option<&'a str>,
    /// Arguments that are sent as headers too, by the names of the headers.
    pub(super) mirrored: Vec<(String, String)>,
    /// The rest of a client's request, if one is relayed.
    pub(super) relay: Option<Arc<McpRelay>>,
}

const UNKNOWN: u8 = 0;
const IS_STATELESS: u8 = 1;
const IS_LEGACY: u8 = 2;

impl Connection {
    pub(super) fn new(settings: McpSettings, client: ServiceClient) -> Self {
        let oauth = settings.oauth.clone();
        let oauth = oauth.map(|oauth| OAuthClient::new(client.clone(), oauth, &settings.url));
        Self {
            settings: Arc::new(settings),
            client,
            oauth,
            era: Arc::new(AtomicU8::new(UNKNOWN)),
            has_no_stream: Arc::default(),
            announces_lists: Arc::default(),
            requests: Arc::default(),
        }
    }

    /// Whether the server is known to answer requests without a handshake.
    pub(super) fn is_stateless(&self) -> bool {
        self.era.load(Ordering::Relaxed) == IS_STATELESS
    }

    /// Asks, and returns the result as the server wrote it.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or says that it failed.
    pub(super) async fn ask(
        &self,
        question: &McpQuestion<'_>,
        context: &ToolContext,
    ) -> Result<Json, ToolError> {
        match self.exchange(question, context).await? {
            McpReply::Result(result) => Ok(result),
            McpReply::Error(error) => Err(result::refused(&read_error(&error))),
        }
    }

    /// Asks once, and returns the result or the error as the server wrote it.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub(super) async fn exchange(
        &self,
        question: &McpQuestion<'_>,
        context: &ToolContext,
    ) -> Result<McpReply, ToolError> {
        if self.era.load(Ordering::Relaxed) == IS_LEGACY {
            return self.ask_with_handshake(question, context).await;
        }
        let exchange = self.ask_stateless(question, context).await?;
        let refusal = exchange.message.as_ref().and_then(|message| message.error.as_ref());
        let is_known = refusal.map(read_error).is_some_and(|error| error.is_stateless());
        let is_older = exchange.status.is_client_error()
            && !is_known
            && self.era.load(Ordering::Relaxed) == UNKNOWN
            && !matches!(exchange.status.as_u16(), 401 | 403 | 429);
        if is_older {
            let result = self.ask_with_handshake(question, context).await?;
            self.era.store(IS_LEGACY, Ordering::Relaxed);
            return Ok(result);
        }
        if exchange.status.is_success() {
            let era = if is_of_older_server(&exchange) { IS_LEGACY } else { IS_STATELESS };
            self.era.store(era, Ordering::Relaxed);
        }
        answer(exchange)
    }

    async fn ask_stateless(
        &self,
        question: &McpQuestion<'_>,
        context: &ToolContext,
    ) -> Result<McpExchange, ToolError> {
        let mut headers = self.headers(context);
        headers.insert(VERSION, HeaderValue::from_static(STATELESS));
        insert(&mut headers, "mcp-method", question.method);
        if let Some(name) = question.name {
            insert(&mut headers, "mcp-name", name);
        }
        for (name, value) in &question.mirrored {
            insert(&mut headers, &format!("mcp-param-{name}"), value);
        }
        let relay = question.relay.as_deref();
        let mut params = question.params.clone();
        params.extend(relay.map(|relay| relay.members.clone()).unwrap_or_default());
        params.insert("_meta".to_owned(), meta(relay, context));
        let params = Json::of(&params);
        let message = request(self.next_id(), question.method, Some(&params));
        let max_bytes = self.settings.max_bytes;
        let rules = ExchangeRules { max_bytes, relay, has_handshake: false };
        self.post(&headers, &message, rules).await
    }

    /// A number that no other request has.
    pub(super) fn next_id(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Posts a message and reads its response.
    pub(super) async fn post(
        &self,
        headers: &HeaderMap,
        message: &RequestMessage<'_>,
        rules: ExchangeRules<'_>,
    ) -> Result<McpExchange, ToolError> {
        // Texts and what was JSON before: this cannot fail.
        let body = serde_json::to_vec(message).unwrap_or_default();
        exchange::post(self.endpoint(headers), body, rules).await
    }

    /// Returns the place where the server takes messages with these headers.
    pub(super) fn endpoint<'a>(&'a self, headers: &'a HeaderMap) -> McpEndpoint<'a> {
        let (client, url) = (&self.client, &*self.settings.url);
        McpEndpoint { client, url, headers, oauth: self.oauth.as_ref() }
    }

    pub(super) fn headers(&self, context: &ToolContext) -> HeaderMap {
        let mut all = headers(context);
        for (name, value) in &self.settings.headers {
            all.insert(name.clone(), value.clone());
        }
        all
    }
}

/// Whether a server that knows only handshakes has answered without one, as some do: it names a
/// session, and its result lacks the type that results of newer servers have.
fn is_of_older_server(exchange: &McpExchange) -> bool {
    let result = exchange.message.as_ref().and_then(|message| message.result.as_ref());
    let members = result.and_then(|result| result.read::<JsonObject>().ok());
    let has_type = members.is_some_and(|members| members.contains_key("resultType"));
    exchange.headers.contains_key(SESSION) && !has_type
}

/// The result or the error in an answer.
pub(super) fn answer(exchange: McpExchange) -> Result<McpReply, ToolError> {
    match exchange.message {
        Some(ResponseMessage { error: Some(error), .. }) => Ok(McpReply::Error(error)),
        Some(ResponseMessage { result: Some(result), .. }) if exchange.status.is_success() => {
            Ok(McpReply::Result(result))
        }
        Some(_) | None if matches!(exchange.status.as_u16(), 401 | 403) => {
            Err(ToolError::new(ToolErrorCode::Unavailable, "the server refuses the gateway"))
        }
        Some(_) | None => Err(ToolError::new(
            ToolErrorCode::Unavailable,
            format!("the server answered with status {}", exchange.status.as_u16()),
        )),
    }
}

pub(super) fn request<'a>(
    id: u64,
    method: &'a str,
    params: Option<&'a Json>,
) -> RequestMessage<'a> {
    RequestMessage { jsonrpc: "2.0", id: Some(id), method, params }
}

pub(super) fn read_error(error: &Json) -> ErrorMessage {
    error.read().unwrap_or_default()
}

/// The prefix of the members that introduce a client.
pub(super) const OWN: &str = "io.modelcontextprotocol/";

/// The `_meta` of the request that is relayed.
pub(super) fn callers_meta(relay: Option<&McpRelay>) -> JsonObject {
    let meta = relay.and_then(|relay| relay.members.get("_meta")?.read().ok());
    meta.unwrap_or_default()
}

/// The members by which a request without a handshake introduces its client: those of the caller
/// whose request is relayed, else the gateway's.
fn meta(relay: Option<&McpRelay>, context: &ToolContext) -> Json {
    let own = |name: &str| format!("{OWN}{name}");
    let mut meta = callers_meta(relay);
    meta.insert(own("protocolVersion"), Json::of(&STATELESS));
    let client = relay.and_then(|relay| relay.client.as_ref());
    let declared = || client.map(|client| client.capabilities()).unwrap_or_default();
    meta.entry(own("clientCapabilities")).or_insert_with(|| Json::of(&declared()));
    if let Some(level) = relay.and_then(|relay| relay.log_level.as_ref()) {
        meta.entry(own("logLevel")).or_insert_with(|| Json::of(level));
    }
    meta.entry(own("clientInfo")).or_insert_with(|| Json::of(&client_info()));
    let trace = [("traceparent", &context.traceparent), ("tracestate", &context.tracestate)];
    let known = trace.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    meta.extend(known.map(|(name, value)| (name.to_owned(), Json::of(&value))));
    Json::of(&meta)
}

pub(super) fn client_info() -> serde_json::Value {
    json!({ "name": "llm-gateway", "version": env!("CARGO_PKG_VERSION") })
}

/// Sets a header; a value that is no plain text is written in base64, as the protocol says.
pub(super) fn insert(headers: &mut HeaderMap, name: &str, value: &str) {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        && value.trim() == value
        && !value.starts_with("=?base64?");
    let encoded = || format!("=?base64?{}?=", BASE64_STANDARD.encode(value));
    let text = if is_plain { value.to_owned() } else { encoded() };
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(text)) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_without_type_of_result_is_that_of_an_older_server() {
        let check = |session: bool, result: &str, expected: bool| {
            let mut headers = HeaderMap::new();
            if session {
                headers.insert(SESSION, HeaderValue::from_static("s"));
            }
            let message = ResponseMessage { result: Json::parse(result).ok(), error: None };
            let status = http::StatusCode::OK;
            let exchange = McpExchange { status, headers, message: Some(message) };
            assert_eq!(is_of_older_server(&exchange), expected, "{result}");
        };
        check(true, r#"{"tools":[]}"#, true);
        check(true, r#"{"resultType":"complete","tools":[]}"#, false);
        check(false, r#"{"tools":[]}"#, false);
    }

    #[test]
    fn header_values_are_plain_or_encoded() {
        let mut headers = HeaderMap::new();
        for (value, expected) in
            [("look", "look"), ("é", "=?base64?w6k=?="), (" a", "=?base64?IGE=?=")]
        {
            insert(&mut headers, "mcp-name", value);
            assert_eq!(headers["mcp-name"], expected);
        }
    }
}
