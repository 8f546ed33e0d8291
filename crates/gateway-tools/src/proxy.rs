//! A tool that is a request to a service.

use crate::{
    arguments,
    client::{ServiceClient, ServiceReply, ServiceRequest},
    path,
    refused_fields::RefusedFields,
    registry::ToolPolicy,
    schema::ArgumentSchema,
    service_error,
    tool_config_error::ToolConfigError,
    tool_row::{ToolEndpoint, ToolRow},
};
use async_trait::async_trait;
use gateway_core::{Json, Tool, ToolContext, ToolError, ToolErrorCode, ToolSpec};
use http::{Method, StatusCode, Uri};
use serde_json::{Map, Value};
use std::fmt;
use tokio::time::Instant;

/// A [`ToolRow`] at work.
///
/// Its result is the service's own, unchanged. Nothing that a model says decides whom it talks to:
/// arguments go into the body, the query, or one segment of the path.
pub struct ProxyTool {
    row: ToolRow,
    spec: ToolSpec,
    schema: ArgumentSchema,
    /// Without a slash at its end.
    base_url: String,
    client: ServiceClient,
    refused: RefusedFields,
}

impl ProxyTool {
    /// Creates the tool of `row`, served by `base_url`.
    ///
    /// # Errors
    ///
    /// If the URL is invalid, or the schema is invalid or lacks an argument that the row names.
    pub fn new(
        row: ToolRow,
        base_url: &str,
        client: ServiceClient,
    ) -> Result<Self, ToolConfigError> {
        if !is_service_url(base_url) {
            let (service, url) = (row.service, base_url.to_owned());
            return Err(ToolConfigError::InvalidAddress { service, url });
        }
        let schema = ArgumentSchema::parse(&row.schema.to_string())
            .map_err(|source| ToolConfigError::InvalidSchema { tool: row.name.clone(), source })?;
        check_arguments(&row, &schema)?;
        let spec = ToolSpec::function(&row.name, &row.description, Json::of(&row.schema));
        let base_url = base_url.trim_end_matches('/').to_owned();
        Ok(Self { row, spec, schema, base_url, client, refused: RefusedFields::default() })
    }

    /// Returns the policy of the tool.
    pub fn policy(&self) -> ToolPolicy {
        ToolPolicy {
            timeout: self.row.timeout,
            idempotent: self.row.idempotent,
            service: Some(self.row.service.clone()),
            max_bytes: self.row.max_bytes,
            common: false,
        }
    }

    /// Adds what the user or the session chose, where the model chose nothing.
    fn fill(&self, arguments: &mut Map<String, Value>, context: &ToolContext) {
        let mut add = |name: &Option<String>, value: Option<Value>| {
            if let (Some(name), Some(value)) = (name, value) {
                arguments.entry(name).or_insert(value);
            }
        };
        add(&self.row.taxonomy, context.taxonomy.clone().map(Value::from));
        let tiers = context.tier_filter.clone().filter(|tiers| !tiers.is_empty());
        add(&self.row.tier_filter, tiers.map(Value::from));
    }

    async fn ask(
        &self,
        endpoint: &ToolEndpoint,
        mut arguments: Map<String, Value>,
        context: &ToolContext,
    ) -> Result<ServiceReply, ToolError> {
        let path = endpoint.path.fill(&mut arguments)?;
        let mut payload = endpoint.payload(arguments, &self.schema);
        let now = Instant::now();
        payload.retain(|name, _| !self.refused.contains(name, now));
        let reply = self.send(&path, &payload, context).await?;
        if reply.status != StatusCode::UNPROCESSABLE_ENTITY {
            return Ok(reply);
        }
        let refused = service_error::unknown_fields(&reply.body, &self.row.droppable);
        let before = payload.len();
        payload.retain(|name, _| !refused.contains(&name.as_str()));
        if payload.len() == before {
            return Ok(reply);
        }
        self.refused.remember(&refused, Instant::now());
        tracing::warn!(
            target: "gateway::tool",
            tool = self.row.name,
            service = self.row.service,
            fields = refused.join(","),
            "repeated without fields that the service rejects; leaving them out for ten minutes",
        );
        self.send(&path, &payload, context).await
    }

