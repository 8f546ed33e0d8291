//! Large responses that are not streamed, and pass on while they arrive.

use super::ComposedRequest;
use bytes::Bytes;
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use gateway_core::{CacheDirective, ChunkStream, Dialect, Result};

impl ComposedRequest {
    /// The size above which the response passes on while it arrives; `None` if something needs it
    /// whole.
    pub(super) fn passthrough_above(&self) -> Option<usize> {
        let (call, options) = (&self.request.context, &self.context.head.options);
        let settings = &self.context.engine.settings;
        let is_cached = settings.caching && !matches!(call.caching, CacheDirective::Bypass(_));
        let has_session = self.context.facts.session.not_stored.is_some();
        let is_recorded = self.plan.keep.is_some() || has_session || self.context.thread.is_some();
        // The items of a Responses object may be reordered for its caller.
        let is_responses = self.dialect.dialect() == Dialect::Responses;
        let is_repeatable = options.idempotency.is_some() || options.needs_length;
        let is_several = self.request.stream || self.prompts.len() > 1;
        let needs_whole = is_cached || is_recorded || is_responses || is_repeatable || is_several;
        settings.passthrough_above.filter(|_| !needs_whole)
    }
}

/// The pieces of a response that passes on while it arrives. The last one is held back until the
/// response has ended, and its accounting with it.
pub(super) fn passing(chunks: ChunkStream) -> BoxStream<'static, Result<Bytes>> {
    let state = (chunks, None::<Bytes>);
    stream::try_unfold(state, |(mut chunks, mut held)| async move {
        while let Some(chunk) = chunks.try_next().await? {
            let Some(piece) = chunk.verbatim else { continue };
            if let Some(before) = held.replace(piece) {
                return Ok(Some((before, (chunks, held))));
            }
        }
        Ok(held.take().map(|last| (last, (chunks, None))))
    })
    .boxed()
}
