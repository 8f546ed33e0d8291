//! Requests of version 2026-07-28, which stand alone: what a handshake would settle stands in the
//! `_meta` of each, and what proxies go by is repeated in headers.

use super::message::{INVALID_PARAMS, McpFailure, Message, NEWEST, VERSIONS};
use crate::names;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use gateway_core::{Json, JsonObject, ToolKind, ToolSpec};
use http::{HeaderMap, HeaderName, StatusCode};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use std::{borrow::Cow, collections::BTreeMap};

/// The version whose requests stand alone.
pub(super) const STATELESS: &str = "2026-07-28";

/// A header is missing, or says something else than the body.
const HEADER_MISMATCH: i32 = -32020;
/// The version of the request is not spoken.
const UNSUPPORTED_VERSION: i32 = -32022;

/// The time for which clients may cache lists, in milliseconds: tools of servers come and go.
const TTL_MS: u32 = 60_000;

/// A refusal of a request, and its status.
pub(super) struct StatelessRefusal {
    pub(super) status: StatusCode,
    pub(super) failure: McpFailure,
}

#[derive(Default, Deserialize)]
struct StatelessParams<'a> {
    #[serde(rename = "_meta", borrow, default)]
    meta: Option<RequestMeta<'a>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uri: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct RequestMeta<'a> {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion", borrow, default)]
    version: Option<Cow<'a, str>>,
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities", borrow, default)]
    capabilities: Option<&'a RawValue>,
}

/// Returns whether `message` is a request that stands alone.
pub(super) fn is_stateless(headers: &HeaderMap, message: &Message<'_>) -> bool {
    let is_handshake = message.method.as_deref() == Some("initialize");
    (!is_handshake && is_named(headers))
        || params(message).meta.is_some_and(|meta| meta.version.is_some())
}

/// Whether the headers name the version whose requests stand alone.
pub(super) fn is_named(headers: &HeaderMap) -> bool {
    header(headers, &names::MCP_PROTOCOL_VERSION).as_deref() == Some(STATELESS)
}

fn params<'a>(message: &Message<'a>) -> StatelessParams<'a> {
    let params = message.params.map(|params| serde_json::from_str(params.get()));
    params.and_then(Result::ok).unwrap_or_default()
}

/// Checks what a request says of itself. The tool that it calls is found by `tool`.
///
/// # Errors
///
/// If something is missing, or header and body differ.
pub(super) fn check(
    headers: &HeaderMap,
    message: &Message<'_>,
    tool: impl FnOnce(&str) -> Option<std::sync::Arc<ToolSpec>>,
) -> Result<(), StatelessRefusal> {
    let params = params(message);
    let meta = params.meta.unwrap_or_default();
    let method = message.method.as_deref().unwrap_or_default();
    // Notifications say nothing that has to be answered.
    if message.id.is_some() {
        let Some(version) = meta.version else { return missing("protocolVersion") };
        if version != STATELESS {
            same(headers, &names::MCP_PROTOCOL_VERSION, &version)?;
            return Err(unsupported(&version));
        }
        if !meta.capabilities.is_some_and(|it| it.get().starts_with('{')) {
            return missing("clientCapabilities");
        }
    }
    same(headers, &names::MCP_PROTOCOL_VERSION, STATELESS)?;
    same(headers, &names::MCP_METHOD, method)?;
    let subject = match method {
        "tools/call" | "prompts/get" => params.name.as_ref(),
        "resources/read" => params.uri.as_ref(),
        _ => None,
    };
    if let Some(subject) = subject {
        same(headers, &names::MCP_NAME, subject)?;
    }
    if method == "tools/call"
        && let Some(spec) = params.name.and_then(|name| tool(&name))
    {
        check_mirrored_arguments(headers, &spec, params.arguments)?;
    }
    Ok(())
}

