//! The administration API, on a listener of its own: virtual keys, budgets, and usage of all clients.
//! Each request writes an audit record.

mod audit;
mod bodies;
mod budgets;
mod keys;

use self::audit::AuditRecord;
use crate::{
    Endpoint, HttpService, RequestBody,
    body::{self, BodyOwner},
    health, hygiene, operators, platform, reply,
    request_log::{self, LogReader},
    usage,
};
use bytes::Bytes;
use gateway_core::{BoxError, ErrorKind, GatewayError, Result, state::KeyHash};
use http::{HeaderValue, Method, Request, Response, header};
use http_body::Body;
use http_body_util::BodyExt as _;
use std::{net::IpAddr, sync::Arc};

/// The owner of operators' bodies. Not the name of a tenant, which has no space.
const OPERATORS: &str = "the operators";

/// Answers operators, who show a token.
#[derive(Debug)]
pub struct AdminApi {
    service: Arc<HttpService>,
    token: Option<KeyHash>,
}

/// An operation of the administration API.
#[derive(Clone, Copy)]
enum Task<'a> {
    List,
    Create,
    Show(&'a str),
    Update(&'a str),
    Rotate(&'a str),
    Revoke(&'a str),
    ResetBudget,
    Usage,
    Requests,
    Request(&'a str),
    RequestExport,
    Metrics,
    Health,
}

/// The operations, as the API description names them, besides those of the callers' API.
#[cfg(test)]
pub(crate) const OPERATIONS: [&str; 11] = [
    "GET /admin/keys",
    "POST /admin/keys",
    "GET /admin/keys/{id}",
    "PATCH /admin/keys/{id}",
    "DELETE /admin/keys/{id}",
    "POST /admin/keys/{id}/rotate",
    "GET /admin/usage",
    "GET /admin/requests",
    "GET /admin/requests/{id}",
    "GET /admin/requests/export",
    "POST /admin/budgets/reset",
];

impl AdminApi {
    /// Creates the API; it accepts the token with the hash `token`, and rejects every request
    /// without one.
    pub const fn new(service: Arc<HttpService>, token: Option<KeyHash>) -> Self {
        Self { service, token }
    }

    /// Answers `request`, which came from `peer`. Never fails.
    pub async fn handle<B>(&self, peer: IpAddr, request: Request<B>) -> Response<reply::Body>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        let mut record = AuditRecord::new(peer, request.method().clone());
        let mut reply = self.answer(peer, request, &mut record).await.unwrap_or_else(|error| {
            if let Some(cause) = std::error::Error::source(&error) {
                tracing::warn!(%cause, "administration request failed");
            }
            record.refused(&error);
            reply::failure(&error, reply::platform_error(&error))
        });
        record.write(reply.status());
        let no_store = HeaderValue::from_static("no-store");
        reply.headers_mut().insert(header::CACHE_CONTROL, no_store);
        reply
    }

    /// Serves the request log of all tenants.
    async fn requests(&self, task: Task<'_>, query: Option<&str>) -> Result<Response<reply::Body>> {
        let endpoint = if let Task::Request(id) = task {
            Endpoint::Request(id)
        } else if matches!(task, Task::RequestExport) {
            Endpoint::RequestExport
        } else {
            Endpoint::Requests
        };
        request_log::serve(&self.service.engine, endpoint, LogReader::Operator, query).await
    }

    async fn answer(
        &self,
        peer: IpAddr,
        request: Request<RequestBody>,
        record: &mut AuditRecord,
    ) -> Result<Response<reply::Body>> {
        hygiene::check(&request)?;
        self.service.gate.check(&request)?;
        let (head, body) = request.into_parts();
        let task = Task::read(&head.method, head.uri.path());
        if let Ok(task) = &task {
            record.task(*task);
        }
        let failures = &self.service.engine.limits.failed_attempts;
        operators::identify(failures, self.token, (peer, &head.headers))?;
        let task = task?;
        let owner = BodyOwner { tenant: &OPERATORS.into(), permit: || Ok(None), decodes: true };
        let body = body::read(&head.headers, body, &self.service.bodies, owner).await?;
        match task {
            Task::Metrics => platform::metrics(&self.service),
            Task::Health => Ok(health::detailed(&self.service).await),
            Task::Usage => usage::usage(&self.service, None, head.uri.query()).await,
            Task::Requests | Task::Request(_) | Task::RequestExport => {
                self.requests(task, head.uri.query()).await
            }
            Task::List => self.list().await,
            Task::Create => self.create(&body, record).await,
            Task::Show(id) => self.show(id).await,
            Task::Update(id) => self.update(id, &body, record).await,
            Task::Rotate(id) => self.rotate(id, &body, record).await,
            Task::Revoke(id) => self.revoke(id).await,
            Task::ResetBudget => self.reset_budget(&body, record).await,
        }
    }
}

impl<'a> Task<'a> {
    fn read(method: &Method, path: &'a str) -> Result<Self> {
        let key = path.strip_prefix("/admin/keys/").filter(|id| !id.is_empty());
        let (id, below) = match key {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", ""),
        };
        let is = |expected: &Method| method == expected;
        match (path, id, below) {
            ("/admin/usage" | "/v1/usage", ..) if is(&Method::GET) => Ok(Self::Usage),
            (path, ..) if is(&Method::GET) && below_requests(path).is_some() => {
                Ok(match below_requests(path) {
                    Some("export") => Self::RequestExport,
                    Some(id) if !id.is_empty() => Self::Request(id),
                    _ => Self::Requests,
                })
            }
            ("/admin/budgets/reset", ..) if is(&Method::POST) => Ok(Self::ResetBudget),
            ("/metrics", ..) if is(&Method::GET) => Ok(Self::Metrics),
            ("/health/detailed", ..) if is(&Method::GET) => Ok(Self::Health),
            ("/admin/keys", ..) if is(&Method::GET) => Ok(Self::List),
            ("/admin/keys", ..) if is(&Method::POST) => Ok(Self::Create),
            (_, id, "") if !id.is_empty() && is(&Method::GET) => Ok(Self::Show(id)),
            (_, id, "") if !id.is_empty() && is(&Method::PATCH) => Ok(Self::Update(id)),
            (_, id, "") if !id.is_empty() && is(&Method::DELETE) => Ok(Self::Revoke(id)),
            (_, id, "rotate") if !id.is_empty() && is(&Method::POST) => Ok(Self::Rotate(id)),
            (
                "/admin/usage"
                | "/v1/usage"
                | "/admin/keys"
                | "/admin/budgets/reset"
                | "/metrics"
                | "/health/detailed",
                ..,
            ) => Err(wrong_method()),
            (_, id, "" | "rotate") if !id.is_empty() => Err(wrong_method()),
            _ => Err(missing()),
        }
    }

    /// The name of the action, in audit records.
    const fn action(self) -> &'static str {
        match self {
            Self::List => "keys.list",
            Self::Create => "keys.create",
            Self::Show(_) => "keys.show",
            Self::Update(_) => "keys.update",
            Self::Rotate(_) => "keys.rotate",
            Self::Revoke(_) => "keys.revoke",
            Self::ResetBudget => "budgets.reset",
            Self::Usage => "usage.show",
            Self::Requests => "requests.search",
            Self::Request(_) => "requests.show",
            Self::RequestExport => "requests.export",
            Self::Metrics => "metrics.show",
            Self::Health => "health.show",
        }
    }

    /// The id of the key that it is about.
    const fn key(self) -> Option<&'a str> {
        match self {
            Self::Show(id) | Self::Update(id) | Self::Rotate(id) | Self::Revoke(id) => Some(id),
            Self::List
            | Self::Create
            | Self::ResetBudget
            | Self::Usage
            | Self::Requests
            | Self::Request(_)
            | Self::RequestExport
            | Self::Metrics
            | Self::Health => None,
        }
    }
}

/// Returns what the path has behind `/admin/requests`, or `/v1/requests`.
fn below_requests(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/admin").or_else(|| path.strip_prefix("/v1"))?;
    let rest = rest.strip_prefix("/requests")?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/').filter(|id| !id.contains('/')) }
}

fn missing() -> GatewayError {
    GatewayError::new(ErrorKind::NotFound, "not found")
}

fn wrong_method() -> GatewayError {
    GatewayError::new(ErrorKind::MethodNotAllowed, "method not allowed")
}
