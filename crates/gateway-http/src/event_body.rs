//! A streamed reply: chunks become server-sent events as they come.

use crate::{hold::Begun, tools};
use bytes::Bytes;
use futures_util::StreamExt as _;
use gateway_core::{BoxError, Chunk};
use gateway_wire::StreamWriter;
use http_body::{Body, Frame as Piece};
use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{self, Instant, Sleep};

/// Writes an answer to a caller. Dropping it ends the upstream's work.
///
/// An error ends the body properly after its event: the caller can read both.
pub(crate) struct EventBody {
    begun: Begun,
    writer: Box<dyn StreamWriter>,
    keep_alive: KeepAlive,
    shows_tools: bool,
    ended: bool,
}

/// Ready chunks are written together up to so many bytes.
const BATCH: usize = 16 << 10;

impl EventBody {
    pub(crate) fn new(begun: Begun, writer: Box<dyn StreamWriter>, silence: Duration) -> Self {
        let keep_alive = KeepAlive::new(silence);
        Self { begun, writer, keep_alive, shows_tools: false, ended: false }
    }

    /// The same, with comments that tell of the tools that run meanwhile.
    pub(crate) fn showing_tools(self, shows_tools: bool) -> Self {
        Self { shows_tools, ..self }
    }

    /// The next chunk, of those at hand or of those to come.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<gateway_core::Result<Chunk>>> {
        match self.begun.chunks.pop_front() {
            Some(chunk) => Poll::Ready(Some(Ok(chunk))),
            None => self.begun.rest.poll_next_unpin(cx),
        }
    }

    /// Writes what is ready; pending only if that is nothing.
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let mut out = Vec::new();
        while out.len() < BATCH && !self.ended {
            match self.poll_next(cx) {
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Some(Ok(mut chunk))) => {
                    if self.shows_tools {
                        tools::remark(&chunk, &mut out);
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

/// Hand-written, because it runs for each piece of every streamed answer.
impl Body for EventBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            match this.poll_batch(cx) {
                Poll::Ready(bytes) if bytes.is_empty() => {}
                Poll::Ready(bytes) => {
                    this.keep_alive.touch();
                    return Poll::Ready(Some(Ok(Piece::data(bytes))));
                }
                Poll::Pending => {
                    return this
                        .keep_alive
                        .poll(cx)
                        .map(|()| Some(Ok(Piece::data(Bytes::from_static(b": keep-alive\n\n")))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// Tells when nothing was written for a while.
///
/// Writing only notes the time: the timer finds out, when it fires, that it fired too early.
struct KeepAlive {
    silence: Duration,
    written: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl KeepAlive {
    fn new(silence: Duration) -> Self {
        Self { silence, written: Instant::now(), timer: None }
    }

    fn touch(&mut self) {
        self.written = Instant::now();
    }

    /// Ready once the silence has lasted long enough; then it starts anew.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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

impl std::fmt::Debug for EventBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBody").field("ended", &self.ended).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use gateway_core::{ErrorKind, GatewayError, StreamEvent};
    use http_body_util::BodyExt as _;
    use std::{collections::VecDeque, mem};

    /// Writes letters for what it is told.
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

    /// The pieces of the body, joined with `|`; `~` is a chunk that takes 40 seconds to come.
    async fn check(chunks: Vec<gateway_core::Result<Chunk>>, expected: &str) {
        let slow = stream::iter(chunks).then(|chunk| async {
            let wait =
                matches!(&chunk, Ok(chunk) if chunk.events == [StreamEvent::Text("~".into())]);
            if wait {
                time::sleep(Duration::from_secs(40)).await;
            }
            chunk
        });
        let begun = Begun { chunks: VecDeque::new(), rest: Box::pin(slow) };
        let mut body = EventBody::new(begun, Box::new(Letters), Duration::from_secs(15));
        let mut pieces = Vec::new();
        while let Some(piece) = body.frame().await {
            let piece = piece.unwrap().into_data().unwrap();
            pieces.push(String::from_utf8(piece.to_vec()).unwrap());
        }
        assert_eq!(pieces.join("|"), expected);
        assert!(body.is_end_stream());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_is_written_together() {
        check(vec![text("a"), text("b"), verbatim("c")], "abc.").await;
    }

    #[tokio::test(start_paused = true)]
    async fn verbatim_bytes_are_not_copied() {
        check(vec![verbatim("a"), verbatim("b"), text("c")], "a|b|c.").await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_the_last_event() {
        let error = GatewayError::new(ErrorKind::UpstreamCut, "cut");
        check(vec![text("a"), Err(error)], "a!").await;
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_filled_with_comments() {
        let comment = ": keep-alive\n\n";
        check(vec![text("a"), text("~")], &format!("a|{comment}|{comment}|~.")).await;
    }

    #[tokio::test(start_paused = true)]
    async fn empty_frames_write_nothing() {
        check(vec![Ok(Chunk::default()), text("a"), Ok(Chunk::default())], "a.").await;
    }
}