fn missing(name: &str) -> Result<(), StatelessRefusal> {
    let message = format!("_meta must have io.modelcontextprotocol/{name}");
    let failure = McpFailure::new(INVALID_PARAMS, message);
    Err(StatelessRefusal { status: StatusCode::BAD_REQUEST, failure })
}

fn unsupported(requested: &str) -> StatelessRefusal {
    let supported: Vec<_> = [STATELESS].into_iter().chain(VERSIONS).collect();
    let data = Json::of(&json!({ "supported": supported, "requested": requested }));
    let failure =
        McpFailure::new(UNSUPPORTED_VERSION, "this version is not spoken").with_data(data);
    StatelessRefusal { status: StatusCode::BAD_REQUEST, failure }
}

/// Checks that the header `name` is `expected`.
fn same(headers: &HeaderMap, name: &HeaderName, expected: &str) -> Result<(), StatelessRefusal> {
    if header(headers, name).is_some_and(|value| value == expected) {
        return Ok(());
    }
    let message = format!("the header {name} is missing, or says something else than the body");
    let failure = McpFailure::new(HEADER_MISMATCH, message);
    Err(StatelessRefusal { status: StatusCode::BAD_REQUEST, failure })
}

/// Checks the arguments that a tool wants repeated in headers.
fn check_mirrored_arguments(
    headers: &HeaderMap,
    spec: &ToolSpec,
    arguments: Option<&RawValue>,
) -> Result<(), StatelessRefusal> {
    let ToolKind::Function(function) = &spec.kind else { return Ok(()) };
    let schema = function.parameters.as_ref().and_then(|it| it.read::<JsonObject>().ok());
    let properties = schema.and_then(|it| it.get("properties")?.read::<JsonObject>().ok());
    let arguments: JsonObject =
        arguments.and_then(|it| serde_json::from_str(it.get()).ok()).unwrap_or_default();
    for (property, schema) in properties.unwrap_or_default() {
        let members = schema.read::<JsonObject>().unwrap_or_default();
        let name = members.get("x-mcp-header").and_then(|it| it.read::<String>().ok());
        if let (Some(name), Some(argument)) = (name, arguments.get(&property)) {
            let text = argument.read::<String>().unwrap_or_else(|_| argument.get().to_owned());
            same(headers, &mirror(&name)?, &text)?;
        }
    }
    Ok(())
}

/// The header that repeats an argument, by the name that its schema gives to it.
fn mirror(name: &str) -> Result<HeaderName, StatelessRefusal> {
    let header = format!("{}{name}", names::MCP_PARAM_PREFIX);
    header.parse().map_err(|_| {
        let message = format!("the tool's schema names an invalid header: {header}");
        let failure = McpFailure::new(HEADER_MISMATCH, message);
        StatelessRefusal { status: StatusCode::BAD_REQUEST, failure }
    })
}

