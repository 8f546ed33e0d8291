//! `/mcp`: the gateway's tools for clients of the Model Context Protocol.
//!
//! Each POST is one message and has its whole answer: there are no sessions, and nothing is said
//! that was not asked for, so that any replica can answer. What a client must know of a failure of a
//! tool is in its result; failures of the protocol are JSON-RPC's own.

mod message;
mod stateless;

use self::{
    message::{
        Answer, Failure, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, Message, NEWEST,
        Outcome, PARSE_ERROR, VERSIONS,
    },
    stateless::StatelessRefusal,
};
use super::{
    ToolCaller,
    endpoints::{self, chosen},
};
use crate::{HttpService, RequestBody, names, reply, request::options};
use gateway_core::{
    Function, Json, Result, ToolCall, ToolContext, ToolError, ToolKind, ToolSpec, Tools,
};
use gateway_engine::{permitted_tools, tool_context};
use gateway_limits::Client;
use gateway_wire::json;
use http::{HeaderMap, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Answers a message.
///
/// # Errors
///
/// If the body cannot be read, or there is no leave to run a tool.
pub(crate) async fn serve(
    service: &HttpService,
    caller: ToolCaller,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>> {
    let client = &caller.client;
    let (head, body) = request.into_parts();
    let body = service.read_body(&head.headers, body, (client, caller.peer)).await?;
    let limits = json::JsonLimits { depth: service.engine.settings.json_depth };
    let parsed = match json::validate(&body, &limits) {
        Ok(()) => Message::parse(&body),
        Err(error) => Err(Failure::new(PARSE_ERROR, error.to_string())),
    };
    let message = match parsed {
        Ok(message) => message,
        Err(failure) => {
            return Ok(json_reply(StatusCode::BAD_REQUEST, &Answer::failed(None, failure)));
        }
    };
    let is_stateless = stateless::is_stateless(&head.headers, &message);
    if is_stateless {
        let tools = permitted_tools(client, &service.engine.toolbox.tools);
        let checked = stateless::check(&head.headers, &message, |name| tools.spec(name));
        if let Err(StatelessRefusal { status, failure }) = checked {
            return Ok(json_reply(status, &Answer::failed(message.id, failure)));
        }
    } else if message.method.as_deref() != Some("initialize") && !is_spoken(&head.headers) {
        let unknown = Failure::new(INVALID_REQUEST, "unsupported protocol version");
        return Ok(json_reply(StatusCode::BAD_REQUEST, &Answer::failed(message.id, unknown)));
    }
    let Some(id) = message.id else { return Ok(reply::empty(StatusCode::ACCEPTED)) };
    let outcome = match message.method.as_deref() {
        Some("tools/call") => {
            let _permit = caller.admit(service, &head.headers).await?;
            let session = options::session_id(&head.headers);
            let chosen = chosen(service, client, session).await?;
            let about = caller.context(&head.headers);
            let mut context = tool_context(&chosen, &about, service.engine.toolbox.total);
            context.idempotency_key = options::idempotency_key(&head.headers);
            let tools = permitted_tools(client, &service.engine.toolbox.tools);
            call(&*tools, message.params, context).await
        }
        Some("server/discover") if is_stateless => Ok(stateless::discovery()),
        Some("initialize" | "ping") if is_stateless => Err(unknown_method()),
        Some(method) => tell(service, client, method, message.params),
        // The answer to a question: none was asked.
        None => return Ok(reply::empty(StatusCode::ACCEPTED)),
    };
    let is_list = message.method.as_deref() == Some("tools/list");
    let outcome = outcome.map(|result| {
        let version = &service.about.version;
        if is_stateless { stateless::completed(&result, version, is_list) } else { result }
    });
    Ok(reply_to(id, outcome, is_stateless))
}

/// Writes what came of a request.
fn reply_to(id: &RawValue, outcome: Outcome, is_stateless: bool) -> Response<reply::Body> {
    let (status, answer) = match outcome {
        Ok(result) => {
            let answer = Answer { jsonrpc: "2.0", id: Some(id), result: Some(result), error: None };
            (StatusCode::OK, answer)
        }
        Err(failure) => {
            let is_unknown = is_stateless && failure.code == METHOD_NOT_FOUND;
            let status = if is_unknown { StatusCode::NOT_FOUND } else { StatusCode::OK };
            (status, Answer::failed(Some(id), failure))
        }
    };
    json_reply(status, &answer)
}

fn json_reply(status: StatusCode, answer: &Answer<'_>) -> Response<reply::Body> {
    reply::json(status, answer)
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
) -> Outcome {
    match method {
        "initialize" => Ok(Json::of(&welcome(service, params))),
        "ping" => Ok(Json::of(&serde_json::Map::new())),
        "tools/list" => {
            let specs = permitted_tools(client, &service.engine.toolbox.tools).specs();
            Ok(Json::of(&List {
                tools: specs.iter().filter_map(|spec| McpToolView::of(spec)).collect(),
            }))
        }
        _ => Err(unknown_method()),
    }
}

fn unknown_method() -> Failure {
    Failure::new(METHOD_NOT_FOUND, "unknown method")
}

/// Returns the server's identity, in the requested protocol version if it is supported.
fn welcome(service: &HttpService, params: Option<&RawValue>) -> Welcome {
    let asked = params.and_then(|it| serde_json::from_str::<Initialize<'_>>(it.get()).ok());
    let asked = asked.and_then(|it| it.protocol_version);
    let version = VERSIONS.into_iter().find(|version| asked.as_deref() == Some(*version));
    Welcome {
        protocol_version: version.unwrap_or(NEWEST),
        capabilities: Capabilities { tools: ToolsCapability { list_changed: false } },
        server_info: Info { name: "llm-gateway", version: service.about.version.clone() },
    }
}

/// Runs a tool and returns its result.
async fn call(tools: &dyn Tools, params: Option<&RawValue>, context: ToolContext) -> Outcome {
    let params = params.map_or("null", RawValue::get);
    let asked: CallParams<'_> = serde_json::from_str(params)
        .map_err(|_| Failure::new(INVALID_PARAMS, "params must have a name, and arguments"))?;
    if tools.spec(&asked.name).is_none() {
        return Err(Failure::new(INVALID_PARAMS, ToolError::unknown(&asked.name).message));
    }
    let call = ToolCall {
        name: asked.name.into_owned(),
        arguments: asked.arguments.map_or("{}", RawValue::get).to_owned(),
        ..ToolCall::default()
    };
    let outcome = endpoints::run(tools, &call, context).await;
    Ok(Json::of(&match &outcome {
        Ok(result) => CallOutput::of(result),
        Err(error) => CallOutput::failed(error),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialize<'a> {
    #[serde(borrow)]
    protocol_version: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Welcome {
    protocol_version: &'static str,
    capabilities: Capabilities,
    server_info: Info,
}

#[derive(Serialize)]
struct Capabilities {
    tools: ToolsCapability,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolsCapability {
    list_changed: bool,
}

#[derive(Serialize)]
struct Info {
    name: &'static str,
    version: String,
}

#[derive(Serialize)]
struct List<'a> {
    tools: Vec<McpToolView<'a>>,
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

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// The result of a call.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallOutput<'a> {
    content: [Text<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<&'a Json>,
    is_error: bool,
}

#[derive(Serialize)]
struct Text<'a> {
    r#type: &'static str,
    text: Cow<'a, str>,
}

impl<'a> CallOutput<'a> {
    fn of(result: &'a Json) -> Self {
        // Only an object may be structured content.
        let structured_content = Some(result).filter(|it| it.get().starts_with('{'));
        let text = Text { r#type: "text", text: result.compact().into() };
        Self { content: [text], structured_content, is_error: false }
    }

    fn failed(error: &ToolError) -> Self {
        let text = Text { r#type: "text", text: error.to_json().compact().into() };
        Self { content: [text], structured_content: None, is_error: true }
    }
}

#[cfg(test)]
mod tests {
    use super::{message::PARSE_ERROR, *};
    use async_trait::async_trait;
    use futures_util::FutureExt as _;
    use gateway_core::ToolErrorCode;
    use std::sync::Arc;

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

    /// One tool, `echo`, that gives its arguments back, and fails without any.
    struct Echo;

    #[async_trait]
    impl Tools for Echo {
        fn specs(&self) -> Vec<Arc<ToolSpec>> {
            self.spec("echo").into_iter().collect()
        }

        fn spec(&self, name: &str) -> Option<Arc<ToolSpec>> {
            let schema = Json::parse(r#"{"type":"object"}"#).unwrap();
            (name == "echo").then(|| Arc::new(ToolSpec::function("echo", "Echoes.", schema)))
        }

        fn recognizes(&self, described: &ToolSpec) -> bool {
            described.name() == "echo"
        }

        async fn run(&self, call: &ToolCall, context: &ToolContext) -> Result<Json, ToolError> {
            assert!(context.strict);
            if call.arguments == "{}" {
                return Err(ToolError::new(ToolErrorCode::Timeout, "slow"));
            }
            Ok(Json::parse(&call.arguments).unwrap())
        }
    }

    #[track_caller]
    fn check(params: &str, expected: &str) {
        let params = RawValue::from_string(params.to_owned()).unwrap();
        let called = call(&Echo, Some(&params), ToolContext::default()).now_or_never().unwrap();
        let said = called.map_or_else(|it| it.code.to_string(), |it| it.get().to_owned());
        assert_eq!(said, expected, "{params}");
    }

    #[test]
    fn a_result_is_text_and_structure() {
        check(
            r#"{"name":"echo","arguments":{"a": 1}}"#,
            r#"{"content":[{"type":"text","text":"{\"a\":1}"}],"structuredContent":{"a": 1},"isError":false}"#,
        );
        check(
            r#"{"name":"echo","arguments":[1]}"#,
            r#"{"content":[{"type":"text","text":"[1]"}],"isError":false}"#,
        );
    }

    #[test]
    fn a_failure_of_a_tool_is_a_result() {
        check(
            r#"{"name":"echo"}"#,
            r#"{"content":[{"type":"text","text":"{\"error\":\"slow\",\"error_code\":\"timeout\"}"}],"isError":true}"#,
        );
    }

    #[test]
    fn unknown_tool_is_protocol_error() {
        check(r#"{"name":"ohce"}"#, "-32602");
        check("{}", "-32602");
        check("null", "-32602");
    }
}
