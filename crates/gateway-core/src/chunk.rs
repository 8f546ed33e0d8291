//! Steps of an answer, together with the bytes in which they came.

use crate::{CallMeter, Message, ResponseMeta, Result, StreamEvent, ToolCall};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use std::pin::Pin;

/// A piece of a streamed response: one or more events that arrived together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chunk {
    /// Decoded events. Under [`Inspection::UsageOnly`](crate::Inspection::UsageOnly) with verbatim
    /// bytes: only what is metered, that is usage and finish.
    pub events: Vec<StreamEvent>,
    /// The chunk in the caller's own dialect, whole events only, ready to be written as it is.
    pub verbatim: Option<Bytes>,
    /// The chunk holds output: after it, another attempt would be visible to the caller.
    pub output: bool,
    /// The number of events with output among the verbatim bytes, where `events` does not hold
    /// them: roughly a token each.
    pub output_events: u64,
    /// Messages that are complete with this chunk, in their order: what a session keeps. The
    /// model's calls come together with the results of their tools; its last message comes at the
    /// end. Only set by a [`ToolLoop`](crate::ToolLoop).
    pub completed_messages: Vec<Message>,
    /// Tool calls that the gateway starts with this chunk; their results come later in
    /// `completed_messages`. Only set by a [`ToolLoop`](crate::ToolLoop).
    pub started_tool_calls: Vec<ToolCall>,
    /// Metadata of the response, if it changed after the response had begun: another attempt was
    /// made, or another provider asked.
    pub meta: Option<Box<ResponseMeta>>,
}

/// An answer in progress.
///
/// Ends after the chunk that finishes the answer, or with the first error. An answer that stops
/// without saying so is an error. Dropping the stream cancels the upstream call.
pub type ChunkStream = Pin<Box<dyn Stream<Item = Result<Chunk>> + Send>>;

impl Chunk {
    /// The number of events with output: roughly a token each.
    pub fn output_count(&self) -> u64 {
        let decoded = self.events.iter().filter(|event| event.is_output()).count() as u64;
        decoded.max(self.output_events).max(u64::from(self.output))
    }

    /// Records the output and the usage in this chunk.
    pub fn record(&self, meter: &CallMeter) {
        let outputs = if self.output { self.output_count() } else { 0 };
        let usage = self.events.iter().rev().find_map(|event| {
            if let StreamEvent::Usage(usage) = event { Some(*usage) } else { None }
        });
        meter.record(outputs, usage);
    }

    /// A chunk of steps without bytes.
    pub fn from_events(events: Vec<StreamEvent>) -> Self {
        let output = events.iter().any(StreamEvent::is_output);
        Self { events, output, ..Self::default() }
    }
}

/// Passes `chunks` on, and records them and their end.
pub fn metered(chunks: ChunkStream, meter: CallMeter) -> ChunkStream {
    Box::pin(stream::unfold((chunks, meter), |(mut chunks, meter)| async move {
        let next = chunks.next().await;
        match &next {
            Some(Ok(chunk)) => chunk.record(&meter),
            Some(Err(_)) => {}
            None => meter.completed(None),
        }
        Some((next?, (chunks, meter)))
    }))
}
