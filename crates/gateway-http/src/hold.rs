//! Holding the head of a reply back until the answer has begun.

use futures_util::StreamExt as _;
use gateway_core::{Chunk, ChunkStream, Result};
use std::{collections::VecDeque, time::Duration};
use tokio::time;

/// An answer of which the first chunks are at hand.
pub(crate) struct Begun {
    /// What came so far.
    pub(crate) chunks: VecDeque<Chunk>,
    /// What comes next.
    pub(crate) rest: ChunkStream,
}

/// Waits for the first output of `rest`, but not longer than `limit`.
///
/// # Errors
///
/// If the answer fails before it: nothing was said yet, so the failure can be a status.
pub(crate) async fn until_output(mut rest: ChunkStream, limit: Duration) -> Result<Begun> {
    let mut chunks = VecDeque::new();
    let waiting = async {
        while let Some(chunk) = rest.next().await {
            let chunk = chunk?;
            let output = chunk.output;
            chunks.push_back(chunk);
            if output {
                break;
            }
        }
        Ok(())
    };
    match time::timeout(limit, waiting).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(Begun { chunks, rest }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use gateway_core::{ErrorKind, GatewayError, Started, StreamEvent};

    async fn check(chunks: Vec<Result<Chunk>>, expected: Result<usize, ErrorKind>) {
        let silence = stream::pending();
        let chunks = Box::pin(stream::iter(chunks).chain(silence));
        let begun = until_output(chunks, Duration::from_secs(10)).await;
        assert_eq!(begun.map(|it| it.chunks.len()).map_err(|it| it.kind()), expected);
    }

    fn started() -> Chunk {
        Chunk::from_events(vec![StreamEvent::Started(Started::default())])
    }

    fn text() -> Chunk {
        Chunk::from_events(vec![StreamEvent::Text("a".into())])
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
