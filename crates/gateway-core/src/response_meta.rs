//! The metadata of a response.

use crate::{Attempt, CacheStatus, DroppedParams, ModelCard};
use std::sync::Arc;

/// The metadata of a response, known before its first chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseMeta {
    /// Id of the provider.
    pub provider: Arc<str>,
    /// Model name, as the provider names it.
    pub model: Arc<str>,
    /// Request id that the upstream assigned.
    pub upstream_request_id: Option<String>,
    /// Header fields of the upstream that callers of its dialect read, names in lower case.
    pub relayed_headers: Option<Arc<[(String, String)]>>,
    /// Parameters that the translation dropped.
    pub dropped: DroppedParams,
    /// Number of upstream calls.
    pub attempts: u32,
    /// Catalogue entry of the model.
    pub card: Option<Arc<ModelCard>>,
    /// Targets that were tried or skipped before.
    pub attempts_log: Vec<Attempt>,
    /// Cache lookup result, if a cache is configured.
    pub cache: Option<CacheStatus>,
    /// Set if the chunks are the pieces of one body, which passes on while it arrives.
    pub passthrough: Option<PassthroughBody>,
}

/// The body of a response that passes on while it arrives: its verbatim bytes are those of its chunks,
/// one after the other. Unless the request was relayed, its last bytes come after it was found
/// complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PassthroughBody {
    /// The HTTP status of the reply.
    pub status: u16,
    /// Length of the body in bytes, if the upstream announced it.
    pub length: Option<u64>,
}
