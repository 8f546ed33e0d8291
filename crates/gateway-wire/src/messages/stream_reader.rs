//! Streamed responses of the provider.

use super::{
    decode_response_blocks::{BlockDecoder, BlockDeltaWire},
    errors, finish_reason,
    usage::MessagesUsageWire,
};
use crate::{
    IdGenerator, StreamReader,
    json::{JsonCursor, unescape},
    sse, unreadable,
};
use bytes::Bytes;
use gateway_core::{Chunk, ErrorKind, GatewayError, Inspection, Result, Started, StreamEvent};
use memchr::memmem::{self, Finder};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads a stream of events.
#[derive(Debug)]
pub(super) struct MessagesStreamReader {
    steps: BlockDecoder,
    counts: MessagesUsageWire,
    relay: Option<MessagesPassthrough>,
    has_output: bool,
    has_finished: bool,
    is_complete: bool,
}

/// The caller speaks this dialect: it gets the events as they come.
#[derive(Debug)]
struct MessagesPassthrough {
    inspection: Inspection,
    /// In the type of every event that is about the message and not about its content.
    message: Finder<'static>,
    /// Finds the marker of an error event.
    error: Finder<'static>,
}

#[derive(Debug, Deserialize)]
struct MessageEventWire<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    message: Option<MessageStartInWire>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<BlockDeltaWire<'a>>,
    #[serde(default)]
    usage: Option<MessagesUsageWire>,
}

#[derive(Debug, Default, Deserialize)]
struct MessageStartInWire {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<MessagesUsageWire>,
}

impl MessagesStreamReader {
    /// A reader that translates.
    pub(super) const fn new(ids: IdGenerator) -> Self {
        Self {
            steps: BlockDecoder::new(ids),
            counts: MessagesUsageWire::NONE,
            relay: None,
            has_output: false,
            has_finished: false,
            is_complete: false,
        }
    }

    /// A reader that passes events on as they are, and looks into them as closely as `inspection`
    /// says.
    pub(super) fn relay(ids: IdGenerator, inspection: Inspection) -> Self {
        let (message, error) = (Finder::new("message_"), Finder::new("\"error\""));
        Self { relay: Some(MessagesPassthrough { inspection, message, error }), ..Self::new(ids) }
    }

    /// Only the events about the message are read: its content is not asked for, and that there
    /// is some is known.
    const fn skims(&self) -> bool {
        matches!(self.relay, Some(MessagesPassthrough { inspection: Inspection::UsageOnly, .. }))
            && self.has_output
    }

    /// Returns whether `block` is all content.
    fn is_content(&self, block: &[u8]) -> bool {
        let needles = self.relay.iter().flat_map(|relay| [&relay.message, &relay.error]);
        self.skims() && needles.into_iter().all(|needle| needle.find(block).is_none())
    }

    fn event(&mut self, event: &sse::SseEvent<'_>, out: &mut Vec<StreamEvent>) -> Result<()> {
        if self.is_complete || event.data == "[DONE]" {
            return Ok(());
        }
        let skims = self.skims();
        if !skims && let Some(text) = text_delta(&event.data) {
            self.steps.text(text.into_owned(), out);
            return Ok(());
        }
        let it: MessageEventWire<'_> = match serde_json::from_str(&event.data) {
            Ok(it) => it,
            Err(error) => return odd(event, error),
        };
        match kind(&it, event) {
            "message_start" => self.start(it.message.unwrap_or_default(), out),
            "content_block_start" if !skims => {
                it.content_block.map_or(Ok(()), |block| self.steps.start(block, out))?;
            }
            "content_block_delta" if !skims => {
                it.delta.into_iter().for_each(|delta| self.steps.add(delta, out));
            }
            "content_block_stop" if !skims => self.steps.stop(out),
            "message_delta" => self.finish(it.delta.unwrap_or_default(), it.usage, out),
            "message_stop" => {
                self.is_complete = true;
                self.say_finished(None, None, out);
            }
            "error" => return Err(errors::of_event(event.data.as_bytes())),
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, start: MessageStartInWire, out: &mut Vec<StreamEvent>) {
        out.push(StreamEvent::Started(Started {
            id: start.id.filter(|id| !id.is_empty()),
            model: start.model.filter(|model| !model.is_empty()),
            created: None,
        }));
        self.count(start.usage, out);
    }

