//! Streamed responses, as callers read them: each step is a small response.
//!
//! A tool call is written whole, once its arguments are complete. The reasons for the end and the
//! counts are in the last step.

use super::{
    encode_error,
    encode_response::{CandidateOutWire, GeminiResponseOutWire, write_part},
    encode_response_notes::LogprobsResultWire,
    streamed_candidate::StreamedCandidate,
    usage::UsageMetadataOutWire,
};
use crate::{ResponseContext, StreamWriter, sse};
use bytes::Bytes;
use gateway_core::{Chunk, GatewayError, StreamEvent, Usage};
use serde::Serialize;

/// The largest number of candidates that are written.
const MAX_CANDIDATES: u32 = 256;

/// Writes a stream of events.
#[derive(Debug)]
pub(super) struct GeminiStreamWriter {
    reply: ResponseContext,
    id: String,
    model: String,
    current: u32,
    candidates: Vec<StreamedCandidate>,
    usage: Usage,
    /// The upstream's own events are passed on, and end the response.
    is_passed: bool,
}

impl GeminiStreamWriter {
    pub(super) const fn new(reply: ResponseContext) -> Self {
        Self {
            reply,
            id: String::new(),
            model: String::new(),
            current: 0,
            candidates: Vec::new(),
            usage: Usage::NONE,
            is_passed: false,
        }
    }

    fn event(&mut self, event: StreamEvent) {
        if let StreamEvent::Started(started) = event {
            self.id = started.id.unwrap_or_default();
            self.model = started.model.unwrap_or_default();
        } else if let StreamEvent::Choice(index) = event {
            self.current = index.min(MAX_CANDIDATES);
        } else if let StreamEvent::Usage(usage) = event {
            self.usage = usage;
        } else if self.current < MAX_CANDIDATES {
            self.candidate().push(event);
        }
    }

    /// The candidate that the events belong to.
    fn candidate(&mut self) -> &mut StreamedCandidate {
        let known = self.candidates.iter().position(|it| it.index == self.current);
        let at = known.unwrap_or_else(|| {
            self.candidates.push(StreamedCandidate::new(self.current));
            self.candidates.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found, or pushed just above")]
        &mut self.candidates[at]
    }

    /// Writes what there is of each candidate; the last step says why each has ended.
    fn step(&mut self, is_last: bool, out: &mut Vec<u8>) {
        if self.id.is_empty() {
            self.id = self.reply.ids.next("");
        }
        let mut candidates = Vec::new();
        for state in &self.candidates {
            let mut candidate =
                CandidateOutWire { index: state.index, ..CandidateOutWire::default() };
            for content in &state.ready {
                write_part(content, &mut candidate.content.parts);
            }
            candidate.logprobs_result = LogprobsResultWire::of(&state.logprobs);
            if is_last {
                candidate.finish_reason = Some(state.finish_reason());
                candidate.grounding_metadata = state.grounding();
            }
            let says_nothing =
                candidate.content.parts.is_empty() && candidate.logprobs_result.is_none();
            if is_last || !says_nothing {
                candidates.push(candidate);
            }
        }
        if is_last || !candidates.is_empty() {
            let model = if self.model.is_empty() { &self.reply.model } else { &self.model };
            let step = GeminiResponseOutWire {
                candidates,
                usage_metadata: is_last.then(|| UsageMetadataOutWire::of(&self.usage)),
                model_version: model,
                response_id: &self.id,
            };
            write(out, &step);
        }
        self.candidates.iter_mut().for_each(StreamedCandidate::clear);
    }
}

impl StreamWriter for GeminiStreamWriter {
    fn write(&mut self, chunk: Chunk, out: &mut Vec<u8>) {
        if let Some(verbatim) = chunk.verbatim {
            self.is_passed = true;
            out.extend_from_slice(&verbatim);
            return;
        }
        if self.is_passed {
            return;
        }
        chunk.events.into_iter().for_each(|event| self.event(event));
        self.step(false, out);
    }

    fn pass(&mut self, chunk: &mut Chunk) -> Option<Bytes> {
        let verbatim = chunk.verbatim.take()?;
        self.is_passed = true;
        Some(verbatim)
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.is_passed {
            return;
        }
        if self.candidates.is_empty() {
            self.candidates.push(StreamedCandidate::new(0));
        }
        self.candidates.iter_mut().for_each(StreamedCandidate::end);
        self.step(true, out);
    }

    fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>) {
        write(out, &encode_error::body(error, ""));
    }
}

/// Appends an event: all in one line, for clients read no other.
fn write(out: &mut Vec<u8>, event: &impl Serialize) {
    sse::write(out, None, &serde_json::to_string(event).unwrap_or_default());
}
