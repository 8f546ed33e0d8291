//! Passthrough of streams whose bytes callers take unchanged.
//!
//! The stream is inspected no further than metering needs: every chunk until the first output, and
//! after that the chunks with a finish reason, token counts or an error.

use super::{decode_response::ChatResponseDecoder, errors};
use crate::{StreamReader, json::JsonCursor, sse};
use bytes::Bytes;
use gateway_core::{Chunk, Inspection, Result, StreamEvent};
use memchr::memmem;
use std::borrow::Cow;

/// The stream reader for upstreams whose chunks callers can take unchanged.
pub(super) struct ChatPassthrough {
    decoder: ChatResponseDecoder,
    inspection: Inspection,
    /// The number of choices in the response.
    expected: usize,
    wants_usage: bool,
    /// The model has said something.
    output: bool,
    done: bool,
}

impl ChatPassthrough {
    pub(super) fn new(
        decoder: ChatResponseDecoder,
        inspection: Inspection,
        expected: usize,
        wants_usage: bool,
    ) -> Self {
        Self { decoder, inspection, expected, wants_usage, output: false, done: false }
    }

    /// Returns whether every chunk is read. With several choices it takes that to know which have
    /// begun.
    fn reads_all(&self) -> bool {
        self.inspection == Inspection::Full || !self.output || self.expected > 1
    }

    fn inspect_block(&mut self, block: &Bytes, frame: &mut Chunk) -> Result<()> {
        let plain = sse::is_plain(block);
        let mut kept = Vec::new();
        let mut changed = !plain;
        let outcome = self.each(block, frame, &mut kept, &mut changed);
        if changed || outcome.is_err() {
            frame.verbatim = (!kept.is_empty()).then(|| kept.into());
        } else {
            frame.verbatim = Some(block.clone());
        }
        if self.inspection == Inspection::UsageOnly {
            frame
                .events
                .retain(|it| matches!(it, StreamEvent::Usage(_) | StreamEvent::Finished(_)));
        }
        outcome
    }

    /// Reads the events of `block`; those that are passed on are also written to `kept`.
    fn each(
        &mut self,
        block: &[u8],
        frame: &mut Chunk,
        kept: &mut Vec<u8>,
        changed: &mut bool,
    ) -> Result<()> {
        for event in sse::events(block) {
            // Of a plain event only one that is no text is not borrowed: it is normalized.
            *changed |= matches!(event.data, Cow::Owned(_));
            let data = event.data.trim();
            if self.done || data == "[DONE]" || data.is_empty() {
                self.done |= data == "[DONE]";
                *changed = true;
                continue;
            }
            if event.name == "error" {
                return Err(errors::event(data));
            }
            let before = frame.events.len();
            if self.reads_all() || !is_content_only(data.as_bytes()) {
                self.decoder.read(data, &mut frame.events)?;
            }
            let new = frame.events.get(before..).unwrap_or_default();
            let has_output = new.iter().any(StreamEvent::is_output);
            // Of an event that is not read only the form is known: it is content.
            let is_content = has_output || (new.is_empty() && self.output);
            frame.output_events += u64::from(is_content);
            frame.output |= has_output;
            self.output |= frame.output;
            let counts = new.iter().any(|it| matches!(it, StreamEvent::Usage(_)));
            let only_counts = counts && !new.iter().any(StreamEvent::is_output);
            if only_counts && !self.wants_usage {
                *changed = true;
            } else {
                // To the byte as it came, if it was plain.
                let name = Some(event.name).filter(|name| !name.is_empty());
                sse::write(kept, name, &event.data);
            }
        }
        Ok(())
    }
}

