//! Features of MCP servers for clients of the protocol: requests are relayed to the server that
//! has the tool, the prompt or the resource, and its replies are passed on as they are.

use super::{
    message::{INTERNAL_ERROR, INVALID_PARAMS, McpFailure, McpResult},
    session::ClientSession,
    stream, tool_call,
};
use gateway_core::{
    Json, JsonObject, McpList, McpListEntry, McpRelay, McpReply, McpRequest, McpServers, ToolCall,
    ToolContext, ToolError, Tools,
};
use gateway_limits::Client;
use serde_json::{json, value::RawValue};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::mpsc::Sender;

/// The members of a request that are its server's alone.
const RELAYED: [&str; 3] = ["_meta", "inputResponses", "requestState"];

/// A request that a server answers.
pub(super) enum RelayedCall {
    /// A call of a tool, which the executor bounds.
    Tool { tools: Arc<dyn Tools>, call: ToolCall },
    /// A request for something else.
    Other { servers: Arc<dyn McpServers>, server: Arc<str>, request: McpRequest },
}

/// The entries of `list` that `client` may use.
pub(super) fn entries(
    servers: &Arc<dyn McpServers>,
    client: &Client,
    list: McpList,
) -> Vec<McpListEntry> {
    let mut entries = servers.list(list);
    entries.retain(|entry| client.may_use(&entry.name));
    entries
}

/// The result of the list method `method`; `None` if it is none, or that of tools.
pub(super) fn listed(servers: &Arc<dyn McpServers>, client: &Client, method: &str) -> Option<Json> {
    let (list, member) = match method {
        "prompts/list" => (McpList::Prompts, "prompts"),
        "resources/list" => (McpList::Resources, "resources"),
        "resources/templates/list" => (McpList::ResourceTemplates, "resourceTemplates"),
        _ => return None,
    };
    let entries: Vec<_> =
        entries(servers, client, list).into_iter().map(|entry| entry.json).collect();
    Some(Json::of(&BTreeMap::from([(member, entries)])))
}

/// The members of `params`.
pub(super) fn members(params: Option<&RawValue>) -> JsonObject {
    let members = params.map(|params| serde_json::from_str(params.get()));
    members.and_then(Result::ok).unwrap_or_default()
}

/// Takes what is the server's alone out of `params`. The server's messages become `events`; its
/// requests too, if the client has a session.
pub(super) fn relay(
    params: &mut JsonObject,
    session: Option<&ClientSession>,
    events: Sender<Json>,
) -> Arc<McpRelay> {
    let members = RELAYED.iter().filter_map(|name| params.remove_entry(*name));
    let members: JsonObject = members.collect();
    Arc::new(McpRelay {
        client: session.map(|session| session.requests(events.clone())),
        notifications: Some(stream::notifications(events)),
        log_level: session.and_then(ClientSession::log_level).or_else(|| log_level(&members)),
        members,
    })
}

/// The log level in the `_meta` of a request that stands alone.
fn log_level(members: &JsonObject) -> Option<String> {
    let meta: JsonObject = members.get("_meta")?.read().ok()?;
    meta.get("io.modelcontextprotocol/logLevel")?.read().ok()
}

/// Finds the server of a request for a prompt, a resource or a completion; `None` if the method is
/// another.
///
/// # Errors
///
/// If no server has what it is about.
pub(super) fn find(
    servers: &Arc<dyn McpServers>,
    client: &Client,
    method: &str,
    params: JsonObject,
    relay: Arc<McpRelay>,
) -> Option<Result<RelayedCall, McpFailure>> {
    let found = match method {
        "prompts/get" => prompt(servers, client, params),
        "resources/read" => resource(servers, client, params),
        "completion/complete" => completion(servers, client, params),
        _ => return None,
    };
    Some(found.map(|FoundFeature { server, method, subject, params }| {
        let servers = Arc::clone(servers);
        let request = McpRequest { method, subject, params, relay };
        RelayedCall::Other { servers, server, request }
    }))
}

/// The server of a request, and the request in its words.
struct FoundFeature {
    server: Arc<str>,
    method: &'static str,
    subject: Option<String>,
    params: JsonObject,
}

type FeatureResult = Result<FoundFeature, McpFailure>;

pub(super) fn text_param(params: &JsonObject, name: &str) -> Result<String, McpFailure> {
    let text = params.get(name).and_then(|value| value.read().ok());
    text.ok_or_else(|| McpFailure::new(INVALID_PARAMS, format!("params must have a {name}")))
}

fn prompt(servers: &Arc<dyn McpServers>, client: &Client, mut params: JsonObject) -> FeatureResult {
    let name = text_param(&params, "name")?;
    let known = entries(servers, client, McpList::Prompts);
    let Some(entry) = known.into_iter().find(|entry| entry.name == name) else {
        return Err(McpFailure::new(INVALID_PARAMS, "unknown prompt"));
    };
    params.insert("name".to_owned(), Json::of(&entry.remote));
    let (server, subject) = (entry.server, Some(entry.remote));
    Ok(FoundFeature { server, method: "prompts/get", subject, params })
}