/// The value of a header; text that is no plain one comes in base64.
fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    let encoded = value.strip_prefix("=?base64?").and_then(|it| it.strip_suffix("?="));
    match encoded {
        Some(encoded) => String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

/// The answer to `server/discover`, with what the server is capable of.
pub(super) fn discovery(capabilities: &Json) -> Json {
    let supported: Vec<_> =
        [STATELESS, NEWEST].into_iter().chain(VERSIONS.into_iter().skip(1)).collect();
    Json::of(&BTreeMap::from([
        ("supportedVersions", Json::of(&supported)),
        ("capabilities", capabilities.clone()),
        ("ttlMs", Json::of(&TTL_MS)),
        ("cacheScope", Json::of(&"private")),
    ]))
}

/// `result` with what results of requests that stand alone have besides; what a server has written
/// stays.
pub(super) fn completed(result: &Json, version: &str, is_kept: bool) -> Json {
    let mut members: JsonObject = result.read().unwrap_or_default();
    let mut add = |name: &str, value: Json| {
        members.entry(name.to_owned()).or_insert(value);
    };
    add("resultType", Json::of(&"complete"));
    if is_kept {
        add("ttlMs", Json::of(&TTL_MS));
        add("cacheScope", Json::of(&"private"));
    }
    let meta = members.get("_meta").and_then(|meta| meta.read::<JsonObject>().ok());
    let mut meta = meta.unwrap_or_default();
    let server = json!({ "name": "llm-gateway", "version": version });
    meta.insert("io.modelcontextprotocol/serverInfo".to_owned(), Json::of(&server));
    members.insert("_meta".to_owned(), Json::of(&meta));
    Json::of(&members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

    /// The code of the refusal of a call with `params` and these headers; 0 if there is none.
    #[track_caller]
    fn check_call(params: &str, headers: &[(&'static str, &str)], expected: i32) {
        let mut all = HeaderMap::new();
        for (name, value) in [("mcp-protocol-version", STATELESS), ("mcp-method", "tools/call")] {
            all.insert(name, value.parse().unwrap());
        }
        for (name, value) in headers {
            all.insert(*name, value.parse().unwrap());
        }
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let message = Message::parse(body.as_bytes()).ok().unwrap();
        let schema = r#"{"properties":{"r":{"x-mcp-header":"Region"}}}"#;
        let tool = |name: &str| {
            let spec = ToolSpec::function(name, "", Json::parse(schema).unwrap());
            Some(Arc::new(spec))
        };
        let refused = check(&all, &message, tool).err().map_or(0, |it| it.failure.code);
        assert_eq!(refused, expected, "{params} {headers:?}");
    }

    #[test]
    fn stateless_headers_must_match_body() {
        let params = format!(r#"{{{META},"name":"look"}}"#);
        check_call(&params, &[("mcp-name", "look")], 0);
        check_call(&params, &[("mcp-name", "=?base64?bG9vaw==?=")], 0);
        check_call(&params, &[], HEADER_MISMATCH);
        check_call(&params, &[("mcp-name", "other")], HEADER_MISMATCH);
        let method = [("mcp-name", "look"), ("mcp-method", "tools/list")];
        check_call(&params, &method, HEADER_MISMATCH);
    }

    #[test]
    fn meta_is_required() {
        check_call(r#"{"name":"look"}"#, &[("mcp-name", "look")], INVALID_PARAMS);
        let older = META.replace("2026-07-28", "2027-01-01");
        check_call(&format!("{{{older}}}"), &[], HEADER_MISMATCH);
        let version = [("mcp-protocol-version", "2027-01-01")];
        check_call(&format!("{{{older}}}"), &version, UNSUPPORTED_VERSION);
    }

    #[test]
    fn mirrored_arguments_are_compared() {
        let params = format!(r#"{{{META},"name":"look","arguments":{{"r":"eu"}}}}"#);
        check_call(&params, &[("mcp-name", "look"), ("mcp-param-region", "eu")], 0);
        check_call(&params, &[("mcp-name", "look"), ("mcp-param-region", "us")], HEADER_MISMATCH);
        check_call(&params, &[("mcp-name", "look")], HEADER_MISMATCH);
    }

    #[test]
    fn results_keep_their_numbers() {
        let result = Json::parse(r#"{"structuredContent":{"n":0.830000000000000071}}"#).unwrap();
        let completed = completed(&result, "1", false);
        assert!(completed.get().contains("0.830000000000000071"), "{}", completed.get());
        assert!(completed.get().contains(r#""resultType":"complete""#));
    }

    #[test]
    fn what_a_server_has_written_stays() {
        let result = Json::parse(r#"{"resultType":"input_required","ttlMs":5,"_meta":{"a":1.0}}"#);
        let completed = completed(&result.unwrap(), "1", true);
        for part in
            [r#""resultType":"input_required""#, r#""ttlMs":5"#, r#""a":1.0"#, "llm-gateway"]
        {
            assert!(completed.get().contains(part), "{part}: {}", completed.get());
        }
    }
}
