//! Reads streams that need more than being passed on: they are normalized, translated, or both.

use super::{
    decode_response::{ChatResponseDecoder, truncated},
    errors,
    normalize::{NormalizedChunk, Normalizer},
};
use crate::{StreamReader, sse};
use bytes::Bytes;
use gateway_core::{Chunk, Inspection, Result, StreamEvent};

/// Reads chunks into events and, if the caller speaks this dialect, into normalized chunks.
pub(super) struct ChatStreamReader {
    decoder: ChatResponseDecoder,
    normalizer: Option<Normalizer>,
    /// The inspection depth of chunks that are passed on; `None` if only events are produced.
    passes: Option<Inspection>,
    expected: usize,
    /// The model has said something.
    output: bool,
    /// The normalizer had the end of every choice that began.
    normalized: bool,
    done: bool,
}

impl ChatStreamReader {
    /// For a caller of another dialect.
    pub(super) const fn translating(
        decoder: ChatResponseDecoder,
        normalizer: Option<Normalizer>,
        expected: usize,
    ) -> Self {
        Self {
            decoder,
            normalizer,
            passes: None,
            expected,
            output: false,
            normalized: false,
            done: false,
        }
    }

    /// For a caller of this dialect.
    pub(super) fn normalizing(
        decoder: ChatResponseDecoder,
        normalizer: Normalizer,
        inspection: Inspection,
        expected: usize,
    ) -> Self {
        Self { passes: Some(inspection), ..Self::translating(decoder, Some(normalizer), expected) }
    }

    /// Returns whether every chunk is read into events. The normalizer knows what is metered
    /// without them.
    fn reads_all(&self) -> bool {
        self.passes != Some(Inspection::UsageOnly) || !self.output
    }

    fn each(&mut self, block: &[u8], frame: &mut Chunk, out: &mut Vec<u8>) -> Result<()> {
        for event in sse::events(block) {
            let data = event.data.trim();
            if self.done || data.is_empty() {
                continue;
            }
            if data == "[DONE]" {
                self.done = true;
                self.close(frame, out)?;
            } else if event.name == "error" {
                return Err(errors::event(data));
            } else {
                self.chunk(data, frame, out)?;
            }
        }
        Ok(())
    }

    fn chunk(&mut self, data: &str, frame: &mut Chunk, out: &mut Vec<u8>) -> Result<()> {
        let reads = self.reads_all();
        let Some(normalizer) = &mut self.normalizer else {
            return self.decoder.read(data, &mut frame.events);
        };
        let NormalizedChunk { chunk, usage } = normalizer.chunk(data)?;
        if let Some(chunk) = chunk {
            if reads {
                self.decoder.read(&chunk, &mut frame.events)?;
                self.output |= frame.events.iter().any(StreamEvent::is_output);
            }
            sse::write(out, None, &chunk);
            frame.output_events += u64::from(self.output);
        }
        frame.events.extend(usage.map(StreamEvent::Usage));
        Ok(())
    }

    /// Emits what the normalizer held back for the end of the stream.
    fn close(&mut self, frame: &mut Chunk, out: &mut Vec<u8>) -> Result<()> {
        let Some(normalizer) = &mut self.normalizer else { return Ok(()) };
        self.normalized = normalizer.is_finished(1);
        let (ends, usage) = normalizer.end();
        for chunk in ends {
            self.decoder.read(&chunk, &mut frame.events)?;
            sse::write(out, None, &chunk);
            frame.output_events += u64::from(self.output);
        }
        if let Some(chunk) = usage {
            sse::write(out, None, &chunk);
        }
        Ok(())
    }

    /// Completes `frame`, whose events are all there.
    fn settle(&self, frame: &mut Chunk, out: Vec<u8>) {
        frame.output = frame.events.iter().any(StreamEvent::is_output);
        let Some(inspection) = self.passes else { return };
        frame.output |= self.output && !out.is_empty();
        frame.verbatim = (!out.is_empty()).then(|| out.into());
        if inspection == Inspection::UsageOnly {
            frame
                .events
                .retain(|it| matches!(it, StreamEvent::Usage(_) | StreamEvent::Finished(_)));
        }
    }
}

impl StreamReader for ChatStreamReader {
    fn read(&mut self, block: Bytes, frame: &mut Chunk) -> Result<()> {
        let mut out = Vec::new();
        let outcome = self.each(&block, frame, &mut out);
        self.settle(frame, out);
        outcome
    }

    fn end(&mut self, frame: &mut Chunk) -> Result<()> {
        // The frame may hold what the last event said.
        let mut out = frame.verbatim.take().map(Vec::from).unwrap_or_default();
        if !self.done && self.is_finished() {
            self.close(frame, &mut out)?;
        }
        self.settle(frame, out);
        match self.normalizer {
            Some(_) if self.normalized => Ok(()),
            Some(_) => Err(truncated()),
            // Whoever says that this is all may give fewer choices than were asked for.
            None => self.decoder.end(if self.done { 1 } else { self.expected }),
        }
    }

    fn is_finished(&self) -> bool {
        match &self.normalizer {
            Some(normalizer) => self.normalized || normalizer.is_finished(self.expected),
            None => self.decoder.is_finished(self.expected),
        }
    }

    fn is_complete(&self) -> bool {
        self.done
    }
}