/// Returns the number of events of `block` if it may be passed on unread: every event of it is
/// plain, and its data an object without a finish reason, token counts or an error.
///
/// What is not an object is not a chunk: the caller learns that the response failed instead of
/// failing to parse it.
fn content_only_events(block: &[u8]) -> Option<u64> {
    if let Some(events) = content_only_stretch(block) {
        return Some(events);
    }
    // Events with names, or with white space where others have none.
    let is_content_only_line =
        |line: &[u8]| line.strip_prefix(b"data: ").is_none_or(is_content_only);
    let is_content_only =
        sse::is_plain(block) && block.split(|byte| *byte == b'\n').all(is_content_only_line);
    is_content_only.then(|| memmem::find_iter(block, b"\n\n").count() as u64)
}

/// Returns the number of events of `block` if they are content-only and of the form `data: {...}`, in
/// one pass.
fn content_only_stretch(block: &[u8]) -> Option<u64> {
    let (mut rest, mut events) = (block, 0);
    while !rest.is_empty() {
        let event = rest.strip_prefix(b"data: ");
        let after = event.and_then(|event| JsonCursor::parse_line(event, content_only));
        rest = after.and_then(|after| after.strip_prefix(b"\n\n"))?;
        events += 1;
    }
    (block.is_ascii() || std::str::from_utf8(block).is_ok()).then_some(events)
}

/// Returns whether `data` is an object without a finish reason, token counts or an error.
fn is_content_only(data: &[u8]) -> bool {
    let rest = JsonCursor::parse_line(data.trim_ascii_start(), content_only);
    rest.is_some_and(|rest| rest.trim_ascii().is_empty()) && std::str::from_utf8(data).is_ok()
}

fn content_only(cursor: &mut JsonCursor<'_>) -> Option<()> {
    cursor.byte_object(|key, cursor| match key {
        b"choices" if !cursor.is_null() => cursor.array(content_only_choice),
        b"choices" => Some(()),
        b"usage" | b"error" => cursor.is_null().then_some(()),
        _ => cursor.skip(),
    })
}

fn content_only_choice(cursor: &mut JsonCursor<'_>) -> Option<()> {
    cursor.byte_object(|key, cursor| match key {
        b"finish_reason" => cursor.is_null().then_some(()),
        _ => cursor.skip(),
    })
}

impl StreamReader for ChatPassthrough {
    fn read(&mut self, block: Bytes, frame: &mut Chunk) -> Result<()> {
        let reads_all = self.reads_all() || self.done;
        match if reads_all { None } else { content_only_events(&block) } {
            Some(events) => {
                frame.output_events = events;
                frame.verbatim = Some(block);
                frame.output = true;
                Ok(())
            }
            None => self.inspect_block(&block, frame),
        }
    }

    fn end(&mut self, _: &mut Chunk) -> Result<()> {
        // Whoever says that this is all may give fewer choices than were asked for.
        self.decoder.end(if self.done { 1 } else { self.expected })
    }

    fn is_finished(&self) -> bool {
        self.decoder.is_finished(self.expected)
    }

    fn is_complete(&self) -> bool {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(chunk: &str, expected: bool) {
        assert_eq!(is_content_only(chunk.as_bytes()), expected, "{chunk}");
    }

    #[test]
    fn content_only_chunk_is_not_decoded() {
        for rest in ["", r#","usage":null"#, r#","error": null"#, r#","x":{"usage":{"a":1}}"#] {
            let delta = r#"{"content":"\"usage\": {}","finish_reason":"in what is said"}"#;
            let chunk = |choices: &str| format!(r#"{{"id":"c","choices":{choices}{rest}}}"#);
            check(
                &chunk(&format!(r#"[{{"index":0,"delta":{delta},"finish_reason":null}}]"#)),
                true,
            );
            check(&chunk("[]"), true);
            check(&chunk("null"), true);
            check(&chunk(r#"[{"finish_reason":"stop"}]"#), false);
            check(&chunk(r#"[{"delta":{}},{"finish_reason":"stop"}]"#), false);
        }
        check(r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, false);
        check(r#"{"choices":[{"delta":{}}],"us\u0061ge":{"prompt_tokens":1}}"#, false);
        check(r#"{"error":{"message":"no"}}"#, false);
        check(r#"{"choices":[{"delta":{}}]"#, false);
        check("[DONE]", false);
    }
}
