//! Streamed responses of an upstream.

use crate::{
    IdGenerator, StreamReader, json,
    responses::{
        annotations, decode_response,
        decode_response_items::{ItemTextSlot, OutputItemDecoder},
        decode_response_wire::ResponsesObjectWire,
        errors,
    },
    sse, unreadable,
};
use bytes::Bytes;
use gateway_core::{
    Chunk, Dialect, ErrorKind, GatewayError, Inspection, ProviderRequest, Result, Started,
    StreamEvent,
};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::LazyLock};

/// Reads a streamed response.
#[derive(Debug)]
pub(super) struct ResponsesStreamReader {
    /// The caller speaks this dialect too, and gets the bytes.
    relay: bool,
    inspection: Inspection,
    items: OutputItemDecoder,
    stage: ReadStage,
}

/// The progress of a response that is being read.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum ReadStage {
    Expected,
    Started,
    /// There is something that a caller can see.
    Shown,
    Complete,
}

/// The members of an event about the text of an item.
#[derive(Deserialize)]
struct TextEventWire<'a> {
    output_index: Option<u64>,
    content_index: Option<u64>,
    summary_index: Option<u64>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    logprobs: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
}

/// The members of an event about a whole response.
#[derive(Deserialize)]
struct ResponseEventWire<'a> {
    #[serde(borrow)]
    response: Option<ResponsesObjectWire<'a>>,
}

impl ResponsesStreamReader {
    pub(super) fn new(call: &ProviderRequest, ids: IdGenerator) -> Self {
        Self {
            relay: call.original(Dialect::Responses).is_some(),
            inspection: call.inspection,
            items: OutputItemDecoder::new(ids),
            stage: ReadStage::Expected,
        }
    }

    /// Passes `block` on without reading it, if it can hold nothing that matters.
    fn pass(&self, block: &Bytes) -> bool {
        self.relay
            && self.inspection == Inspection::UsageOnly
            && self.stage >= ReadStage::Shown
            && !matters(block)
            && sse::is_plain(block)
    }

    /// Reads one event. True if the caller is to get it.
    fn event(&mut self, event: &sse::SseEvent<'_>, events: &mut Vec<StreamEvent>) -> Result<bool> {
        let data = event.data.trim();
        if self.is_complete() || data.is_empty() || data == "[DONE]" {
            return Ok(false);
        }
        let kind = kind(event.name, data)?;
        match &*kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(data, events)?;
            }
            "response.completed" | "response.incomplete" | "response.cancelled" => {
                self.complete(data, events)?;
            }
            "response.failed" => return Err(decode_response::failure(&response(data)?)),
            "error" => return Err(errors::read_failure(data)),
            kind => {
                self.stage = self.stage.max(ReadStage::Shown);
                self.delta(kind, data, events)?;
            }
        }
        Ok(true)
    }

    fn start(&mut self, data: &str, events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.stage < ReadStage::Started {
            self.stage = ReadStage::Started;
            let response = response(data)?;
            let created = response.created();
            let started = Started { id: response.id, model: response.model, created };
            events.push(StreamEvent::Started(started));
        }
        Ok(())
    }

    /// Decodes an event about an item; unknown events are ignored.
    fn delta(&mut self, kind: &str, data: &str, events: &mut Vec<StreamEvent>) -> Result<()> {
        if !IS_READ.contains(&kind) {
            return Ok(());
        }
        let delta: TextEventWire<'_> = serde_json::from_str(data).map_err(unreadable)?;
        let at = delta.output_index.unwrap_or_else(|| self.items.last());
        let strand = match kind {
            "response.output_item.added" => {
                if let Some(item) = delta.item {
                    self.items.begin(at, item, events);
                }
                return Ok(());
            }
            "response.output_item.done" => {
                if let Some(item) = delta.item {
                    self.items.done(at, item, events);
                }
                return Ok(());
            }
            "response.output_text.annotation.added" => {
                if let Some(annotation) = delta.annotation {
                    self.items.note(at, annotation, events);
                }
                return Ok(());
            }
            "response.output_text.delta" => ItemTextSlot::Text,
            "response.refusal.delta" => ItemTextSlot::Refusal,
            "response.reasoning_summary_text.delta" => {
                ItemTextSlot::Summary(delta.summary_index.unwrap_or_default())
            }
            "response.reasoning_text.delta" | "response.reasoning.delta" => {
                ItemTextSlot::Thought(delta.content_index.unwrap_or_default())
            }
            _ => ItemTextSlot::Arguments,
        };
        let more = delta.delta.map(RawValue::get).filter(|delta| delta.starts_with('"'));
        // A delta may end in the middle of a character: what JSON cannot say is replaced.
        let more = more.map(json::unescape).unwrap_or_default().into_owned();
        self.items.more(at, strand, more, events);
        if strand == ItemTextSlot::Text {
            let logprobs = annotations::logprobs_to_chat(delta.logprobs);
            events.extend(logprobs.map(StreamEvent::Logprobs));
        }
        Ok(())
    }

    fn complete(&mut self, data: &str, events: &mut Vec<StreamEvent>) -> Result<()> {
        self.start(data, events)?;
        let mut response = response(data)?;
        let usage = response.counts();
        let finish = response.finish(response.has_calls() || self.items.has_calls());
        if !(self.relay && self.inspection == Inspection::UsageOnly) {
            for (at, item) in (0..).zip(response.output.iter().flatten()) {
                self.items.done(at, item, events);
            }
            for (name, value) in response.extra().iter() {
                events.push(StreamEvent::Extra(name.to_owned().into(), value.clone()));
            }
        }
        events.push(StreamEvent::Finished(finish));
        events.extend(usage.map(StreamEvent::Usage));
        self.stage = ReadStage::Complete;
        Ok(())
    }

    /// Leaves of a chunk whose bytes are passed on what was asked for.
    fn digest(&self, chunk: &mut Chunk) {
        if self.relay && self.inspection == Inspection::UsageOnly {
            chunk
                .events
                .retain(|it| matches!(it, StreamEvent::Finished(_) | StreamEvent::Usage(_)));
        }
    }
}

