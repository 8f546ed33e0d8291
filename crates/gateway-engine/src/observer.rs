//! The port to whatever watches requests: log, console, exporters.

use gateway_core::{
    Attempt, Attribution, CacheStatus, Chunk, DroppedParams, GatewayError, NanoDollars, Rule, Usage,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// An observer of requests to models. Called on the request's own task: an implementation must not
/// block.
///
/// The default methods do nothing.
pub trait RequestObserver: Send + Sync {
    /// Called when a request is about to be sent to its provider. Returns the observer of its
    /// progress, if there is one.
    fn started(&self, request: &RequestStarted<'_>) -> Option<Box<dyn ProgressObserver>> {
        let _ = request;
        None
    }

    /// A request has ended: completed, failed, or left by its caller.
    fn finished(&self, request: &RequestSummary<'_>) {
        let _ = request;
    }
}

/// Watches the progress of one response. Dropped without [`finished`](Self::finished) if the process
/// lost the request.
pub trait ProgressObserver: Send {
    /// Called when a chunk of the response has arrived.
    fn chunk(&self, chunk: &Chunk);

    /// The request has ended.
    fn finished(self: Box<Self>, request: &RequestSummary<'_>);
}

/// A request as it is known when it is sent to its provider.
#[derive(Clone, Copy, Debug)]
pub struct RequestStarted<'a> {
    /// The request id, as in the log.
    pub request_id: &'a Arc<str>,
    /// The label of the endpoint, `/v1/messages` for example.
    pub path: &'static str,
    /// The client's name, a label.
    pub client: &'a Arc<str>,
    /// The tenant that the client belongs to.
    pub tenant: &'a Arc<str>,
    /// The provider that is asked first.
    pub provider: &'a Arc<str>,
    /// The model, as its provider names it.
    pub model: &'a Arc<str>,
    /// The model, as the caller named it.
    pub requested_model: &'a str,
    /// The arrival time of the request.
    pub arrived: Instant,
    /// Whether the response is streamed to the caller.
    pub stream: bool,
}

/// Everything known of a request that has ended. Texts are borrowed: an observer copies what it
/// keeps.
#[derive(Clone, Copy, Debug)]
pub struct RequestSummary<'a> {
    /// The request id, as in the log.
    pub request_id: &'a Arc<str>,
    /// The trace id in hexadecimal, if the request is traced.
    pub trace_id: Option<&'a str>,
    /// The label of the endpoint.
    pub path: &'static str,
    /// The client's name, a label.
    pub client: &'a Arc<str>,
    /// The tenant that the client belongs to.
    pub tenant: &'a Arc<str>,
    /// The tags and the user; absent if the request has neither.
    pub attribution: Option<&'a Attribution>,
    /// The provider that answered, or was asked last.
    pub provider: &'a Arc<str>,
    /// The model, as the caller named it.
    pub requested_model: &'a str,
    /// The catalogued model, or `other`.
    pub model: &'a str,
    /// The model that answered, or was asked last: as the catalogue has it, else as its provider
    /// does.
    pub served_model: &'a str,
    /// The known model whose rules and price were used, if the model is newer than all that are
    /// known.
    pub assumed: Option<&'a str>,
    /// The rule that routed the request.
    pub rule: Rule,
    /// Whether the response was streamed to the caller.
    pub stream: bool,
    /// The number of the configuration that served it, counted from 1.
    pub generation: u64,
    /// `ok`, the kind of the failure, or `client_cancelled`.
    pub outcome: &'static str,
    /// Why the model stopped, if it said so.
    pub finish: Option<&'static str>,
    /// The number of upstream calls.
    pub attempts: u32,
    /// The attempts and skipped targets before the last one.
    pub failed_attempts: &'a [Attempt],
    /// The parameters that were dropped.
    pub dropped: &'a DroppedParams,
    /// The first of the tools that the gateway ran, in order.
    pub tools: &'a [String],
    /// The status of the response cache; absent without a cache.
    pub cache: Option<CacheStatus>,
    /// The tokens used, reported or estimated.
    pub usage: Usage,
    /// The tokens as the provider reported them, if it did.
    pub reported_usage: Option<Usage>,
    /// Whether `usage` is an estimate.
    pub usage_estimated: bool,
    /// The cost, if the price is known.
    pub cost: Option<NanoDollars>,
    /// Time from the arrival to the first upstream call.
    pub prepared: Duration,
    /// Time from the upstream call to the first output.
    pub first_output: Option<Duration>,
    /// Time from the upstream call to the end.
    pub duration: Duration,
    /// The upstream's id of the request.
    pub upstream_request_id: Option<&'a str>,
    /// The failure, if there was one.
    pub error: Option<&'a GatewayError>,
}
