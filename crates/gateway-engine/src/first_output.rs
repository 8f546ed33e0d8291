//! Holds a stream back until its first output, so that a failure before it can still be a status.

use futures_util::StreamExt as _;
use gateway_core::{Chunk, ChunkStream, Result};
use std::{collections::VecDeque, time::Duration};
use tokio::time;

/// A stream whose first chunks have arrived.
pub(crate) struct PrimedStream {
    /// The chunks so far.
    pub(crate) chunks: VecDeque<Chunk>,
    /// The chunks to come.
    pub(crate) rest: ChunkStream,
}

/// Waits for the first output of `rest`, but not longer than `limit`. Dropping the future cancels
/// the upstream.
///
/// # Errors
///
/// If the stream fails before its first output.
pub(crate) async fn buffer_until_first_output(
    mut rest: ChunkStream,
    limit: Duration,
) -> Result<PrimedStream> {
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
        Ok(Ok(())) | Err(_) => Ok(PrimedStream { chunks, rest }),
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
        let primed = buffer_until_first_output(chunks, Duration::from_secs(10)).await;
        assert_eq!(primed.map(|it| it.chunks.len()).map_err(|it| it.kind()), expected);
    }

    fn started() -> Chunk {
        Chunk::from_events(vec![StreamEvent::Started(Started::default())])
    }

    fn text() -> Chunk {
        Chunk::from_events(vec![StreamEvent::Text("a".into())])
    }

    #[tokio::test(start_paused = true)]
    async fn stream_with_output_is_buffered_up_to_it() {
        check(vec![Ok(started()), Ok(text()), Ok(text())], Ok(2)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn silent_stream_is_released_after_limit() {
        check(vec![Ok(started())], Ok(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn failure_before_output_is_returned() {
        let error = GatewayError::new(ErrorKind::UpstreamOverloaded, "busy");
        check(vec![Ok(started()), Err(error)], Err(ErrorKind::UpstreamOverloaded)).await;
    }
}
