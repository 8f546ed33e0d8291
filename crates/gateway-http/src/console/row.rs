//! What the console shows of a request: who, where, how long, how much; never what was said.

use serde::{Serialize, Serializer};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// A request to a model when it is sent to its provider.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Begun {
    #[serde(serialize_with = "text")]
    pub(crate) request_id: Arc<str>,
    /// Milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) path: &'static str,
    #[serde(serialize_with = "text")]
    pub(crate) client: Arc<str>,
    #[serde(serialize_with = "text")]
    pub(crate) provider: Arc<str>,
    /// As its provider knows it.
    #[serde(serialize_with = "text")]
    pub(crate) model: Arc<str>,
    pub(crate) stream: bool,
    /// Whose it is: others are not told of it.
    #[serde(skip)]
    pub(crate) tenant: Arc<str>,
}

/// What became of it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Ended {
    pub(crate) outcome: &'static str,
    pub(crate) finish: Option<&'static str>,
    pub(crate) attempts: u32,
    pub(crate) prompt_tokens: Option<u64>,
    pub(crate) completion_tokens: Option<u64>,
    pub(crate) cost_usd: Option<f64>,
    pub(crate) first_output_ms: Option<u64>,
    pub(crate) duration_ms: u64,
    pub(crate) error: Option<Box<str>>,
}

/// A request that has ended.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    #[serde(flatten, serialize_with = "shared")]
    pub(crate) begun: Arc<Begun>,
    #[serde(flatten)]
    pub(crate) ended: Ended,
}

/// A request that is under way.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Underway {
    #[serde(flatten, serialize_with = "shared")]
    pub(crate) begun: Arc<Begun>,
    #[serde(flatten)]
    pub(crate) progress: Progress,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Progress {
    pub(crate) elapsed_ms: u64,
    /// Pieces of the answer so far.
    pub(crate) pieces: u64,
    pub(crate) first_output_ms: Option<u64>,
}

/// Texts are shared, and written like others.
pub(crate) fn text<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

fn shared<T: Serialize, S: Serializer>(it: &Arc<T>, to: S) -> Result<S::Ok, S::Error> {
    it.as_ref().serialize(to)
}

/// Whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "people read the time of day")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, milliseconds)
}
