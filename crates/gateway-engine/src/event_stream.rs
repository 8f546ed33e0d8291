//! The events of a streamed response, written in the caller's dialect as its chunks come.

use crate::{first_output::PrimedStream, tools};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use gateway_core::{Chunk, RegisteredWaker};
use gateway_wire::StreamWriter;
use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{self, Instant, Sleep};

/// Writes a response as server-sent events. Dropping it cancels the upstream.
///
/// A failure is the last event; the stream ends properly after it, so that the caller reads both.
pub(crate) struct EventStream {
    primed: PrimedStream,
    writer: Box<dyn StreamWriter>,
    keep_alive: KeepAlive,
    shows_tools: bool,
    ended: bool,
}

/// Chunks that are there are written together, up to so many bytes.
const BATCH: usize = 16 << 10;

impl EventStream {
    /// The events of `primed`, with a comment after each silence of `silence`.
    pub(crate) fn new(
        primed: PrimedStream,
        writer: Box<dyn StreamWriter>,
        silence: Duration,
    ) -> Self {
        let keep_alive = KeepAlive::new(silence);
        Self { primed, writer, keep_alive, shows_tools: false, ended: false }
    }

    /// The same, with comments about the gateway's tools at work.
    pub(crate) fn showing_tools(self, shows_tools: bool) -> Self {
        Self { shows_tools, ..self }
    }

    /// The next chunk, of those buffered or of those to come.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<gateway_core::Result<Chunk>>> {
        match self.primed.chunks.pop_front() {
            Some(chunk) => Poll::Ready(Some(Ok(chunk))),
            None => self.primed.rest.poll_next_unpin(cx),
        }
    }

    /// Writes the events that are ready; pending if there are none.
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let mut out = Vec::new();
        while out.len() < BATCH && !self.ended {
            match self.poll_next(cx) {
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Some(Ok(mut chunk))) => {
                    if self.shows_tools {
                        tools::write_tool_events(&chunk, &mut out);
                    }
                    let verbatim = if out.is_empty() { self.writer.pass(&mut chunk) } else { None };
                    if let Some(bytes) = verbatim {
                        return Poll::Ready(bytes);
                    }
                    self.writer.write(chunk, &mut out);
                }
                Poll::Ready(Some(Err(error))) => {
                    self.writer.fail(&error, &mut out);
                    self.ended = true;
                }
                Poll::Ready(None) => {
                    self.writer.end(&mut out);
                    self.ended = true;
                }
            }
        }
        Poll::Ready(Bytes::from(out))
    }
}

/// Hand-written, because it runs for each chunk of every stream.
impl Stream for EventStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = &mut *self;
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            match this.poll_batch(cx) {
                Poll::Ready(bytes) if bytes.is_empty() => {}
                Poll::Ready(bytes) => {
                    this.keep_alive.touch();
                    return Poll::Ready(Some(bytes));
                }
                Poll::Pending => {
                    let comment = Bytes::from_static(b": keep-alive\n\n");
                    return this.keep_alive.poll(cx).map(|()| Some(comment));
                }
            }
        }
    }
}

/// Fires when nothing was written for a while.
///
/// Writing only notes the time: the timer finds out, when it fires, that it fired too early.
struct KeepAlive {
    silence: Duration,
    written: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    waker: RegisteredWaker,
}

impl KeepAlive {
    fn new(silence: Duration) -> Self {
        Self { silence, written: Instant::now(), timer: None, waker: RegisteredWaker::default() }
    }

    fn touch(&mut self) {
        self.written = Instant::now();
    }

    /// Completes after the silence has lasted long enough; then it restarts.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_known = !self.waker.renew(cx);
        if is_known && self.timer.as_ref().is_some_and(|timer| !timer.is_elapsed()) {
            return Poll::Pending;
        }
        loop {
            let due = self.written + self.silence;
            let timer = self.timer.get_or_insert_with(|| Box::pin(time::sleep_until(due)));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            let is_due = now >= due;
            if is_due {
                self.written = now;
            }
            timer.as_mut().reset(self.written + self.silence);
            if is_due {
                return Poll::Ready(());
            }
        }
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("ended", &self.ended).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use gateway_core::{ErrorKind, GatewayError, StreamEvent};
    use std::{collections::VecDeque, mem};

    /// Writes texts as they are, `.` at the end and `!` for a failure.
    struct Letters;

    impl StreamWriter for Letters {
        fn write(&mut self, chunk: Chunk, out: &mut Vec<u8>) {
            if let Some(bytes) = chunk.verbatim {
                out.extend_from_slice(&bytes);
            }
            for event in chunk.events {
                if let StreamEvent::Text(text) = event {
                    out.extend_from_slice(text.as_bytes());
                }
            }
        }

        fn pass(&mut self, chunk: &mut Chunk) -> Option<Bytes> {
            mem::take(&mut chunk.verbatim)
        }

        fn end(&mut self, out: &mut Vec<u8>) {
            out.push(b'.');
        }

        fn fail(&mut self, _: &GatewayError, out: &mut Vec<u8>) {
            out.push(b'!');
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as it comes")]
    fn text(text: &str) -> gateway_core::Result<Chunk> {
        Ok(Chunk::from_events(vec![StreamEvent::Text(text.into())]))
    }

    #[expect(clippy::unnecessary_wraps, reason = "as it comes")]
    fn verbatim(text: &'static str) -> gateway_core::Result<Chunk> {
        Ok(Chunk { verbatim: Some(Bytes::from(text)), ..Chunk::default() })
    }

    /// Checks the pieces of the stream, joined with `|`; `~` is a chunk that takes 40 seconds to
    /// come.
    async fn check(chunks: Vec<gateway_core::Result<Chunk>>, expected: &str) {
        let slow = stream::iter(chunks).then(|chunk| async {
            let wait =
                matches!(&chunk, Ok(chunk) if chunk.events == [StreamEvent::Text("~".into())]);
            if wait {
                time::sleep(Duration::from_secs(40)).await;
            }
            chunk
        });
        let primed = PrimedStream { chunks: VecDeque::new(), rest: Box::pin(slow) };
        let mut body = EventStream::new(primed, Box::new(Letters), Duration::from_secs(15));
        let mut pieces = Vec::new();
        while let Some(piece) = body.next().await {
            pieces.push(String::from_utf8(piece.to_vec()).unwrap());
        }
        assert_eq!(pieces.join("|"), expected);
        assert!(body.ended);
    }

    #[tokio::test(start_paused = true)]
    async fn ready_chunks_are_written_together() {
        check(vec![text("a"), text("b"), verbatim("c")], "abc.").await;
    }

    #[tokio::test(start_paused = true)]
    async fn verbatim_chunks_are_passed_through() {
        check(vec![verbatim("a"), verbatim("b"), text("c")], "a|b|c.").await;
    }

    #[tokio::test(start_paused = true)]
    async fn failure_is_the_last_event() {
        let error = GatewayError::new(ErrorKind::UpstreamCut, "cut");
        check(vec![text("a"), Err(error)], "a!").await;
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_filled_with_comments() {
        let comment = ": keep-alive\n\n";
        check(vec![text("a"), text("~")], &format!("a|{comment}|{comment}|~.")).await;
    }

    #[tokio::test(start_paused = true)]
    async fn empty_chunks_write_nothing() {
        check(vec![Ok(Chunk::default()), text("a"), Ok(Chunk::default())], "a.").await;
    }
}
