//! Decodes the output items of a response.
//!
//! Whole responses and streams follow the same rules: a completed item is compared with what its
//! deltas emitted, and only the rest is emitted. A whole response is one without deltas, and an
//! upstream that leaves deltas out loses nothing.

use crate::json::lenient::LossyString;
use crate::{
    IdGenerator,
    responses::{
        annotations,
        decode_response_wire::{is_call, kind_of},
    },
};
use gateway_core::{Dialect, Opaque, Seal, SealKind, StreamEvent, ToolCallDelta};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The text of an item that a delta extends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ItemTextSlot {
    Text,
    Refusal,
    Arguments,
    /// Thinking: a part of the summary, or of the thinking itself.
    Summary(u64),
    Thought(u64),
}

/// The portion of an item that was already emitted.
#[derive(Debug, Default)]
struct ItemProgress {
    at: u64,
    text: usize,
    refusal: usize,
    arguments: usize,
    thinking: usize,
    /// The summary part whose text was emitted last.
    part: Option<ItemTextSlot>,
    annotations: usize,
    /// Its number among the calls.
    call: Option<u32>,
    done: bool,
}

impl ItemProgress {
    /// Returns whether any of the item was emitted.
    const fn is_begun(&self) -> bool {
        self.text + self.refusal + self.arguments + self.thinking > 0 || self.call.is_some()
    }
}

/// The decoder of output items, which emits each piece of an item once.
#[derive(Debug)]
pub(super) struct OutputItemDecoder {
    told: Vec<ItemProgress>,
    calls: u32,
    ids: IdGenerator,
}

impl OutputItemDecoder {
    pub(super) const fn new(ids: IdGenerator) -> Self {
        Self { told: Vec::new(), calls: 0, ids }
    }

    fn item_progress(&mut self, at: u64) -> &mut ItemProgress {
        let known = self.told.iter().rposition(|told| told.at == at);
        let known = known.unwrap_or_else(|| {
            self.told.push(ItemProgress { at, ..ItemProgress::default() });
            self.told.len() - 1
        });
        // Either found or just added.
        #[expect(clippy::indexing_slicing, reason = "found or just added")]
        &mut self.told[known]
    }

    /// The item that began last: where events that do not say so belong.
    pub(super) fn last(&self) -> u64 {
        self.told.last().map_or(0, |told| told.at)
    }

    /// Handles the start of an item.
    pub(super) fn begin(&mut self, at: u64, item: &RawValue, events: &mut Vec<StreamEvent>) {
        self.item_progress(at);
        if kind_of(item).is_some_and(|kind| is_call(&kind))
            && let Ok(call) = serde_json::from_str::<ResponsesCallWire>(item.get())
            && call.namespace.is_none()
        {
            self.begin_call(at, &call, events);
        }
    }

    /// More of an item.
    pub(super) fn more(
        &mut self,
        at: u64,
        strand: ItemTextSlot,
        more: String,
        events: &mut Vec<StreamEvent>,
    ) {
        let told = self.item_progress(at);
        if more.is_empty() || told.done {
            return;
        }
        match strand {
            ItemTextSlot::Text => {
                told.text += more.len();
                events.push(StreamEvent::Text(more));
            }
            ItemTextSlot::Refusal => {
                told.refusal += more.len();
                events.push(StreamEvent::Refusal(more));
            }
            ItemTextSlot::Arguments => {
                // Of a call that did not begin, all is told when it is done.
                let Some(index) = told.call else { return };
                told.arguments += more.len();
                let delta = ToolCallDelta { index, arguments: more, ..ToolCallDelta::default() };
                events.push(StreamEvent::ToolCall(delta));
            }
            ItemTextSlot::Summary(_) | ItemTextSlot::Thought(_) => {
                let more = if told.thinking > 0 && told.part != Some(strand) {
                    format!("{GAP}{more}")
                } else {
                    more
                };
                told.part = Some(strand);
                told.thinking += more.len();
                events.push(StreamEvent::Reasoning(more));
            }
        }
    }

    /// A note on the text of an item.
    pub(super) fn note(&mut self, at: u64, note: &RawValue, events: &mut Vec<StreamEvent>) {
        self.item_progress(at).annotations += 1;
        events.push(StreamEvent::Annotation(annotations::to_chat(note)));
    }

    /// Handles a completed item: emits what its deltas did not. A repeated call emits nothing.
    pub(super) fn done(&mut self, at: u64, item: &RawValue, events: &mut Vec<StreamEvent>) {
        if self.item_progress(at).done {
            return;
        }
        let Some(kind) = kind_of(item) else { return };
        let text = item.get();
        let read = match &*kind {
            "message" => self.done_message(at, text, events),
            "reasoning" => self.done_reasoning(at, text, events),
            kind if is_call(kind) => self.done_call(at, text, events),
            _ => None,
        };
        let told = self.item_progress(at);
        told.done = true;
        if read.is_none() && !told.is_begun() {
            let (dialect, kind) = (Dialect::Responses, kind.into_owned());
            events.push(StreamEvent::Opaque(Opaque { dialect, kind, json: item.into() }));
        }
    }

