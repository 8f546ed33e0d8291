//! Passes on streams whose bytes callers take as they are.
//!
//! What is passed on is read no closer than metering needs: until the model says something every
//! chunk, afterwards those that tell of the end, of token counts or of an error.

use super::{decoder::Decoder, errors};
use crate::{StreamReader, json, sse};
use bytes::Bytes;
use gateway_core::{Frame, Look, Result, StreamEvent};
use memchr::memmem::Finder;
use std::{borrow::Cow, sync::LazyLock};

/// Passes on chunks.
pub(super) struct Relay {
    decoder: Decoder,
    look: Look,
    /// How many choices there will be.
    expected: usize,
    wants_usage: bool,
    /// The model has said something.
    output: bool,
    done: bool,
}

static SIGNS: LazyLock<Signs> = LazyLock::new(Signs::new);

static DONE: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("[DONE]"));

/// What tells that a chunk must be read.
struct Signs([Finder<'static>; 3]);

impl Signs {
    fn new() -> Self {
        Self([&b"\"finish_reason\""[..], b"\"usage\"", b"\"error\""].map(Finder::new))
    }

    /// Whether one of the members is there, and is not `null`. Within a text its quotes would be
    /// escaped.
    fn in_bytes(&self, bytes: &[u8]) -> bool {
        let tells = |finder: &Finder<'_>| {
            let size = finder.needle().len();
            finder.find_iter(bytes).any(|at| {
                let value = bytes.get(at + size..).unwrap_or_default().trim_ascii_start();
                let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
                !value.is_empty() && !value.starts_with(b"null")
            })
        };
        self.0.iter().any(tells)
    }
}

impl Relay {
    pub(super) fn new(decoder: Decoder, look: Look, expected: usize, wants_usage: bool) -> Self {
        Self { decoder, look, expected, wants_usage, output: false, done: false }
    }

    /// Whether every chunk is read. With several choices it takes that to know which have begun.
    fn reads_all(&self) -> bool {
        self.look == Look::Events || !self.output || self.expected > 1
    }

    fn slowly(&mut self, block: &Bytes, frame: &mut Frame) -> Result<()> {
        let plain = sse::is_plain(block);
        let mut kept = Vec::new();
        let mut changed = !plain;
        let outcome = self.each(block, frame, &mut kept, &mut changed);
        if changed || outcome.is_err() {
            frame.verbatim = (!kept.is_empty()).then(|| kept.into());
        } else {
            frame.verbatim = Some(block.clone());
        }
        if self.look == Look::Digest {
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
        frame: &mut Frame,
        kept: &mut Vec<u8>,
        changed: &mut bool,
    ) -> Result<()> {
        for event in sse::events(block) {
            // Of a plain event only one that is no text is not borrowed: it is mended.
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
            if self.reads_all() || !is_sound(data.as_bytes()) || SIGNS.in_bytes(data.as_bytes()) {
                self.decoder.read(data, &mut frame.events)?;
            }
            let new = frame.events.get(before..).unwrap_or_default();
            frame.output |= new.iter().any(StreamEvent::is_output);
            self.output |= frame.output;
            let counts = new.iter().any(|it| matches!(it, StreamEvent::Usage(_)));
            let only_counts = counts && !new.iter().any(StreamEvent::is_output);
            if only_counts && !self.wants_usage {
                *changed = true;
            } else {
                sse::write(kept, None, data);
            }
        }
        Ok(())
    }
}

/// Whether the data of every event of `block`, which is plain, is an object. What is not is no
/// chunk, and the caller learns that the answer failed instead of choking on it.
fn holds_objects(block: &[u8]) -> bool {
    let mut begin = 0;
    memchr::memchr_iter(b'\n', block).all(|end| {
        let line = block.get(begin..end).unwrap_or_default();
        begin = end + 1;
        // Others end an event, or name it.
        line.strip_prefix(b"data: ").is_none_or(is_sound)
    })
}

fn is_sound(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok_and(json::is_object)
}

impl StreamReader for Relay {
    fn read(&mut self, block: Bytes, frame: &mut Frame) -> Result<()> {
        let ends = self.done || DONE.find(&block).is_some();
        let plain = sse::is_plain(&block) && holds_objects(&block);
        if self.reads_all() || ends || !plain || SIGNS.in_bytes(&block) {
            self.slowly(&block, frame)?;
        } else {
            frame.verbatim = Some(block);
            frame.output = true;
        }
        Ok(())
    }

    fn end(&mut self, _: &mut Frame) -> Result<()> {
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
