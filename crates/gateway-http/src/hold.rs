//! Holding the head of a reply back until the answer has begun.

use futures_util::StreamExt as _;
use gateway_core::{Chunk, ChunkStream, Result};
use std::{collections::VecDeque, time::Duration};
use tokio::time;

/// An answer of which the first frames are at hand.
pub(crate) struct Begun {
    /// What came so far.
    pub(crate) frames: VecDeque<Chunk>,
    /// What comes next.
    pub(crate) rest: ChunkStream,
}

/// Waits for the first output of `rest`, but not longer than `limit`.
///
/// # Errors
///
/// If the answer fails before it: nothing was said yet, so the failure can be a status.
pub(crate) async fn until_output(mut rest: ChunkStream, limit: Duration) -> Result<Begun> {
    let mut frames = VecDeque::new();
    let waiting = async {
        while let Some(frame) = rest.next().await {
            let frame = frame?;
            let output = frame.output;
            frames.push_back(frame);
            if output {
                break;
            }
        }
        Ok(())
    };
    match time::timeout(limit, waiting).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(Begun { frames, rest }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use gateway_core::{ErrorKind, GatewayError, Started, StreamEvent};

    async fn check(frames: Vec<Result<Chunk>>, expected: Result<usize, ErrorKind>) {
        let silence = stream::pending();
        let frames = Box::pin(stream::iter(frames).chain(silence));
        let begun = until_output(frames, Duration::from_secs(10)).await;
        assert_eq!(begun.map(|it| it.frames.len()).map_err(|it| it.kind()), expected);
    }

    fn started() -> Chunk {
        Chunk::of(vec![StreamEvent::Started(Started::default())])
    }

    fn text() -> Chunk {
        Chunk::of(vec![StreamEvent::Text("a".into())])
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_output() {
        check(vec![Ok(started()), Ok(text()), Ok(text())], Ok(2)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_ever() {
        check(vec![Ok(started())], Ok(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_early_failure_is_a_failure() {
        let error = GatewayError::new(ErrorKind::UpstreamOverloaded, "busy");
        check(vec![Ok(started()), Err(error)], Err(ErrorKind::UpstreamOverloaded)).await;
    }
}
