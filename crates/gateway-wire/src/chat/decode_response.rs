//! From responses of upstreams to events.

use super::{
    decode_request_messages::GoogleExtraContentWire,
    decode_response_wire::{
        ChatCallDeltaWire, ChatChoiceWire, ChatCustomDeltaWire, ChatDeltaWire,
        ChatFunctionDeltaWire, ChatResponseWire,
    },
    errors, finish_reason,
    reasoning_details::ReasoningDetails,
    tool_call_slots::ToolCallSlots,
};
use crate::json::lenient::LossyText;
use crate::token_count::{LenientCount, ServedTier};
use crate::{IdGenerator, unreadable};
use gateway_core::{
    Dialect, ErrorKind, Finish, FinishReason, GatewayError, Json, Opaque, Result, Started,
    StreamEvent, ToolCallDelta,
};
use serde_json::value::RawValue;

/// Reads a response, in one piece or in many.
#[derive(Debug)]
pub(super) struct ChatResponseDecoder {
    ids: IdGenerator,
    /// The response comes in one piece.
    whole: bool,
    started: bool,
    /// The choice of the last event.
    current: usize,
    choices: Vec<ChatChoiceState>,
    service_tier: String,
    system_fingerprint: String,
}

/// The state of one choice across chunks.
#[derive(Debug, Default)]
struct ChatChoiceState {
    started: bool,
    finished: bool,
    calls: ToolCallSlots,
    details: ReasoningDetails,
}

/// More choices than any upstream gives.
const MAX_CHOICES: u64 = 256;

impl ChatResponseDecoder {
    /// Creates a decoder for a streamed response.
    pub(super) const fn chunks(ids: IdGenerator) -> Self {
        Self {
            ids,
            whole: false,
            started: false,
            current: 0,
            choices: Vec::new(),
            service_tier: String::new(),
            system_fingerprint: String::new(),
        }
    }

    /// Reads a response in one piece.
    pub(super) fn whole(ids: IdGenerator) -> Self {
        Self { whole: true, ..Self::chunks(ids) }
    }

    /// Returns whether every choice that began has finished, and at least `expected` have.
    pub(super) fn is_finished(&self, expected: usize) -> bool {
        let done = self.choices.iter().filter(|it| it.finished).count();
        let open = self.choices.iter().any(|it| it.started && !it.finished);
        done >= expected.max(1) && !open
    }

    /// Reads one JSON text.
    ///
    /// # Errors
    ///
    /// If it is an error, or cannot be read. What it says besides is then lost.
    pub(super) fn read(&mut self, json: &str, events: &mut Vec<StreamEvent>) -> Result<()> {
        let answer: ChatResponseWire<'_> = serde_json::from_str(json).map_err(|error| {
            // Not the error itself, which may quote the response.
            unreadable(format!("{:?} error at character {}", error.classify(), error.column()))
        })?;
        if let Some(error) = answer.error {
            return Err(errors::in_answer(error));
        }
        let choices = answer.choices.unwrap_or_default();
        if self.whole && choices.is_empty() {
            return Err(unreadable("neither choices nor an error"));
        }
        if !self.started && !choices.is_empty() {
            self.started = true;
            let known = |text: Option<LossyText<'_>>| {
                text.map(LossyText::into_string).filter(|text| !text.is_empty())
            };
            events.push(StreamEvent::Started(Started {
                id: known(answer.id.0),
                model: known(answer.model.0),
                created: answer.created.0.and_then(LenientCount::number).filter(|at| *at > 0),
            }));
        }
        note("service_tier", answer.service_tier, &mut self.service_tier, events);
        note("system_fingerprint", answer.system_fingerprint, &mut self.system_fingerprint, events);
        for choice in choices {
            self.choice(choice, events)?;
        }
        let tier = ServedTier::read(&self.service_tier);
        events.extend(answer.usage.0.and_then(|it| it.read(tier)).map(StreamEvent::Usage));
        Ok(())
    }

    fn choice(&mut self, choice: ChatChoiceWire<'_>, events: &mut Vec<StreamEvent>) -> Result<()> {
        let index = choice.index.map(LenientCount::or_zero).unwrap_or_default();
        if index >= MAX_CHOICES {
            return Err(unreadable("invalid choice index"));
        }
        let at = usize::try_from(index).unwrap_or_default();
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, ChatChoiceState::default);
        }
        let Some(state) = self.choices.get_mut(at) else { return Ok(()) };
        state.started = true;
        let begin = events.len();
        let mut called = false;
        // Some send both, of which one is the shell of the other.
        let ChatChoiceWire { delta, message, .. } = choice;
        let said = if self.whole { message.or(delta) } else { delta.or(message) };
        if let Some(delta) = said {
            called = delta.tool_calls.is_some() || delta.function_call.is_some();
            let mut reader =
                ChatDeltaDecoder { state, ids: &mut self.ids, whole: self.whole, events };
            reader.delta(delta)?;
        }
        events.extend(choice.logprobs.map(|raw| StreamEvent::Logprobs(raw.into())));
        let finish = match choice.finish_reason {
            Some(word) => Some(finish_reason::read(&word.0)?),
            None if self.whole && called => Some(FinishReason::ToolCalls.into()),
            None if self.whole => Some(Finish::default()),
            None => None,
        };
        if let Some(mut finish) = finish.filter(|_| !state.finished) {
            // Whoever was made to call a tool says "stop" and waits all the same.
            if finish.reason == FinishReason::Stop && !state.calls.is_empty() {
                finish.native.get_or_insert_with(|| "stop".to_owned());
                finish.reason = FinishReason::ToolCalls;
            }
            events.extend(state.details.seal().map(StreamEvent::Seal));
            state.finished = true;
            events.push(StreamEvent::Finished(finish));
        }
        if at != self.current && events.len() > begin {
            self.current = at;
            events.insert(begin, StreamEvent::Choice(u32::try_from(at).unwrap_or_default()));
        }
        Ok(())
    }

    /// Returns whether the response may end here.
    pub(super) fn end(&self, expected: usize) -> Result<()> {
        if self.is_finished(expected) {
            return Ok(());
        }
        Err(truncated())
    }
}