fn resource(servers: &Arc<dyn McpServers>, client: &Client, params: JsonObject) -> FeatureResult {
    let uri = text_param(&params, "uri")?;
    let server = resource_server(servers, client, &uri)?;
    Ok(FoundFeature { server, method: "resources/read", subject: Some(uri), params })
}

/// Returns the server that lists the resource `uri`, or a template that it fits.
///
/// # Errors
///
/// If there is none.
pub(super) fn resource_server(
    servers: &Arc<dyn McpServers>,
    client: &Client,
    uri: &str,
) -> Result<Arc<str>, McpFailure> {
    let listed = entries(servers, client, McpList::Resources);
    let named = listed.into_iter().find(|entry| entry.remote == uri);
    let templates = || entries(servers, client, McpList::ResourceTemplates);
    let found = named.or_else(|| templates().into_iter().find(|it| fits(&it.remote, uri)));
    found.map(|entry| entry.server).ok_or_else(|| {
        let data = Json::of(&json!({ "uri": uri }));
        McpFailure::new(INVALID_PARAMS, "resource not found").with_data(data)
    })
}

/// Whether `uri` may be one of a template: it has the texts between the variables, in order.
fn fits(template: &str, uri: &str) -> bool {
    let mut rest = uri;
    let mut texts = template.split('{');
    if let Some(first) = texts.next() {
        let Some(after) = rest.strip_prefix(first) else { return false };
        rest = after;
    }
    for part in texts {
        let text = part.split_once('}').map_or("", |(_, text)| text);
        // A variable is at least one character.
        let from = rest.chars().next().map_or(0, char::len_utf8);
        let Some(at) = rest.get(from..).and_then(|rest| rest.find(text)) else { return false };
        if from == 0 {
            return false;
        }
        rest = if text.is_empty() { "" } else { rest.get(from + at + text.len()..).unwrap_or("") };
    }
    rest.is_empty()
}

fn completion(
    servers: &Arc<dyn McpServers>,
    client: &Client,
    mut params: JsonObject,
) -> FeatureResult {
    let mut about: JsonObject = params
        .get("ref")
        .and_then(|value| value.read().ok())
        .ok_or_else(|| McpFailure::new(INVALID_PARAMS, "params must have a ref"))?;
    let is_prompt = text_param(&about, "type")? == "ref/prompt";
    let (list, key) =
        if is_prompt { (McpList::Prompts, "name") } else { (McpList::ResourceTemplates, "uri") };
    let wanted = text_param(&about, key)?;
    let named = |entry: &McpListEntry| {
        if is_prompt { entry.name == wanted } else { entry.remote == wanted }
    };
    let Some(entry) = entries(servers, client, list).into_iter().find(named) else {
        return Err(McpFailure::new(INVALID_PARAMS, "unknown prompt or resource template"));
    };
    about.insert(key.to_owned(), Json::of(&entry.remote));
    params.insert("ref".to_owned(), Json::of(&about));
    let method = "completion/complete";
    Ok(FoundFeature { server: entry.server, method, subject: None, params })
}

impl RelayedCall {
    /// Relays the request.
    pub(super) async fn run(self, context: ToolContext) -> McpResult {
        let replied = match self {
            Self::Tool { tools, call } => {
                let context = ToolContext { strict: false, ..context };
                // A tool of the gateway may have the same name.
                match tools.run(&call, &context).await {
                    Ok(json) => McpReply::read(&json)
                        .unwrap_or_else(|| McpReply::Result(tool_call::output(&Ok(json)))),
                    Err(error) => McpReply::Result(tool_call::output(&Err(error))),
                }
            }
            Self::Other { servers, server, request } => {
                match servers.relay(&server, request, &context).await {
                    Ok(reply) => reply,
                    Err(error) => return Err(failed(&error)),
                }
            }
        };
        match replied {
            McpReply::Result(result) => Ok(result),
            McpReply::Error(error) => Err(McpFailure::of(&error)),
        }
    }
}

pub(super) fn failed(error: &ToolError) -> McpFailure {
    let data = Json::of(&json!({ "error_code": error.code.as_str() }));
    McpFailure::new(INTERNAL_ERROR, error.message.clone()).with_data(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, uri: &str, expected: bool) {
        assert_eq!(fits(template, uri), expected, "{template} {uri}");
    }

    #[test]
    fn uri_fits_its_template() {
        check("test://template/{id}/data", "test://template/123/data", true);
        check("test://template/{id}/data", "test://template//data", false);
        check("test://template/{id}/data", "test://template/123/other", false);
        check("test://template/{id}", "test://template/1/2", true);
        check("test://template/{id}", "test://template/", false);
        check("test://{a}/{b}", "test://x/y", true);
        check("test://{a}/{b}", "test://x", false);
        check("test://fixed", "test://fixed", true);
        check("test://fixed", "test://fixed2", false);
        check("test://é/{a}", "test://é/é", true);
    }
}
