//! Decodes streamed responses: server-sent events, or one JSON array where the upstream ignores
//! `alt=sse`.

use super::decode_response::GeminiResponseDecoder;
use crate::{IdGenerator, MAX_ANSWER_BYTES, StreamReader, sse, unreadable};
use bytes::Bytes;
use gateway_core::{Chunk, Result, StreamEvent};
use serde_json::value::RawValue;

/// Reads steps until the stream ends; Gemini has no event that says it is complete.
#[derive(Debug)]
pub(super) struct GeminiStreamReader {
    answer: GeminiResponseDecoder,
    /// Set once the first bytes turn out to be JSON and not events.
    steps: Option<JsonObjectSplitter>,
    has_begun: bool,
}

impl GeminiStreamReader {
    pub(super) fn new(ids: IdGenerator) -> Self {
        Self { answer: GeminiResponseDecoder::new(ids), steps: None, has_begun: false }
    }

    fn read_events(&mut self, block: &[u8], events: &mut Vec<StreamEvent>) -> Result<()> {
        if !self.has_begun {
            let first = block.iter().find(|byte| !byte.is_ascii_whitespace());
            self.has_begun = first.is_some();
            let is_json = first.is_some_and(|byte| matches!(byte, b'[' | b'{'));
            self.steps = is_json.then(JsonObjectSplitter::default);
        }
        if let Some(steps) = &mut self.steps {
            return steps.push(block, |json| self.answer.step(json, events));
        }
        for event in sse::events(block) {
            let data = event.data.trim();
            if !data.is_empty() && data != "[DONE]" {
                self.answer.step(data, events)?;
            }
        }
        Ok(())
    }
}

impl StreamReader for GeminiStreamReader {
    fn read(&mut self, block: Bytes, chunk: &mut Chunk) -> Result<()> {
        let done = self.read_events(&block, &mut chunk.events);
        chunk.output = chunk.events.iter().any(StreamEvent::is_output);
        done
    }

    fn end(&mut self, chunk: &mut Chunk) -> Result<()> {
        let done = self.answer.end(&mut chunk.events);
        chunk.output = chunk.events.iter().any(StreamEvent::is_output);
        done
    }

    fn is_finished(&self) -> bool {
        self.answer.is_finished()
    }

    fn is_complete(&self) -> bool {
        false
    }
}

/// Finds the objects in a JSON array, or one after the other, as their last bytes come.
#[derive(Debug, Default)]
struct JsonObjectSplitter {
    /// The object that has begun.
    object: Vec<u8>,
    depth: usize,
    is_quoted: bool,
    is_escaped: bool,
}

impl JsonObjectSplitter {
    fn push(&mut self, bytes: &[u8], mut take: impl FnMut(&str) -> Result<()>) -> Result<()> {
        for &byte in bytes {
            if self.depth > 0 || byte == b'{' {
                self.object.push(byte);
            }
            self.see(byte);
            if self.depth == 0 && !self.object.is_empty() {
                let object = std::mem::take(&mut self.object);
                take(std::str::from_utf8(&object).map_err(unreadable)?)?;
            } else if self.object.len() > MAX_ANSWER_BYTES {
                return Err(unreadable("an event of the response exceeds the size limit"));
            }
        }
        Ok(())
    }

    fn see(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.is_quoted => self.is_escaped = true,
            b'"' => self.is_quoted = !self.is_quoted && self.depth > 0,
            b'{' if !self.is_quoted => self.depth += 1,
            b'}' if !self.is_quoted => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// The events of a body that came whole: a response, or an array of its steps.
pub(super) fn whole(body: &[u8], ids: IdGenerator) -> Result<Vec<StreamEvent>> {
    let (mut answer, mut events) = (GeminiResponseDecoder::new(ids), Vec::new());
    let text = std::str::from_utf8(body).map_err(unreadable)?.trim();
    if text.starts_with('[') {
        let steps: Vec<&RawValue> = serde_json::from_str(text).map_err(unreadable)?;
        for step in steps {
            answer.step(step.get(), &mut events)?;
        }
    } else {
        answer.step(text, &mut events)?;
    }
    answer.is_whole();
    answer.end(&mut events)?;
    Ok(events)
}
