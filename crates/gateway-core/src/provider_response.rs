//! Responses of model providers.

use crate::{ChatResponse, ChunkStream, Collector, ResponseMeta, Result};
use futures_util::TryStreamExt as _;
use std::fmt;

/// A response that has begun.
pub struct ProviderResponse {
    /// Metadata, known before the first chunk.
    pub meta: ResponseMeta,
    /// Chunks of the response.
    pub chunks: ChunkStream,
}

impl ProviderResponse {
    /// Waits for the whole response: the fold of its chunks.
    ///
    /// # Errors
    ///
    /// The first error of the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the upstream request.
    pub async fn collect(mut self) -> Result<ChatResponse> {
        let mut answer = Collector::default();
        while let Some(chunk) = self.chunks.try_next().await? {
            answer.extend(chunk.events);
        }
        Ok(answer.finish())
    }
}

impl fmt::Debug for ProviderResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderResponse").field("meta", &self.meta).finish_non_exhaustive()
    }
}
