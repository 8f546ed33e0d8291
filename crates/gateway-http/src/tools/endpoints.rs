//! Tools over HTTP: the list, and running one without a model.
//!
//! A failed tool is a reply with `success: false` and an `error_code`; only errors that the caller
//! can fix fail the request: an unknown tool or item, invalid arguments.

use super::ToolCaller;
use crate::{
    Endpoint, HttpService, RequestBody,
    headers::facts::write_taxonomy,
    models::percent_decoded,
    reply,
    request::{options, query::QueryParams},
    sessions,
};
use gateway_core::{
    ErrorKind, GatewayError, Json, Result, ToolCall, ToolContext, ToolError, ToolErrorCode,
    ToolKind, ToolSpec, Tools, state::MessageRange,
};
use gateway_engine::{permitted_tools, tool_context};
use gateway_limits::Client;
use gateway_sessions::SessionTools;
use gateway_wire::json;
use http::{Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The slice without messages.
const NO_MESSAGES: MessageRange = MessageRange { from: 0, limit: 0 };

/// Serves a tools request.
pub(crate) async fn serve(
    service: &HttpService,
    endpoint: Endpoint<'_>,
    caller: ToolCaller,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>> {
    let client = &caller.client;
    let tools = permitted_tools(client, &service.engine.toolbox.tools);
    let tools = &*tools;
    let (head, body) = request.into_parts();
    if endpoint == Endpoint::Tools {
        return Ok(list(tools, head.uri.query()));
    }
    if let Endpoint::Tool(name) = endpoint {
        return show(tools, &percent_decoded(name));
    }
    let body = service.read_body(&head.headers, body, (client, caller.peer)).await?;
    json::validate(&body, &json::JsonLimits { depth: service.engine.settings.json_depth })
        .map_err(|error| unprocessable(format!("invalid tool call: {error}")))?;
    let Execute { call, session } = Execute::parse(&body)?;
    let _permit = caller.admit(service, &head.headers).await?;
    let session = session.or_else(|| options::session_id(&head.headers));
    let chosen = chosen(service, client, session).await?;
    let about = caller.context(&head.headers);
    let mut context = tool_context(&chosen, &about, service.engine.toolbox.total);
    context.idempotency_key = options::idempotency_key(&head.headers);
    execute(tools, &call, context).await
}

/// Returns the tool selection of the session `id`.
pub(super) async fn chosen(
    service: &HttpService,
    client: &Client,
    id: Option<String>,
) -> Result<SessionTools> {
    let Some(id) = id else { return Ok(SessionTools::default()) };
    let tenant = sessions::tenant(client)?;
    let found = service.engine.sessions.sessions().get(&tenant, &id, NO_MESSAGES).await;
    let found = found.map_err(|error| error.with_param("session_id"))?;
    Ok(SessionTools::by(&found.session, service.engine.sessions.taxonomies()))
}

/// A request to run a tool.
struct Execute {
    /// The tool, its arguments, and the name of the call; empty if the caller gave none.
    call: ToolCall,
    /// The session whose taxonomy and tiers go with the call.
    session: Option<String>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    name: Option<String>,
    tool_name: Option<String>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    tool_call_id: Option<String>,
    session_id: Option<String>,
}

impl Execute {
    /// Reads the body of `POST /v1/tools/execute`: `name` or `tool_name`, `arguments`,
    /// `tool_call_id`, `session_id`.
    ///
    /// # Errors
    ///
    /// If it is no such object.
    fn parse(body: &[u8]) -> Result<Self> {
        let wire: Wire<'_> = serde_json::from_slice(body).map_err(|error| {
            let why = if error.is_data() { "a member has the wrong type" } else { "invalid JSON" };
            unprocessable(format!("invalid tool call: {why}")).with_source(error)
        })?;
        let name = wire.name.or(wire.tool_name).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| unprocessable("name is required").with_param("name"))?;
        let arguments = wire.arguments.map_or("{}", RawValue::get);
        if !arguments.starts_with('{') && arguments != "null" {
            return Err(unprocessable("arguments must be an object").with_param("arguments"));
        }
        let call = ToolCall {
            id: wire.tool_call_id.unwrap_or_default(),
            name,
            arguments: arguments.to_owned(),
            ..ToolCall::default()
        };
        Ok(Self { call, session: wire.session_id })
    }
}

/// `GET /v1/tools`: a bare list, with `?format=object` one in an object.
fn list(tools: &dyn Tools, query: Option<&str>) -> Response<reply::Body> {
    let specs = tools.specs();
    let shown: Vec<_> = specs.iter().filter_map(|spec| ToolView::of(spec)).collect();
    if QueryParams::parse(query).iter().any(|pair| pair == ("format", "object")) {
        reply::json(StatusCode::OK, &ToolList { tools: shown })
    } else {
        reply::json(StatusCode::OK, &shown)
    }
}

/// `GET /v1/tools/{name}`.
///
/// # Errors
///
/// If there is no such tool.
fn show(tools: &dyn Tools, name: &str) -> Result<Response<reply::Body>> {
    let spec = tools.spec(name);
    let shown = spec.as_deref().and_then(ToolView::of);
    let shown = shown.ok_or_else(|| not_found(ToolError::unknown(name)))?;
    Ok(reply::json(StatusCode::OK, &shown))
}

