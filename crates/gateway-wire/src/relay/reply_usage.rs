//! Reads the usage of a reply that passes on while it arrives, in bounded memory.

use super::usage::ReplyWire;
use crate::json::{JsonOutline, OutlineStep};
use gateway_core::{ReplyUnit, Usage};
use memchr::memchr;

/// The longest outline that is kept, in bytes: the usage of a longer reply is not known.
const MAX_OUTLINE: usize = 1 << 20;
/// The name of the field of an event that holds its data.
const DATA: &[u8] = b"data:";

/// Reads the usage of a reply from its bytes, wherever the network cut them.
#[derive(Debug)]
pub struct ReplyUsageReader {
    unit: ReplyUnit,
    form: ReplyForm,
    /// The usage so far.
    usage: Option<Usage>,
}

#[derive(Debug)]
enum ReplyForm {
    /// A JSON document.
    Json(BoundedOutline),
    /// Server-sent events, with JSON in their data.
    Events(EventLine),
    /// Anything else, such as sound: it reports nothing.
    Opaque,
}

/// The part of an event's line that was read.
#[derive(Debug)]
enum EventLine {
    /// A field name; the number of its bytes that matched so far.
    Name(usize),
    /// A line of data.
    Data(BoundedOutline),
    /// A line of something else.
    Other,
}

/// The outline of a JSON document, as long as it is one and not too long.
#[derive(Debug)]
struct BoundedOutline(Option<JsonOutline>);

impl ReplyUsageReader {
    /// Creates a reader of a reply of type `content_type`, which is billed by `unit` where it reports
    /// no tokens.
    pub fn new(content_type: &str, unit: ReplyUnit) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let form = if kind == "text/event-stream" {
            ReplyForm::Events(EventLine::Name(0))
        } else if kind == "application/json" || kind.ends_with("+json") {
            ReplyForm::Json(BoundedOutline::new())
        } else {
            ReplyForm::Opaque
        };
        Self { unit, form, usage: None }
    }

    /// Reads the next bytes of the reply.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.form {
            ReplyForm::Json(outline) => outline.push(bytes),
            ReplyForm::Events(_) => self.push_events(bytes),
            ReplyForm::Opaque => {}
        }
    }

    /// Returns the usage of the reply, which has ended; `None` if it reports none.
    pub fn finish(mut self) -> Option<Usage> {
        match std::mem::replace(&mut self.form, ReplyForm::Opaque) {
            // The last line of data may lack its end.
            ReplyForm::Json(outline) | ReplyForm::Events(EventLine::Data(outline)) => {
                self.add(outline);
            }
            ReplyForm::Events(_) | ReplyForm::Opaque => {}
        }
        self.usage
    }

    fn push_events(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let end = memchr(b'\n', bytes);
            let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            let ReplyForm::Events(state) = &mut self.form else { return };
            state.push(line);
            let Some((_, rest)) = rest.split_first() else { return };
            bytes = rest;
            if let EventLine::Data(outline) = std::mem::replace(state, EventLine::Name(0)) {
                self.add(outline);
            }
        }
    }

    /// Takes in the usage of a document. Later counts are of the whole reply, and replace earlier
    /// ones; images are of one event each.
    fn add(&mut self, outline: BoundedOutline) {
        let Some(text) = outline.finish() else { return };
        let Some(wire) = serde_json::from_slice::<ReplyWire>(&text).ok() else { return };
        let Some(mut found) = wire.read(self.unit) else { return };
        if let Some(before) = &self.usage {
            found.units.images = found.units.images.saturating_add(before.units.images);
            // The first event of some streams has the input, the last one the output.
            if found.prompt() == 0 {
                found.input = before.input;
                (found.cache_read, found.cache_write) = (before.cache_read, before.cache_write);
            }
        }
        self.usage = Some(found);
    }
}

impl EventLine {
    /// Reads a part of a line.
    fn push(&mut self, mut bytes: &[u8]) {
        if let Self::Name(read) = *self {
            let missing = DATA.get(read..).unwrap_or_default();
            let length = missing.len().min(bytes.len());
            let (name, rest) = bytes.split_at(length);
            *self = match missing.strip_prefix(name) {
                None => Self::Other,
                Some([]) => Self::Data(BoundedOutline::new()),
                Some(_) => Self::Name(read + length),
            };
            bytes = rest;
        }
        if let Self::Data(outline) = self {
            outline.push(bytes);
        }
    }
}

