//! `/mcp`: the gateway's tools for clients of the Model Context Protocol.
//!
//! Each POST is one message and has its whole answer, so that any replica can answer. A client that
//! begins with a handshake gets a session: while one of its requests runs, servers may ask it back,
//! and its reply is a POST of its own; by a GET, it hears what servers announce. What a client must know of a failure of a tool is in its
//! result; failures of the protocol are JSON-RPC's own.

mod announcements;
mod message;
mod relay;
mod session;
mod stateless;
mod stream;
mod tool_call;
mod welcome;

use self::{
    message::{
        INVALID_REQUEST, METHOD_NOT_FOUND, MISSING_CAPABILITY, McpAnswer, McpFailure, McpResult,
        Message, PARSE_ERROR, VERSIONS,
    },
    relay::RelayedCall,
    session::ClientSession,
    stateless::StatelessRefusal,
    stream::WrittenReply,
};
use super::{ToolCaller, endpoints::chosen};
use crate::{HttpService, RequestBody, names, reply, request::options};
use gateway_core::{
    Function, Json, JsonObject, McpList, McpRelay, Result, ToolCall, ToolContext, ToolKind,
    ToolSpec,
};
use gateway_engine::{permitted_tools, tool_context};
use gateway_limits::Client;
use gateway_wire::json;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{collections::HashMap, sync::Arc};