    async fn send(
        &self,
        path: &str,
        payload: &Map<String, Value>,
        context: &ToolContext,
    ) -> Result<ServiceReply, ToolError> {
        let mut url = format!("{}{path}", self.base_url);
        let mut body = None;
        if self.row.method == Method::GET || self.row.method == Method::DELETE {
            query(payload, &mut url);
        } else {
            body = Some(serde_json::to_vec(payload).unwrap_or_default());
        }
        let (method, max_bytes) = (self.row.method.clone(), self.row.max_bytes);
        self.client.ask(ServiceRequest { method, url, body, max_bytes }, context).await
    }

    fn result(&self, reply: &ServiceReply) -> Result<Json, ToolError> {
        let status = reply.status;
        if status.is_success() {
            return read(&reply.body).ok_or_else(|| {
                ToolError::new(ToolErrorCode::UpstreamInvalid, "the service's response is not JSON")
                    .with_upstream_status(status.as_u16())
            });
        }
        // What is asked for by its name may be missing; a path that is missing is another matter.
        let names_one = self.row.endpoint.path.arguments().next().is_some();
        let code = if status == StatusCode::NOT_FOUND && names_one {
            ToolErrorCode::NotFound
        } else {
            ToolErrorCode::UpstreamStatus
        };
        let mut message = format!("the service returned {}", status.as_u16());
        // What a service says of its own troubles is for its operators.
        if status.is_client_error()
            && let Some(why) = service_error::reason(&reply.body)
        {
            message = format!("{message}: {why}");
        }
        Err(ToolError::new(code, message).with_upstream_status(status.as_u16()))
    }
}

#[async_trait]
impl Tool for ProxyTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, arguments: &str, context: &ToolContext) -> Result<Json, ToolError> {
        let mut arguments = arguments::parse(arguments)?;
        self.fill(&mut arguments, context);
        let reply = match &self.row.fallback {
            None => self.ask(&self.row.endpoint, arguments, context).await?,
            Some(fallback) => {
                let reply = self.ask(&self.row.endpoint, arguments.clone(), context).await?;
                if reply.status == StatusCode::NOT_FOUND {
                    self.ask(fallback, arguments, context).await?
                } else {
                    reply
                }
            }
        };
        self.result(&reply)
    }
}

impl fmt::Debug for ProxyTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyTool").field("row", &self.row).finish_non_exhaustive()
    }
}

/// The body as JSON; none at all is `null`.
fn read(body: &[u8]) -> Option<Json> {
    let text = std::str::from_utf8(body).ok()?.trim();
    if text.is_empty() { Some(Json::null()) } else { Json::parse(text).ok() }
}

fn query(payload: &Map<String, Value>, url: &mut String) {
    for (at, (name, value)) in payload.iter().enumerate() {
        url.push(if at == 0 { '?' } else { '&' });
        path::encode(name, url);
        url.push('=');
        let text = if let Value::String(text) = value { text.clone() } else { value.to_string() };
        path::encode(&text, url);
    }
}

/// Returns whether `text` is a URL over HTTP or HTTPS without user information and query.
fn is_service_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let plain = uri.authority().is_some_and(|it| !it.as_str().contains('@'));
    web && plain && uri.query().is_none()
}

fn check_arguments(row: &ToolRow, schema: &ArgumentSchema) -> Result<(), ToolConfigError> {
    let endpoints = [Some(&row.endpoint), row.fallback.as_ref()];
    let mut paths = endpoints.into_iter().flatten().flat_map(|it| it.path.arguments());
    if let Some(name) = paths.find(|name| !schema.requires(name)) {
        let (tool, argument) = (row.name.clone(), name.to_owned());
        return Err(ToolConfigError::OptionalPathArgument { tool, argument });
    }
    let places = endpoints.into_iter().flatten().flat_map(|it| it.places.keys());
    let filled = row.taxonomy.iter().chain(&row.tier_filter);
    match places.chain(filled).find(|name| !schema.names(name)) {
        Some(name) => {
            let (tool, argument) = (row.name.clone(), name.clone());
            Err(ToolConfigError::UnknownArgument { tool, argument })
        }
        None => Ok(()),
    }
}
