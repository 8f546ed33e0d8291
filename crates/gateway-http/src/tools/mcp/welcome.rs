//! The reply to the handshake by which a client begins a session.

use super::message::{NEWEST, VERSIONS};
use crate::{HttpService, names, reply};
use gateway_core::Json;
use gateway_sessions::McpSessionId;
use http::{HeaderValue, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Returns the server's identity, in the requested protocol version if it is supported.
pub(super) fn welcome(service: &HttpService, params: Option<&RawValue>) -> Json {
    let asked = params.and_then(|it| serde_json::from_str::<Initialize<'_>>(it.get()).ok());
    let asked = asked.and_then(|it| it.protocol_version);
    let version = VERSIONS.into_iter().find(|version| asked.as_deref() == Some(*version));
    Json::of(&InitializeReply {
        protocol_version: version.unwrap_or(NEWEST),
        capabilities: Capabilities::of_session(),
        server_info: ServerInfo { name: "llm-gateway", version: service.about.version.clone() },
    })
}

/// Returns the capabilities of the server for requests that stand alone.
pub(super) fn capabilities() -> Json {
    Json::of(&Capabilities::default())
}

/// Names a new session in the reply to `initialize`.
pub(super) fn begin_session(reply: &mut Response<reply::Body>, params: Option<&RawValue>) {
    let asked = params.and_then(|it| serde_json::from_str::<Initialize<'_>>(it.get()).ok());
    let declared = asked.and_then(|it| serde_json::from_str(it.capabilities?.get()).ok());
    let id = McpSessionId::create(declared.unwrap_or_default());
    if let Ok(id) = HeaderValue::from_str(&id.text) {
        reply.headers_mut().insert(names::MCP_SESSION, id);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialize<'a> {
    #[serde(borrow)]
    protocol_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    capabilities: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InitializeReply {
    protocol_version: &'static str,
    capabilities: Capabilities,
    server_info: ServerInfo,
}

/// The server's capabilities: prompts and resources are those of MCP servers.
#[derive(Default, Serialize)]
struct Capabilities {
    tools: ListCapability,
    prompts: ListCapability,
    resources: ResourcesCapability,
    completions: EmptyCapability,
    /// Absent where a request itself names its log level.
    #[serde(skip_serializing_if = "Option::is_none")]
    logging: Option<EmptyCapability>,
}

impl Capabilities {
    /// Returns what a client with a session can have: it hears announcements.
    fn of_session() -> Self {
        let announced = || ListCapability { list_changed: true };
        Self {
            tools: announced(),
            prompts: announced(),
            resources: ResourcesCapability { subscribe: true, list_changed: true },
            logging: Some(EmptyCapability {}),
            ..Self::default()
        }
    }
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourcesCapability {
    subscribe: bool,
    list_changed: bool,
}

#[derive(Default, Serialize)]
struct EmptyCapability {}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListCapability {
    list_changed: bool,
}

#[derive(Serialize)]
struct ServerInfo {
    name: &'static str,
    version: String,
}
