//! Asking again, as long as nobody has seen anything of the answer.

use futures_util::{Stream, stream};
use gateway_core::{Chunk, ChunkStream, GatewayError, ProviderResponse, ResponseMeta, Result};
use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

/// Something that can find another answer.
pub(crate) trait Again: Sized + Send + Unpin + 'static {
    /// Another answer, instead of one that failed with `error` before its first output.
    fn again(self, error: GatewayError) -> Asking<Self>;
}

/// The wait for another answer.
pub(crate) type Asking<A> = Pin<Box<dyn Future<Output = Result<(A, ProviderResponse)>> + Send>>;

/// Holds the preamble of `chunks` back until their first output; if they fail before it, what
/// `again` finds takes their place.
///
/// Of an answer that came later, the first chunk tells who gives it. After the first output
/// everything is passed on as it is, and what was kept for another attempt is let go.
pub(crate) fn until_output<A: Again>(chunks: ChunkStream, again: A) -> ChunkStream {
    let begun = Waiting { chunks, again, held: VecDeque::new(), meta: None };
    Box::pin(Watched { state: State::Waiting(Box::new(begun)) })
}

struct Watched<A> {
    state: State<A>,
}

enum State<A> {
    /// For the first output.
    Waiting(Box<Waiting<A>>),
    /// For another answer.
    Asking(Asking<A>),
    /// The answer has begun: what is held goes first.
    Passing(VecDeque<Chunk>, ChunkStream),
    /// It has ended.
    Over,
}

struct Waiting<A> {
    chunks: ChunkStream,
    again: A,
    held: VecDeque<Chunk>,
    /// Who gives the answer, unless that was told before.
    meta: Option<Box<ResponseMeta>>,
}

impl<A: Again> Stream for Watched<A> {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        loop {
            self.state = match mem::replace(&mut self.state, State::Over) {
                State::Over => return Poll::Ready(None),
                State::Waiting(mut waiting) => match waiting.chunks.as_mut().poll_next(cx) {
                    Poll::Ready(next) => waiting.take(next),
                    Poll::Pending => {
                        self.state = State::Waiting(waiting);
                        return Poll::Pending;
                    }
                },
                State::Asking(mut asking) => match asking.as_mut().poll(cx) {
                    Poll::Ready(Ok((again, ProviderResponse { meta, chunks }))) => {
                        State::Waiting(Box::new(Waiting {
                            chunks,
                            again,
                            held: VecDeque::new(),
                            meta: Some(Box::new(meta)),
                        }))
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                    Poll::Pending => {
                        self.state = State::Asking(asking);
                        return Poll::Pending;
                    }
                },
                State::Passing(mut held, mut chunks) => {
                    let next = match held.pop_front() {
                        Some(chunk) => Poll::Ready(Some(Ok(chunk))),
                        None => chunks.as_mut().poll_next(cx),
                    };
                    if !matches!(next, Poll::Ready(None | Some(Err(_)))) {
                        self.state = State::Passing(held, chunks);
                    }
                    return next;
                }
            }
        }
    }
}

impl<A: Again> Waiting<A> {
    fn take(mut self: Box<Self>, next: Option<Result<Chunk>>) -> State<A> {
        match next {
            Some(Ok(mut chunk)) => {
                if let Some(meta) = self.meta.take() {
                    chunk.meta = Some(meta);
                }
                let output = chunk.output;
                self.held.push_back(chunk);
                if !output {
                    return State::Waiting(self);
                }
                State::Passing(self.held, self.chunks)
            }
            Some(Err(error)) => State::Asking(self.again.again(error)),
            None => {
                if let Some(meta) = self.meta.take() {
                    self.held.push_back(Chunk { meta: Some(meta), ..Chunk::default() });
                }
                State::Passing(self.held, Box::pin(stream::empty()))
            }
        }
    }
}