    fn count(&mut self, counts: Option<MessagesUsageWire>, out: &mut Vec<StreamEvent>) {
        if let Some(counts) = counts {
            self.counts.update(counts);
            out.push(StreamEvent::Usage(self.counts.usage()));
        }
    }

    fn finish(
        &mut self,
        delta: BlockDeltaWire<'_>,
        counts: Option<MessagesUsageWire>,
        out: &mut Vec<StreamEvent>,
    ) {
        self.steps.stop(out);
        self.count(counts, out);
        if delta.stop_reason.is_some() {
            self.say_finished(delta.stop_reason, delta.stop_sequence, out);
        }
    }

    fn say_finished(
        &mut self,
        native: Option<String>,
        stop_sequence: Option<String>,
        out: &mut Vec<StreamEvent>,
    ) {
        if !std::mem::replace(&mut self.has_finished, true) {
            self.steps.stop(out);
            let finish = finish_reason::decode(native, stop_sequence, self.steps.has_calls());
            out.push(StreamEvent::Finished(finish));
        }
    }

    /// Reads what stands in `block`, and says how many events were read and whether all went well.
    fn events(&mut self, block: &[u8], out: &mut Vec<StreamEvent>) -> (usize, Result<()>) {
        let mut count = 0;
        for event in sse::events(block) {
            if let Err(error) = self.event(&event, out) {
                return (count, Err(error));
            }
            count += 1;
        }
        (count, Ok(()))
    }
}

/// Handles an event that cannot be decoded: errors are reported in any form, unknown events are
/// skipped.
fn odd(event: &sse::SseEvent<'_>, error: serde_json::Error) -> Result<()> {
    #[derive(Default, Deserialize)]
    struct EventTag {
        #[serde(rename = "type", default)]
        kind: String,
    }
    let tag: Option<EventTag> = serde_json::from_str(&event.data).ok();
    match tag.as_ref().map_or(event.name, |tag| &tag.kind) {
        "error" => Err(errors::of_event(event.data.as_bytes())),
        ""
        | "message_start"
        | "content_block_start"
        | "content_block_delta"
        | "message_delta"
        | "message_stop" => Err(unreadable(error)),
        _ => Ok(()),
    }
}

/// The type of an event; some upstreams only name it.
fn kind<'a>(it: &'a MessageEventWire<'_>, event: &sse::SseEvent<'a>) -> &'a str {
    if it.kind.is_empty() { event.name } else { &it.kind }
}

/// The text of a text delta of the usual form, read without deserializing.
///
/// `None` for every other event, and for text with escapes by number, of which serde rejects some.
fn text_delta(data: &str) -> Option<Cow<'_, str>> {
    let (mut is_delta, mut is_text, mut text) = (false, false, None);
    JsonCursor::parse(data, |cursor| {
        cursor.object(|key, cursor| match key {
            "type" if !is_delta => {
                is_delta = cursor.skip_value()? == r#""content_block_delta""#;
                is_delta.then_some(())
            }
            "index" => cursor.skip(),
            "delta" if text.is_none() => cursor.object(|key, cursor| match key {
                "type" if !is_text => {
                    is_text = cursor.skip_value()? == r#""text_delta""#;
                    is_text.then_some(())
                }
                "text" if text.is_none() => {
                    let literal = cursor.skip_value()?;
                    text = Some(literal).filter(|it| it.starts_with('"') && !it.contains("\\u"));
                    text.map(drop)
                }
                _ => None,
            }),
            _ => None,
        })
    })?;
    text.filter(|_| is_delta && is_text).map(unescape)
}