/// Answers a message, or opens or ends the stream of a session.
///
/// # Errors
///
/// If the body cannot be read, there is no leave to run a tool, or no such session.
pub(crate) async fn serve(
    service: &HttpService,
    caller: ToolCaller,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>> {
    let (client, headers) = (&caller.client, request.headers());
    match *request.method() {
        Method::GET => announcements::open(service, client, headers),
        Method::DELETE => announcements::end(service, client, headers),
        _ => serve_message(service, caller, request).await,
    }
}

/// Answers a message.
async fn serve_message(
    service: &HttpService,
    caller: ToolCaller,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>> {
    let client = &caller.client;
    let (head, body) = request.into_parts();
    let headers = &head.headers;
    let body = service.read_body(headers, body, (client, caller.peer)).await?;
    let (message, is_stateless) = match checked_message(service, client, headers, &body) {
        Ok(checked) => checked,
        Err((status, body)) => return Ok(reply::written(status, body)),
    };
    // Requests that stand alone have no session.
    let session = ClientSession::find(&service.mcp_sessions, client, headers)?;
    let session = session.filter(|_| !is_stateless);
    let (Some(id), Some(method)) = (message.id, message.method.as_deref()) else {
        let status = session.map_or(StatusCode::ACCEPTED, |session| session.accept(&message));
        return Ok(reply::empty(status));
    };
    let form = AnswerForm::of(service, method, is_stateless);
    let (events, received) = stream::events();
    let mut params = relay::members(message.params);
    let relay = relay::relay(&mut params, session.as_ref(), events);
    match relayed(service, client, method, params, &relay) {
        Some(Ok(request)) => {
            let permit = caller.admit(service, headers).await?;
            let context = call_context(service, &caller, headers, Some(relay)).await?;
            let id = id.to_owned();
            let work = async move {
                let outcome = request.run(context).await;
                drop(permit);
                form.written(&id, outcome)
            };
            Ok(stream::respond(Box::pin(work), received).await)
        }
        Some(Err(failure)) => Ok(form.reply(id, Err(failure))),
        None if method == "logging/setLevel" && !is_stateless => {
            Ok(form.reply(id, session::set_log_level(session.as_ref(), message.params)))
        }
        None if announcements::METHODS.contains(&method) && !is_stateless => {
            let _permit = caller.admit(service, headers).await?;
            let asked = (method, message.params);
            let outcome = announcements::answer(service, client, session.as_ref(), asked).await;
            Ok(form.reply(id, outcome))
        }
        None => {
            let asked = (method, message.params, is_stateless);
            let outcome = answer(service, &caller, headers, asked).await?;
            let mut reply = form.reply(id, outcome);
            if method == "initialize" && !is_stateless {
                welcome::begin_session(&mut reply, message.params);
            }
            Ok(reply)
        }
    }
}

/// Reads a message, and returns whether it stands alone.
///
/// # Errors
///
/// The reply to a message that is none, or is in a version that is not spoken.
fn checked_message<'a>(
    service: &HttpService,
    client: &Client,
    headers: &HeaderMap,
    body: &'a [u8],
) -> Result<(Message<'a>, bool), WrittenReply> {
    let refusal = |status: StatusCode, id, failure| {
        (status, serde_json::to_vec(&McpAnswer::failed(id, failure)).unwrap_or_default())
    };
    let limits = json::JsonLimits { depth: service.engine.settings.json_depth };
    let parsed = match json::validate(body, &limits) {
        Ok(()) => Message::parse(body),
        Err(error) => Err(McpFailure::new(PARSE_ERROR, error.to_string())),
    };
    let message = parsed.map_err(|failure| refusal(StatusCode::BAD_REQUEST, None, failure))?;
    let is_stateless = stateless::is_stateless(headers, &message);
    if is_stateless {
        let tools = permitted_tools(client, &service.engine.toolbox.tools);
        let checked = stateless::check(headers, &message, |name| tools.spec(name));
        checked
            .map_err(|StatelessRefusal { status, failure }| refusal(status, message.id, failure))?;
    } else if message.method.as_deref() != Some("initialize") && !is_spoken(headers) {
        let unknown = McpFailure::new(INVALID_REQUEST, "unsupported protocol version");
        return Err(refusal(StatusCode::BAD_REQUEST, message.id, unknown));
    }
    Ok((message, is_stateless))
}

/// Answers a request that no MCP server answers: its method, its parameters, and whether it stands
/// alone.
async fn answer(
    service: &HttpService,
    caller: &ToolCaller,
    headers: &HeaderMap,
    (method, params, is_stateless): (&str, Option<&RawValue>, bool),
) -> Result<McpResult> {
    Ok(match method {
        "tools/call" => {
            let _permit = caller.admit(service, headers).await?;
            let context = call_context(service, caller, headers, None).await?;
            let tools = permitted_tools(&caller.client, &service.engine.toolbox.tools);
            tool_call::run(&*tools, params, context).await
        }
        "server/discover" if is_stateless => Ok(stateless::discovery(&welcome::capabilities())),
        "initialize" | "ping" if is_stateless => Err(unknown_method()),
        method => tell(service, &caller.client, method, params),
    })
}

/// Returns the request of `method` as one that an MCP server answers, if one does.
fn relayed(
    service: &HttpService,
    client: &Client,
    method: &str,
    params: JsonObject,
    relay: &Arc<McpRelay>,
) -> Option<Result<RelayedCall, McpFailure>> {
    let toolbox = &service.engine.toolbox;
    if method != "tools/call" {
        return relay::find(&toolbox.servers, client, method, params, Arc::clone(relay));
    }
    let name: String = params.get("name")?.read().ok()?;
    let listed = relay::entries(&toolbox.servers, client, McpList::Tools);
    listed.iter().find(|entry| entry.name == name)?;
    // A tool of another name space may have taken the name.
    let tools = permitted_tools(client, &toolbox.tools);
    tools.spec(&name)?;
    let arguments = params.get("arguments").map_or("{}", Json::get).to_owned();
    let call = ToolCall { name, arguments, ..ToolCall::default() };
    Some(Ok(RelayedCall::Tool { tools, call }))
}

/// Returns the context of a call without a model.
async fn call_context(
    service: &HttpService,
    caller: &ToolCaller,
    headers: &HeaderMap,
    mcp: Option<Arc<McpRelay>>,
) -> Result<ToolContext> {
    let session = options::session_id(headers);
    let chosen = chosen(service, &caller.client, session).await?;
    let context = tool_context(&chosen, &caller.context(headers), service.engine.toolbox.total);
    let idempotency_key = options::idempotency_key(headers);
    Ok(ToolContext { idempotency_key, mcp, ..context })
}

/// The form of an answer, by the version of its request.
struct AnswerForm {
    is_stateless: bool,
    /// Whether clients may keep the result for a time.
    is_kept: bool,
    version: String,
}

impl AnswerForm {
    fn of(service: &HttpService, method: &str, is_stateless: bool) -> Self {
        let is_kept = method.ends_with("/list") || method == "resources/read";
        Self { is_stateless, is_kept, version: service.about.version.clone() }
    }

    /// The reply with what came of a request.
    fn reply(&self, id: &RawValue, outcome: McpResult) -> Response<reply::Body> {
        let (status, body) = self.written(id, outcome);
        reply::written(status, body)
    }

    /// Writes what came of a request.
    fn written(&self, id: &RawValue, outcome: McpResult) -> WrittenReply {
        let (status, answer) = match outcome {
            Ok(result) => {
                let result = if self.is_stateless {
                    stateless::completed(&result, &self.version, self.is_kept)
                } else {
                    result
                };
                (
                    StatusCode::OK,
                    McpAnswer { jsonrpc: "2.0", id: Some(id), result: Some(result), error: None },
                )
            }
            Err(failure) => {
                let status = match failure.code {
                    METHOD_NOT_FOUND if self.is_stateless => StatusCode::NOT_FOUND,
                    MISSING_CAPABILITY if self.is_stateless => StatusCode::BAD_REQUEST,
                    _ => StatusCode::OK,
                };
                (status, McpAnswer::failed(Some(id), failure))
            }
        };
        (status, serde_json::to_vec(&answer).unwrap_or_default())
    }
}

/// Whether a message is in a version that is spoken; older clients do not say which.
fn is_spoken(headers: &HeaderMap) -> bool {
    let said = headers.get_all(names::MCP_PROTOCOL_VERSION).iter();
    said.into_iter().all(|said| VERSIONS.iter().any(|version| said == version))
}

/// Answers what needs no tool.
fn tell(
    service: &HttpService,
    client: &Client,
    method: &str,
    params: Option<&RawValue>,
) -> McpResult {
    match method {
        "initialize" => Ok(welcome::welcome(service, params)),
        "ping" => Ok(Json::of(&serde_json::Map::new())),
        "tools/list" => Ok(listed_tools(service, client)),
        method => {
            let servers = &service.engine.toolbox.servers;
            relay::listed(servers, client, method).ok_or_else(unknown_method)
        }
    }
}

/// The list of tools: those of MCP servers as these wrote them.
fn listed_tools(service: &HttpService, client: &Client) -> Json {
    let toolbox = &service.engine.toolbox;
    let of_servers = relay::entries(&toolbox.servers, client, McpList::Tools);
    let mut of_servers: HashMap<_, _> =
        of_servers.into_iter().map(|entry| (entry.name, entry.json)).collect();
    let specs = permitted_tools(client, &toolbox.tools).specs();
    let tools = specs.iter().filter_map(|spec| {
        of_servers.remove(spec.name()).or_else(|| Some(Json::of(&McpToolView::of(spec)?)))
    });
    Json::of(&ToolListReply { tools: tools.collect() })
}

fn unknown_method() -> McpFailure {
    McpFailure::new(METHOD_NOT_FOUND, "unknown method")
}

#[derive(Serialize)]
struct ToolListReply {
    tools: Vec<Json>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct McpToolView<'a> {
    name: &'a str,
    description: Option<&'a str>,
    input_schema: &'a Json,
}

impl<'a> McpToolView<'a> {
    fn of(spec: &'a ToolSpec) -> Option<Self> {
        let ToolKind::Function(Function { name, description, parameters, .. }) = &spec.kind else {
            return None;
        };
        let description = description.as_deref();
        Some(Self { name, description, input_schema: parameters.as_ref()? })
    }
}

#[cfg(test)]
mod tests {
    use super::{message::PARSE_ERROR, *};

    #[track_caller]
    fn check_message(body: &str, expected: Result<Option<&str>, i32>) {
        let read = Message::parse(body.as_bytes());
        let read = read.as_ref().map(|it| it.method.as_deref()).map_err(|it| it.code);
        assert_eq!(read, expected, "{body}");
    }

    #[test]
    fn messages_are_read() {
        check_message(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Ok(Some("ping")));
        check_message(
            r#"{"jsonrpc":"2.0","method":"notifications\/x"}"#,
            Ok(Some("notifications/x")),
        );
        check_message(r#"{"jsonrpc":"2.0","id":"a","result":{}}"#, Ok(None));
        check_message("{", Err(PARSE_ERROR));
        check_message("[]", Err(INVALID_REQUEST));
        check_message(r#"{"id":1,"method":"ping"}"#, Err(INVALID_REQUEST));
        check_message(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, Err(INVALID_REQUEST));
        check_message(r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, Err(INVALID_REQUEST));
    }
}