    fn done_message(&mut self, at: u64, item: &str, events: &mut Vec<StreamEvent>) -> Option<()> {
        let message: OutputMessageWire<'_> = serde_json::from_str(item).ok()?;
        let (mut texts, mut refusals, mut noted) = (0, 0, 0);
        for part in message.content.unwrap_or_default() {
            let LossyString(text) = part.text.unwrap_or_default();
            let fresh = rest(&text, self.item_progress(at).text.saturating_sub(texts));
            let is_whole = fresh.len() == text.len();
            texts += text.len();
            if !fresh.is_empty() {
                self.more(at, ItemTextSlot::Text, fresh.to_owned(), events);
                let logprobs = annotations::logprobs_to_chat(part.logprobs.filter(|_| is_whole));
                events.extend(logprobs.map(StreamEvent::Logprobs));
            }
            let LossyString(refusal) = part.refusal.unwrap_or_default();
            let fresh =
                rest(&refusal, self.item_progress(at).refusal.saturating_sub(refusals)).to_owned();
            refusals += refusal.len();
            self.more(at, ItemTextSlot::Refusal, fresh, events);
            for note in part.annotations.unwrap_or_default() {
                noted += 1;
                if noted > self.item_progress(at).annotations {
                    self.note(at, note, events);
                }
            }
        }
        Some(())
    }

    fn done_reasoning(&mut self, at: u64, item: &str, events: &mut Vec<StreamEvent>) -> Option<()> {
        let reasoning: ReasoningItemWire = serde_json::from_str(item).ok()?;
        let texts = reasoning.summary.into_iter().chain(reasoning.content).flatten();
        let texts: Vec<_> = texts.map(|part| part.text.0).filter(|text| !text.is_empty()).collect();
        let whole = texts.join(GAP);
        let told = self.item_progress(at);
        let fresh = rest(&whole, told.thinking);
        if !fresh.is_empty() {
            told.thinking = whole.len();
            events.push(StreamEvent::Reasoning(fresh.to_owned()));
        }
        if let Some(data) = reasoning.encrypted_content.filter(|data| !data.is_empty()) {
            let (dialect, kind) = (Dialect::Responses, SealKind::Encrypted);
            events.push(StreamEvent::Seal(Seal { dialect, kind, id: reasoning.id, data }));
        }
        Some(())
    }

    /// Nothing for a call of a tool in a group: a name alone would not say which tool is meant.
    fn done_call(&mut self, at: u64, item: &str, events: &mut Vec<StreamEvent>) -> Option<()> {
        let call: ResponsesCallWire = serde_json::from_str(item).ok()?;
        if call.namespace.is_some() {
            return None;
        }
        if self.item_progress(at).call.is_none() {
            self.begin_call(at, &call, events);
        } else {
            let told = self.item_progress(at).arguments;
            self.more(at, ItemTextSlot::Arguments, rest(call.text(), told).to_owned(), events);
        }
        Some(())
    }

    fn begin_call(&mut self, at: u64, call: &ResponsesCallWire, events: &mut Vec<StreamEvent>) {
        let index = self.calls;
        self.calls += 1;
        let named = call.call_id.clone().or_else(|| call.id.clone()).filter(|id| !id.is_empty());
        let id = named.unwrap_or_else(|| self.ids.next("call_"));
        let told = self.item_progress(at);
        told.call = Some(index);
        told.arguments = call.text().len();
        events.push(StreamEvent::ToolCall(ToolCallDelta {
            index,
            id,
            name: call.name.clone(),
            arguments: call.text().to_owned(),
            custom: call.kind == "custom_tool_call",
            seal: None,
        }));
    }

    pub(super) const fn has_calls(&self) -> bool {
        self.calls > 0
    }
}

/// The separator between two summary parts.
pub(super) const GAP: &str = "\n\n";

/// The rest of `whole` after the bytes that were emitted already.
fn rest(whole: &str, told: usize) -> &str {
    whole.get(told..).unwrap_or_default()
}

#[derive(Deserialize)]
struct OutputMessageWire<'a> {
    #[serde(borrow)]
    content: Option<Vec<OutputPieceWire<'a>>>,
}

#[derive(Deserialize)]
struct OutputPieceWire<'a> {
    text: Option<LossyString>,
    refusal: Option<LossyString>,
    #[serde(borrow)]
    annotations: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    logprobs: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct ReasoningItemWire {
    id: Option<String>,
    summary: Option<Vec<ReasoningTextWire>>,
    content: Option<Vec<ReasoningTextWire>>,
    encrypted_content: Option<String>,
}

#[derive(Deserialize)]
struct ReasoningTextWire {
    #[serde(default)]
    text: LossyString,
}

#[derive(Deserialize)]
struct ResponsesCallWire {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    call_id: Option<String>,
    #[serde(default)]
    name: String,
    arguments: Option<LossyString>,
    input: Option<LossyString>,
    /// The group of tools among which the name is unique.
    namespace: Option<String>,
}

impl ResponsesCallWire {
    fn text(&self) -> &str {
        self.arguments.as_ref().or(self.input.as_ref()).map_or("", |text| &text.0)
    }
}
