//! Refused requests: in the log, the metrics and the request log.

use gateway_core::{Attribution, ErrorKind, GatewayError, state::RequestLogEntry, time::millis};
use gateway_engine::{Engine, FailedRequest, RefusalLabels};
use gateway_tasks::unix_time;
use std::{sync::Arc, time::Duration};

/// The longest model name that is logged.
const MAX_MODEL: usize = 128;

/// A request that was refused. Goes with its reply, until it is recorded.
#[derive(Clone, Debug)]
pub(crate) struct RefusedRequest {
    code: Box<str>,
    limit: Option<Box<str>>,
    message: Option<Box<str>>,
    request: FailedRequest,
}

/// The reply to a refused request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefusalReply<'a> {
    pub(crate) request_id: &'a Arc<str>,
    pub(crate) method: &'static str,
    /// The label of the endpoint.
    pub(crate) path: &'static str,
    /// Whether the request was about a model.
    pub(crate) asks_model: bool,
    pub(crate) status: u16,
    pub(crate) took: Duration,
}

impl RefusedRequest {
    /// Keeps the code, the limit and, of limits, the message of `error`, which refused `request`.
    pub(crate) fn new(error: &GatewayError, request: FailedRequest) -> Self {
        // Other messages may repeat the caller's text.
        let is_limit = matches!(
            error.kind(),
            ErrorKind::RateLimited | ErrorKind::QuotaExceeded | ErrorKind::Overloaded
        );
        Self {
            code: error.code().into(),
            limit: error.limit().map(Into::into),
            message: is_limit.then(|| error.message().into()),
            request,
        }
    }

    fn model(&self) -> Option<String> {
        let model = self.request.model.as_deref()?;
        Some(model.chars().filter(|c| !c.is_control()).take(MAX_MODEL).collect())
    }
}

/// Records a refusal: the metric, the entry of the request log, and then the log line, so that a
/// request whose line is in the log has an entry.
pub(crate) fn record(engine: &Engine, refused: &RefusedRequest, reply: RefusalReply<'_>) {
    let client = refused.request.client.as_ref();
    let model = refused.model();
    engine.metrics.refused(&RefusalLabels {
        code: &refused.code,
        limit: refused.limit.as_deref(),
        client: client.map(|client| (&client.tenant, &client.name)),
        model: model.as_ref().map(|_| refused.request.model_label.as_deref().unwrap_or("other")),
    });
    // Of other endpoints, what is refused for who asks or how often.
    if reply.asks_model || matches!(reply.status, 401 | 403 | 429) {
        add_entry(engine, refused, reply);
    }
    // Neither the message nor the parameter: they may repeat the caller's text.
    tracing::info!(
        target: "gateway::refused",
        request_id = &**reply.request_id,
        method = reply.method,
        path = reply.path,
        client = client.map(|client| &*client.name),
        tenant = client.map(|client| &*client.tenant),
        model = model.as_deref(),
        limit = refused.limit.as_deref(),
        status = reply.status,
        code = &*refused.code,
        epoch = engine.generation,
        duration_ms = millis(reply.took),
    );
}

/// Adds the entry of a refusal to the request log, unless the log is off.
fn add_entry(engine: &Engine, refused: &RefusedRequest, reply: RefusalReply<'_>) {
    let Some(log) = &engine.limits.request_log else { return };
    let client = refused.request.client.as_deref();
    let attribution = refused.request.attribution.as_deref();
    let model = refused.model();
    let entry = RequestLogEntry {
        id: reply.request_id,
        at: millis(unix_time()),
        path: reply.path,
        client: client.map(|client| &*client.name),
        tenant: client.map(|client| &*client.tenant),
        tags: attribution.map(Attribution::tags).unwrap_or_default(),
        user: attribution.and_then(Attribution::user),
        requested_model: model.as_deref(),
        outcome: &refused.code,
        status: Some(reply.status),
        limit: refused.limit.as_deref(),
        error: refused.message.as_deref(),
        duration_ms: millis(reply.took),
        ..RequestLogEntry::default()
    };
    if client.is_some() {
        log.record(&entry);
    } else {
        log.record_unidentified(&entry);
    }
}
