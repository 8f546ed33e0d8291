//! Retries of a response that has not produced output yet.

use futures_util::{Stream, StreamExt as _};
use gateway_core::{Chunk, ChunkStream, GatewayError, ResponseMeta, Result};
use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A source of further attempts.
pub(crate) trait NextAttempt: Sized + Send + Unpin + 'static {
    /// The chunks of an attempt.
    type Chunks: Stream<Item = Result<Chunk>> + Send + Unpin + 'static;

    /// Starts another attempt after `error`, which came before the first output.
    fn next_attempt(self, error: GatewayError) -> AttemptFuture<Self>;
}

/// An attempt that has begun.
pub(crate) struct StartedAttempt<A: NextAttempt> {
    /// The source of the attempts after it.
    pub(crate) next: A,
    /// The metadata of its response.
    pub(crate) meta: ResponseMeta,
    /// The chunks of its response.
    pub(crate) chunks: A::Chunks,
}

/// The future of another attempt.
pub(crate) type AttemptFuture<A> = Pin<Box<dyn Future<Output = Result<StartedAttempt<A>>> + Send>>;

/// Holds the preamble of `chunks` back until their first output; if they fail before it, what
/// `next` finds takes their place.
///
/// The first chunk of a later attempt carries its metadata. After the first output
/// everything is passed through, and the retry state is dropped.
pub(crate) fn retry_until_output<A: NextAttempt>(chunks: A::Chunks, next: A) -> ChunkStream {
    Box::pin(RetryStream::new(chunks, next))
}

/// The stream that [`retry_until_output`] describes.
pub(crate) struct RetryStream<A: NextAttempt> {
    /// The chunks of the current attempt; absent between attempts, and after the end.
    chunks: Option<A::Chunks>,
    /// The source of further attempts; absent from the first output on.
    next: Option<A>,
    /// Another attempt that is about to begin.
    pending: Option<AttemptFuture<A>>,
    /// Metadata to report with the next chunk, if not reported before.
    meta: Option<Box<ResponseMeta>>,
    /// The preamble, until the first output.
    held: VecDeque<Chunk>,
}

impl<A: NextAttempt> RetryStream<A> {
    pub(crate) fn new(chunks: A::Chunks, next: A) -> Self {
        let (chunks, next) = (Some(chunks), Some(next));
        Self { chunks, next, pending: None, meta: None, held: VecDeque::new() }
    }

    /// A stream whose failures are final from the beginning.
    pub(crate) fn without_retries(chunks: A::Chunks) -> Self {
        let held = VecDeque::new();
        Self { chunks: Some(chunks), next: None, pending: None, meta: None, held }
    }

    /// Passes chunks through, those held back first.
    fn poll_through(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        if let Some(chunk) = self.held.pop_front() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        let Some(chunks) = &mut self.chunks else { return Poll::Ready(None) };
        let chunk = ready!(chunks.poll_next_unpin(cx));
        if !matches!(chunk, Some(Ok(_))) {
            self.chunks = None;
        }
        Poll::Ready(chunk)
    }

    /// Waits for the next attempt to begin.
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(pending) = &mut self.pending else { return Poll::Ready(Ok(())) };
        let started = ready!(pending.as_mut().poll(cx));
        self.pending = None;
        let StartedAttempt { next, meta, chunks } = started?;
        self.next = Some(next);
        self.chunks = Some(chunks);
        self.meta = Some(Box::new(meta));
        Poll::Ready(Ok(()))
    }

    /// Takes what comes before the first output, or is that. Returns a chunk that need not wait.
    fn take(&mut self, next: Option<Result<Chunk>>) -> Option<Chunk> {
        match next {
            Some(Ok(mut chunk)) => {
                if let Some(meta) = self.meta.take() {
                    chunk.meta = Some(meta);
                }
                if chunk.output {
                    self.next = None;
                    if self.held.is_empty() {
                        return Some(chunk);
                    }
                }
                self.held.push_back(chunk);
            }
            Some(Err(error)) => {
                self.chunks = None;
                self.held.clear();
                self.pending = self.next.take().map(|next| next.next_attempt(error));
            }
            None => {
                self.chunks = None;
                self.next = None;
                if let Some(meta) = self.meta.take() {
                    self.held.push_back(Chunk { meta: Some(meta), ..Chunk::default() });
                }
            }
        }
        None
    }
}

impl<A: NextAttempt> Stream for RetryStream<A> {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        loop {
            if let Err(error) = ready!(self.poll_pending(cx)) {
                return Poll::Ready(Some(Err(error)));
            }
            let this = &mut *self;
            let (Some(chunks), true) = (&mut this.chunks, this.next.is_some()) else {
                return this.poll_through(cx);
            };
            let next = ready!(chunks.poll_next_unpin(cx));
            if let Some(chunk) = this.take(next) {
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
    }
}