impl StreamReader for ResponsesStreamReader {
    fn read(&mut self, block: Bytes, chunk: &mut Chunk) -> Result<()> {
        if self.is_complete() {
            return Ok(());
        }
        if self.pass(&block) {
            *chunk = Chunk { verbatim: Some(block), output: true, ..Chunk::default() };
            return Ok(());
        }
        let mut outcome = Ok(());
        let mut is_plain = self.relay && sse::is_plain(&block);
        let mut written = Vec::new();
        for event in sse::events(&block) {
            let passed = self.event(&event, &mut chunk.events);
            let is_passed = matches!(passed, Ok(true));
            if self.relay && is_passed {
                let name = Some(event.name).filter(|name| !name.is_empty());
                sse::write(&mut written, name, &event.data);
            }
            is_plain &= is_passed;
            if let Err(error) = passed {
                outcome = Err(error);
                break;
            }
        }
        if self.relay && !written.is_empty() {
            chunk.verbatim = Some(if is_plain { block } else { written.into() });
            chunk.output = self.stage >= ReadStage::Shown;
            self.digest(chunk);
        } else {
            chunk.output = chunk.events.iter().any(StreamEvent::is_output);
        }
        outcome
    }

    fn end(&mut self, _: &mut Chunk) -> Result<()> {
        if self.is_complete() {
            return Ok(());
        }
        Err(GatewayError::new(
            ErrorKind::UpstreamTruncated,
            "the provider's response ended before it was complete",
        ))
    }

    fn is_finished(&self) -> bool {
        self.is_complete()
    }

    fn is_complete(&self) -> bool {
        self.stage == ReadStage::Complete
    }
}

/// The events about items that are read.
const IS_READ: [&str; 10] = [
    "response.output_text.annotation.added",
    "response.output_text.delta",
    "response.function_call_arguments.delta",
    "response.reasoning_summary_text.delta",
    "response.reasoning_text.delta",
    "response.reasoning.delta",
    "response.output_item.added",
    "response.output_item.done",
    "response.refusal.delta",
    "response.custom_tool_call_input.delta",
];

fn response(data: &str) -> Result<ResponsesObjectWire<'_>> {
    let whole: ResponseEventWire<'_> = serde_json::from_str(data).map_err(unreadable)?;
    Ok(whole.response.unwrap_or_default())
}

/// The type of an event: its SSE name, or else the `type` of its data.
fn kind<'a>(name: &'a str, data: &'a str) -> Result<Cow<'a, str>> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "type", borrow, default)]
        kind: Cow<'a, str>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    if name.starts_with("response.") || name == "error" {
        return Ok(Cow::Borrowed(name));
    }
    let Kind { kind, error } = serde_json::from_str(data).map_err(unreadable)?;
    Ok(if kind.is_empty() && error.is_some() { Cow::Borrowed("error") } else { kind })
}

/// Returns whether `block` may hold an event that ends the response.
///
/// Quotes within texts are escaped: what a model says cannot look like this.
fn matters(block: &[u8]) -> bool {
    static ENDS: LazyLock<[Finder<'static>; 6]> = LazyLock::new(|| {
        [
            "\"response.completed\"",
            "\"response.incomplete\"",
            "\"response.failed\"",
            "\"response.cancelled\"",
            "\"error\"",
            "event: error",
        ]
        .map(Finder::new)
    });
    ENDS.iter().any(|end| end.find(block).is_some())
}