impl BoundedOutline {
    fn new() -> Self {
        Self(Some(JsonOutline::default()))
    }

    fn push(&mut self, mut bytes: &[u8]) {
        while let Some(outline) = &mut self.0
            && !bytes.is_empty()
        {
            let Ok((read, step)) = outline.read(bytes) else { return self.0 = None };
            if step == OutlineStep::LongString {
                outline.leave_out("");
            }
            if outline.text().len() > MAX_OUTLINE {
                self.0 = None;
            }
            bytes = bytes.get(read..).unwrap_or_default();
        }
    }

    fn finish(self) -> Option<Vec<u8>> {
        self.0?.finish().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::BilledUnits;
    use serde_json::json;

    /// The usage of a reply, the same wherever it is cut.
    #[track_caller]
    fn check(content_type: &str, unit: ReplyUnit, reply: &[u8], expected: Option<Usage>) {
        for size in [1, 3, 1000, reply.len()] {
            let mut reader = ReplyUsageReader::new(content_type, unit);
            reply.chunks(size.max(1)).for_each(|piece| reader.push(piece));
            assert_eq!(reader.finish(), expected, "{size}");
        }
    }

    fn tokens(input: u64, output: u64) -> Usage {
        Usage { input, output, ..Usage::default() }
    }

    #[test]
    fn usage_behind_a_large_image_is_found() {
        let image = "A".repeat(300 << 10);
        let usage = json!({ "input_tokens": 5, "output_tokens": 9 });
        let reply = json!({ "data": [{ "b64_json": image }], "usage": usage }).to_string();
        check("application/json", ReplyUnit::Image, reply.as_bytes(), Some(tokens(5, 9)));
        let reply = json!({ "data": [{ "b64_json": image }, {}] }).to_string();
        let units = BilledUnits { images: 2, ..BilledUnits::NONE };
        let expected = Some(Usage { units, ..Usage::default() });
        check("Application/JSON; charset=utf-8", ReplyUnit::Image, reply.as_bytes(), expected);
    }

    #[test]
    fn usage_of_events_is_that_of_the_last_one() {
        let stream = b"event: a\r\ndata: {\"type\":\"speech.audio.delta\",\"audio\":\"x\"}\r\n\r\n: c\n\
            data:{\"type\":\"done\",\"usage\":{\"input_tokens\":5,\"output_tokens\":9}}\n\ndata: [DONE]\n\n";
        check("text/event-stream", ReplyUnit::Request, stream, Some(tokens(5, 9)));
        let unended = stream.strip_suffix(b"\n\ndata: [DONE]\n\n").unwrap();
        check("text/event-stream", ReplyUnit::Request, unended, Some(tokens(5, 9)));
        let messages =
            b"data: {\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n\
            data: {\"usage\":{\"output_tokens\":9}}\n\n";
        check("text/event-stream", ReplyUnit::Request, messages, Some(tokens(5, 9)));
    }

    #[test]
    fn images_of_events_are_counted() {
        let event = b"data: {\"type\":\"image_generation.completed\",\"b64_json\":\"x\"}\n\n";
        let units = BilledUnits { images: 2, ..BilledUnits::NONE };
        let expected = Some(Usage { units, ..Usage::default() });
        check("text/event-stream", ReplyUnit::Image, &event.repeat(2), expected);
    }

    #[test]
    fn reply_that_cannot_be_read_reports_nothing() {
        for reply in [&b"{\"usage\":"[..], b"RIFF", b"\xff\xfe", b"", b"[1]", b"{}"] {
            check("application/json", ReplyUnit::Image, reply, None);
        }
        check("audio/mpeg", ReplyUnit::Request, b"{\"usage\":{\"input_tokens\":5}}", None);
        let long = format!("[{}]", "1,".repeat(MAX_OUTLINE));
        let mut reader = ReplyUsageReader::new("application/json", ReplyUnit::Request);
        reader.push(long.as_bytes());
        assert_eq!(reader.finish(), None);
    }
}