/// The error of a response that was not complete.
pub(super) fn truncated() -> GatewayError {
    let message = "the provider's response ended before it was complete";
    GatewayError::new(ErrorKind::UpstreamTruncated, message)
}

/// Emits a metadata event at its first occurrence only.
fn note(
    name: &'static str,
    raw: Option<&RawValue>,
    told: &mut String,
    events: &mut Vec<StreamEvent>,
) {
    if let Some(raw) = raw.filter(|raw| raw.get() != told) {
        raw.get().clone_into(told);
        events.push(StreamEvent::Extra(name.into(), raw.into()));
    }
}

/// Reads one delta into the events of its choice.
struct ChatDeltaDecoder<'s> {
    state: &'s mut ChatChoiceState,
    ids: &'s mut IdGenerator,
    whole: bool,
    events: &'s mut Vec<StreamEvent>,
}

impl ChatDeltaDecoder<'_> {
    fn delta(&mut self, delta: ChatDeltaWire<'_>) -> Result<()> {
        self.text(delta.reasoning_content.or(delta.reasoning.0), StreamEvent::Reasoning);
        if let Some(raw) = delta.reasoning_details {
            self.state.details.push(raw, self.whole);
        }
        self.text(delta.content, StreamEvent::Text);
        self.text(delta.refusal, StreamEvent::Refusal);
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(call)?;
        }
        if let Some(function) = delta.function_call {
            self.function(function)?;
        }
        let notes = delta.annotations.unwrap_or_default();
        let citations = notes.into_iter().filter(|raw| raw.get().contains("\"url_citation\""));
        self.events.extend(citations.map(|raw| StreamEvent::Annotation(raw.into())));
        for (kind, raw) in [("audio", delta.audio), ("images", delta.images)] {
            let opaque = |raw: &RawValue| Opaque {
                dialect: Dialect::Chat,
                kind: kind.to_owned(),
                json: Json::from(raw),
            };
            self.events.extend(raw.map(opaque).map(StreamEvent::Opaque));
        }
        Ok(())
    }

    fn text(&mut self, text: Option<LossyText<'_>>, event: fn(String) -> StreamEvent) {
        let text = text.filter(|text| !text.0.is_empty());
        self.events.extend(text.map(|text| event(text.into_string())));
    }

    fn call(&mut self, call: ChatCallDeltaWire<'_>) -> Result<()> {
        let id = call.id.unwrap_or_default().0;
        let index = call.index.map(LenientCount::or_zero);
        let custom = call.custom.is_some();
        let (name, arguments) = match (call.function, call.custom) {
            (_, Some(ChatCustomDeltaWire { name, input })) => (name, input.unwrap_or_default()),
            (Some(function), None) => (function.name.clone(), function.spelled()),
            (None, None) => (None, LossyText::default()),
        };
        let name = name.unwrap_or_default().0;
        let place = if self.whole {
            self.state.calls.begin(index, &id)
        } else {
            self.state.calls.place(index, &id, &name)
        };
        let place = place.ok_or_else(|| unreadable("too many tool calls"))?;
        let seal = call.extra_content.0.and_then(GoogleExtraContentWire::seal);
        if !place.begins && !place.wants_name && arguments.0.is_empty() && seal.is_none() {
            return Ok(());
        }
        let id = match id {
            id if !place.begins => {
                drop(id);
                String::new()
            }
            id if id.is_empty() => self.ids.next("call_"),
            id => id.into_owned(),
        };
        self.events.push(StreamEvent::ToolCall(ToolCallDelta {
            index: place.at,
            id,
            name: if place.wants_name { name.into_owned() } else { String::new() },
            arguments: arguments.into_string(),
            custom: custom && place.begins,
            seal,
        }));
        Ok(())
    }

    /// The legacy spelling: one call, without a number and without an id.
    fn function(&mut self, function: ChatFunctionDeltaWire<'_>) -> Result<()> {
        self.call(ChatCallDeltaWire { function: Some(function), ..ChatCallDeltaWire::default() })
    }
}