/// `POST /v1/tools/execute`. `context` includes the session's selection; unknown arguments are
/// rejected.
///
/// # Errors
///
/// If the tool or the requested item does not exist, or the arguments are invalid.
async fn execute(
    tools: &dyn Tools,
    call: &ToolCall,
    context: ToolContext,
) -> Result<Response<reply::Body>> {
    let taxonomy = context.taxonomy.clone();
    let outcome = match run(tools, call, context).await {
        Ok(result) => Ok(result),
        Err(error) if error.code == ToolErrorCode::NotFound => return Err(not_found(error)),
        Err(error) if error.code == ToolErrorCode::InvalidArguments => {
            return Err(unprocessable(error.message)
                .with_code(error.code.as_str())
                .with_param("arguments"));
        }
        Err(error) => Err(error),
    };
    let failure = outcome.as_ref().err();
    let executed = ToolRunView {
        name: &call.name,
        result: outcome.as_ref().ok(),
        success: outcome.is_ok(),
        error: failure.map(|error| &*error.message),
        error_code: failure.map(|error| error.code.as_str()),
        tool_call_id: Some(call.id.as_str()).filter(|id| !id.is_empty()),
    };
    let mut reply = reply::json(StatusCode::OK, &executed);
    write_taxonomy(taxonomy.as_deref(), reply.headers_mut());
    Ok(reply)
}

/// Runs a tool for a program: unlike for models, unknown arguments are errors.
pub(super) async fn run(
    tools: &dyn Tools,
    call: &ToolCall,
    context: ToolContext,
) -> Result<Json, ToolError> {
    tools.run(call, &ToolContext { strict: true, ..context }).await
}

#[derive(Serialize)]
struct ToolList<'a> {
    tools: Vec<ToolView<'a>>,
}

/// A tool in the list; the schema has two names, for different clients.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolView<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Json,
    input_schema: &'a Json,
}

impl<'a> ToolView<'a> {
    fn of(spec: &'a ToolSpec) -> Option<Self> {
        let ToolKind::Function(function) = &spec.kind else { return None };
        let schema = function.parameters.as_ref()?;
        let description = function.description.as_deref().unwrap_or_default();
        Some(Self { name: &function.name, description, parameters: schema, input_schema: schema })
    }
}

#[derive(Serialize)]
struct ToolRunView<'a> {
    name: &'a str,
    result: Option<&'a Json>,
    success: bool,
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

fn unprocessable(message: impl Into<std::borrow::Cow<'static, str>>) -> GatewayError {
    GatewayError::new(ErrorKind::Unprocessable, message)
}

fn not_found(error: ToolError) -> GatewayError {
    GatewayError::new(ErrorKind::NotFound, error.message).with_code(error.code.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::scripted_tool::ScriptedTool;
    use http_body_util::BodyExt as _;

    async fn text(reply: Response<reply::Body>) -> String {
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// The reply to `body`, or the status and code of its failure.
    async fn check(body: &str, expected: &str) {
        let ran = match Execute::parse(body.as_bytes()) {
            Ok(it) => execute(&ScriptedTool, &it.call, ToolContext::default()).await,
            Err(error) => Err(error),
        };
        let said = match ran {
            Ok(reply) => text(reply).await,
            Err(error) => format!("{} {}", reply::status(&error).as_u16(), error.code()),
        };
        assert_eq!(said, expected, "{body}");
    }

    #[tokio::test]
    async fn tool_result_is_unchanged() {
        check(
            r#"{"name":"echo","arguments":{"b":1e2,"a":0.10}}"#,
            r#"{"name":"echo","result":{"b":1e2,"a":0.10},"success":true,"error":null}"#,
        )
        .await;
    }

    #[tokio::test]
    async fn call_accepts_function_call_format() {
        check(
            r#"{"tool_name":"echo","arguments":{},"tool_call_id":"c1"}"#,
            r#"{"name":"echo","result":{},"success":true,"error":null,"tool_call_id":"c1"}"#,
        )
        .await;
        check(r#"{"name":"echo"}"#, r#"{"name":"echo","result":{},"success":true,"error":null}"#)
            .await;
    }

    #[tokio::test]
    async fn tool_failure_is_reported_with_status_200() {
        check(
            r#"{"name":"echo","arguments":{"x":"slow"}}"#,
            concat!(
                r#"{"name":"echo","result":null,"success":false,"error":"no","#,
                r#""error_code":"timeout"}"#
            ),
        )
        .await;
    }

    #[tokio::test]
    async fn invalid_tool_arguments_are_client_errors() {
        check(r#"{"name":"ohce"}"#, "404 not_found").await;
        check(r#"{"name":"echo","arguments":{"x":"missing"}}"#, "404 not_found").await;
        check(r#"{"name":"echo","arguments":{"x":"bad"}}"#, "422 invalid_arguments").await;
        for body in ["", "[]", "{}", r#"{"name":1}"#, r#"{"name":"echo","arguments":"{}"}"#] {
            check(body, "422 unprocessable").await;
        }
    }

    #[test]
    fn session_of_tool_call_is_read() {
        let body = br#"{"name":"echo","session_id":"s1"}"#;
        assert_eq!(Execute::parse(body).unwrap().session.as_deref(), Some("s1"));
    }

    #[tokio::test]
    async fn tools_are_shown_under_both_names_of_their_schema() {
        let echo = concat!(
            r#"{"name":"echo","description":"Echoes.","#,
            r#""parameters":{"type":"object"},"inputSchema":{"type":"object"}}"#
        );
        assert_eq!(text(list(&ScriptedTool, None)).await, format!("[{echo}]"));
        assert_eq!(
            text(list(&ScriptedTool, Some("a=b&format=object"))).await,
            format!(r#"{{"tools":[{echo}]}}"#)
        );
        assert_eq!(text(show(&ScriptedTool, "echo").unwrap()).await, echo);
        assert_eq!(show(&ScriptedTool, "other").unwrap_err().kind(), ErrorKind::NotFound);
    }
}