impl StreamReader for MessagesStreamReader {
    fn read(&mut self, block: Bytes, chunk: &mut Chunk) -> Result<()> {
        if self.is_complete {
            return Ok(());
        }
        if self.is_content(&block) && is_named(&block) {
            chunk.output = true;
            chunk.output_events = memmem::find_iter(&block, b"\n\n").count() as u64;
            chunk.verbatim = Some(block);
            return Ok(());
        }
        let (count, outcome) = self.events(&block, &mut chunk.events);
        chunk.output_events = chunk.events.iter().filter(|it| it.is_output()).count() as u64;
        chunk.output = chunk.output_events > 0 || self.skims();
        if let Some(relay) = &self.relay {
            if relay.inspection == Inspection::UsageOnly {
                chunk.events.retain(is_metered);
            }
            chunk.verbatim = verbatim(block, count, outcome.is_ok());
        }
        self.has_output |= chunk.output;
        outcome
    }

    fn end(&mut self, chunk: &mut Chunk) -> Result<()> {
        if self.is_complete {
            return Ok(());
        }
        if !self.has_finished {
            return Err(GatewayError::new(
                ErrorKind::UpstreamTruncated,
                "the provider's response ended before it was complete",
            ));
        }
        self.is_complete = true;
        if self.relay.is_some() {
            let mut out = Vec::new();
            sse::write(&mut out, Some("message_stop"), r#"{"type":"message_stop"}"#);
            chunk.verbatim = Some(out.into());
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.has_finished
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}

const fn is_metered(event: &StreamEvent) -> bool {
    matches!(event, StreamEvent::Usage(_) | StreamEvent::Finished(_))
}

/// The first `count` events of `block` in the form that callers read; as they are, if all of them
/// are in that form.
fn verbatim(block: Bytes, count: usize, is_all: bool) -> Option<Bytes> {
    if is_all && is_named(&block) {
        return Some(block);
    }
    let mut out = Vec::with_capacity(block.len());
    for event in sse::events(&block).take(count) {
        let data = event.data.trim_end();
        let tag = serde_json::from_str::<MessageEventWire<'_>>(data);
        let name = tag.as_ref().map_or(event.name, |it| kind(it, &event));
        sse::write(&mut out, Some(name), data);
    }
    (!out.is_empty()).then(|| out.into())
}

/// Returns whether `block` can be passed on as it is: callers of this dialect go by the names of
/// events.
fn is_named(block: &[u8]) -> bool {
    let is_name = |at: usize| {
        block.get(at..).is_none_or(|rest| rest.is_empty() || rest.starts_with(b"event: "))
    };
    sse::is_plain(block)
        && is_name(0)
        && memmem::find_iter(block, b"\n\n").all(|end| is_name(end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the fast path reads is what serde reads.
    #[track_caller]
    fn check(data: &str, is_fast: bool) {
        let text = text_delta(data).map(Cow::into_owned);
        assert_eq!(text.is_some(), is_fast, "{data}");
        if let Some(text) = text {
            let mut events = Vec::new();
            let event: MessageEventWire<'_> = serde_json::from_str(data).unwrap();
            assert_eq!(event.kind, "content_block_delta");
            let delta = event.delta.unwrap();
            BlockDecoder::new(IdGenerator::new(1)).add(delta, &mut events);
            assert_eq!(events, [StreamEvent::Text(text)]);
        }
    }

    #[test]
    fn plain_text_delta_takes_the_fast_path() {
        let delta = |text: &str| {
            format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":{text}}}}}"#
            )
        };
        check(&delta(r#"" token""#), true);
        check(&delta(r#""\"q\"\n\t\\ é😀""#), true);
        check(
            r#" { "delta" : { "text" : "a", "type" : "text_delta" }, "type" : "content_block_delta" } "#,
            true,
        );
        check(&delta(r#""\u00e9""#), false);
        check(&delta(r#""\ud83d""#), false);
        check(&delta("5"), false);
        check(
            r#"{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"a"}}"#,
            false,
        );
        check(r#"{"type":"content_block_delta","delta":{"text":"a"}}"#, false);
        check(r#"{"delta":{"type":"text_delta","text":"a"}}"#, false);
        check(
            r#"{"type":"content_block_delta","usage":{},"delta":{"type":"text_delta","text":"a"}}"#,
            false,
        );
        check(
            r#"{"type":"content_block_delta","type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}"#,
            false,
        );
    }
}
