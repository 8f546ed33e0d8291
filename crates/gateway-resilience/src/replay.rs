//! Retries of a response that has not produced output yet.

use futures_util::{Stream, stream};
use gateway_core::{Chunk, ChunkStream, GatewayError, ProviderResponse, ResponseMeta, Result};
use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

/// A source of further attempts.
pub(crate) trait NextAttempt: Sized + Send + Unpin + 'static {
    /// Starts another attempt after `error`, which came before the first output.
    fn next_attempt(self, error: GatewayError) -> AttemptFuture<Self>;
}

/// The future of another attempt.
pub(crate) type AttemptFuture<A> =
    Pin<Box<dyn Future<Output = Result<(A, ProviderResponse)>> + Send>>;

/// Holds the preamble of `chunks` back until their first output; if they fail before it, what
/// `next` finds takes their place.
///
/// The first chunk of a later attempt carries its metadata. After the first output
/// everything is passed through, and the retry state is dropped.
pub(crate) fn retry_until_output<A: NextAttempt>(chunks: ChunkStream, next: A) -> ChunkStream {
    let preamble = Preamble { chunks, next, held: VecDeque::new(), meta: None };
    Box::pin(RetryStream { state: RetryStreamState::AwaitingOutput(Box::new(preamble)) })
}

struct RetryStream<A> {
    state: RetryStreamState<A>,
}

enum RetryStreamState<A> {
    /// Buffers chunks until the first output.
    AwaitingOutput(Box<Preamble<A>>),
    /// Waits for another attempt.
    AwaitingAttempt(AttemptFuture<A>),
    /// Passes chunks through, buffered ones first.
    Passthrough(VecDeque<Chunk>, ChunkStream),
    /// The stream has ended.
    Done,
}

struct Preamble<A> {
    chunks: ChunkStream,
    next: A,
    held: VecDeque<Chunk>,
    /// Metadata to report with the next chunk, if not reported before.
    meta: Option<Box<ResponseMeta>>,
}

impl<A: NextAttempt> Stream for RetryStream<A> {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        loop {
            self.state = match mem::replace(&mut self.state, RetryStreamState::Done) {
                RetryStreamState::Done => return Poll::Ready(None),
                RetryStreamState::AwaitingOutput(mut preamble) => {
                    match preamble.chunks.as_mut().poll_next(cx) {
                        Poll::Ready(next) => preamble.take(next),
                        Poll::Pending => {
                            self.state = RetryStreamState::AwaitingOutput(preamble);
                            return Poll::Pending;
                        }
                    }
                }
                RetryStreamState::AwaitingAttempt(mut attempt) => match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok((next, ProviderResponse { meta, chunks }))) => {
                        RetryStreamState::AwaitingOutput(Box::new(Preamble {
                            chunks,
                            next,
                            held: VecDeque::new(),
                            meta: Some(Box::new(meta)),
                        }))
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                    Poll::Pending => {
                        self.state = RetryStreamState::AwaitingAttempt(attempt);
                        return Poll::Pending;
                    }
                },
                RetryStreamState::Passthrough(mut held, mut chunks) => {
                    let next = match held.pop_front() {
                        Some(chunk) => Poll::Ready(Some(Ok(chunk))),
                        None => chunks.as_mut().poll_next(cx),
                    };
                    if !matches!(next, Poll::Ready(None | Some(Err(_)))) {
                        self.state = RetryStreamState::Passthrough(held, chunks);
                    }
                    return next;
                }
            }
        }
    }
}

impl<A: NextAttempt> Preamble<A> {
    fn take(mut self: Box<Self>, next: Option<Result<Chunk>>) -> RetryStreamState<A> {
        match next {
            Some(Ok(mut chunk)) => {
                if let Some(meta) = self.meta.take() {
                    chunk.meta = Some(meta);
                }
                let output = chunk.output;
                self.held.push_back(chunk);
                if !output {
                    return RetryStreamState::AwaitingOutput(self);
                }
                RetryStreamState::Passthrough(self.held, self.chunks)
            }
            Some(Err(error)) => RetryStreamState::AwaitingAttempt(self.next.next_attempt(error)),
            None => {
                if let Some(meta) = self.meta.take() {
                    self.held.push_back(Chunk { meta: Some(meta), ..Chunk::default() });
                }
                RetryStreamState::Passthrough(self.held, Box::pin(stream::empty()))
            }
        }
    }
}
