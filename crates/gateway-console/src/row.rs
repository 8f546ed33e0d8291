//! The rows that the console shows: client, provider, model, duration, tokens and cost of a request;
//! never its content.

use serde::{Serialize, Serializer};
use std::sync::Arc;

/// A request to a model, as it is known when it is sent to its provider.
#[derive(Clone, Debug, Serialize)]
pub struct StartedRequest {
    /// The request id, as in the log.
    #[serde(serialize_with = "text")]
    pub request_id: Arc<str>,
    /// The start time, in milliseconds since 1970.
    pub at: u64,
    /// The label of the endpoint.
    pub path: &'static str,
    /// The client's name.
    #[serde(serialize_with = "text")]
    pub client: Arc<str>,
    /// The provider that is asked first.
    #[serde(serialize_with = "text")]
    pub provider: Arc<str>,
    /// The model, as its provider names it.
    #[serde(serialize_with = "text")]
    pub model: Arc<str>,
    /// Whether the response is streamed.
    pub stream: bool,
    /// The tenant that sees it; never serialised.
    #[serde(skip)]
    pub tenant: Arc<str>,
}

/// The end of a request.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EndedRequest {
    /// `ok`, the kind of the failure, or `client_cancelled`.
    pub outcome: &'static str,
    /// Why the model stopped, if it said so.
    pub finish: Option<&'static str>,
    /// The number of upstream calls.
    pub attempts: u32,
    /// Tokens read, as the provider reported them.
    pub prompt_tokens: Option<u64>,
    /// Tokens written, as the provider reported them.
    pub completion_tokens: Option<u64>,
    /// The cost in US dollars, if the price is known.
    pub cost_usd: Option<f64>,
    /// Milliseconds to the first output.
    pub first_output_ms: Option<u64>,
    /// Milliseconds to the end.
    pub duration_ms: u64,
    /// The message of the failure.
    pub error: Option<Box<str>>,
}

/// A request that has ended.
#[derive(Clone, Debug, Serialize)]
pub struct EndedRow {
    /// The request as it was at its start.
    #[serde(flatten, serialize_with = "shared")]
    pub started: Arc<StartedRequest>,
    /// The end of the request.
    #[serde(flatten)]
    pub ended: EndedRequest,
}

/// A request in progress.
#[derive(Clone, Debug, Serialize)]
pub struct LiveRow {
    /// The request as it was at its start.
    #[serde(flatten, serialize_with = "shared")]
    pub started: Arc<StartedRequest>,
    /// The progress of the request.
    #[serde(flatten)]
    pub progress: RequestProgress,
}

/// The progress of a request.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct RequestProgress {
    /// Milliseconds since its start.
    pub elapsed_ms: u64,
    /// Chunks of the response so far.
    pub pieces: u64,
    /// Milliseconds to the first output, once there was one.
    pub first_output_ms: Option<u64>,
}

/// Serialises a shared text like any other.
pub(crate) fn text<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

fn shared<T: Serialize, S: Serializer>(it: &Arc<T>, to: S) -> Result<S::Ok, S::Error> {
    it.as_ref().serialize(to)
}
