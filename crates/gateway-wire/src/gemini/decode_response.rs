//! Reading a response, whole or step by step: a whole response is one with a single step.

use super::{
    annotations,
    decode_response_wire::{
        CandidateWire, EnumWordWire, GeminiChunkWire, GeminiFunctionCallWire, GeminiLogprobsWire,
        GeminiPartWire, UsageMetadataWire, lenient,
    },
    errors::fault,
    finish_reason::{finish, native},
};
use crate::{IdGenerator, MAX_ANSWER_BYTES, unreadable};
use gateway_core::{
    Dialect, ErrorKind, Extra, FinishReason, GatewayError, Json, Opaque, Result, Seal, SealKind,
    Started, StreamEvent, ToolCallDelta, Usage, compact_json,
};
use serde_json::value::RawValue;

/// The largest number of candidates accepted in a response.
const MAX_CHOICES: u32 = 256;
/// The largest number of annotations kept per candidate.
const MAX_NOTES: usize = 1024;

/// The state of a response across chunks.
#[derive(Debug)]
pub(super) struct GeminiResponseDecoder {
    ids: IdGenerator,
    has_started: bool,
    /// The choice that the last event belongs to.
    current: u32,
    choices: Vec<GeminiChoiceState>,
    /// Why the prompt was refused.
    blocked: Option<String>,
    counts: UsageMetadataWire,
    told: Option<Usage>,
}

#[derive(Debug, Default)]
struct GeminiChoiceState {
    index: u32,
    calls: u32,
    /// All text so far, as notes refer to it.
    text: String,
    /// Annotations already emitted, which later chunks may repeat.
    notes: Vec<Json>,
    /// Gemini's word for why it stopped. If parts follow all the same, another word will.
    native: Option<String>,
    /// Something runs at the provider, whose outcome is still to come.
    is_waiting: bool,
}

impl GeminiResponseDecoder {
    pub(super) fn new(ids: IdGenerator) -> Self {
        Self {
            ids,
            has_started: false,
            current: 0,
            choices: Vec::new(),
            blocked: None,
            counts: UsageMetadataWire::default(),
            told: None,
        }
    }

    /// Returns whether nothing more is to be expected.
    pub(super) fn is_finished(&self) -> bool {
        self.has_end() && !self.choices.iter().any(|choice| choice.is_waiting)
    }

    /// Returns whether every choice has a reason for its end, or the prompt was refused.
    fn has_end(&self) -> bool {
        let all = self.choices.iter().all(|choice| choice.native.is_some());
        self.blocked.is_some() || (all && !self.choices.is_empty())
    }

    /// Takes one step in.
    ///
    /// # Errors
    ///
    /// If it cannot be read or reports a failure.
    pub(super) fn step(&mut self, json: &str, events: &mut Vec<StreamEvent>) -> Result<()> {
        let chunk: GeminiChunkWire<'_> = serde_json::from_str(json).map_err(unreadable)?;
        if let Some(error) = chunk.error {
            return Err(fault(error.get()).into_error());
        }
        if !self.has_started {
            self.has_started = true;
            let (id, model) = (chunk.response_id, chunk.model_version);
            events.push(StreamEvent::Started(Started { id, model, created: None }));
        }
        if let Some(word) = chunk.prompt_feedback.and_then(|feedback| feedback.block_reason) {
            self.blocked = native(word);
        }
        for (place, candidate) in (0..MAX_CHOICES).zip(chunk.candidates.unwrap_or_default()) {
            self.candidate(place, candidate, events)?;
        }
        if let Some(metadata) = chunk.usage_metadata {
            self.count(lenient(metadata), events);
        }
        Ok(())
    }

    /// Ends the response.
    ///
    /// # Errors
    ///
    /// If it lacks an end of its own.
    pub(super) fn end(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        if !self.has_end() {
            return Err(GatewayError::new(
                ErrorKind::UpstreamTruncated,
                "the provider's response ended before it was complete",
            ));
        }
        if self.choices.is_empty() {
            self.choices.push(GeminiChoiceState::default());
        }
        for choice in &mut self.choices {
            let mut end = match choice.native.take() {
                Some(native) => finish(Some(native), choice.calls > 0),
                None => FinishReason::ContentFilter.into(),
            };
            if end.native.is_none() {
                end.native.clone_from(&self.blocked);
            }
            switch_choice(choice.index, &mut self.current, events);
            events.push(StreamEvent::Finished(end));
        }
        Ok(())
    }

    /// Takes for finished what came whole and says nothing else.
    pub(super) fn is_whole(&mut self) {
        for choice in &mut self.choices {
            choice.native.get_or_insert_with(|| "STOP".to_owned());
        }
    }

    fn candidate(
        &mut self,
        place: u32,
        candidate: CandidateWire<'_>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<()> {
        let index = candidate.index.unwrap_or(place);
        if index >= MAX_CHOICES {
            return Ok(());
        }
        let at = self.choices.iter().position(|choice| choice.index == index);
        let at = at.unwrap_or_else(|| {
            self.choices.push(GeminiChoiceState { index, ..GeminiChoiceState::default() });
            self.choices.len() - 1
        });
        let Some(choice) = self.choices.get_mut(at) else { return Ok(()) };
        switch_choice(index, &mut self.current, events);
        for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
            choice.part(part, &mut self.ids, events)?;
        }
        if let Some(raw) = candidate.logprobs_result {
            let logprobs: GeminiLogprobsWire<'_> = lenient(raw);
            events.extend(annotations::logprobs(&logprobs).map(StreamEvent::Logprobs));
        }
        if let Some(raw) = candidate.grounding_metadata {
            choice.note(annotations::grounded(&lenient(raw), &choice.text), events);
        }
        if let Some(raw) = candidate.citation_metadata {
            choice.note(annotations::cited(&lenient(raw), &choice.text), events);
        }
        if let Some(word) = candidate.finish_reason {
            choice.stop(word);
        }
        Ok(())
    }

    /// Counts come with every step, each complete but for what it leaves out.
    fn count(&mut self, metadata: UsageMetadataWire, events: &mut Vec<StreamEvent>) {
        self.counts.merge(metadata);
        let usage = self.counts.usage();
        if self.told != Some(usage) {
            self.told = Some(usage);
            events.push(StreamEvent::Usage(usage));
        }
    }
}

impl GeminiChoiceState {
    fn part(
        &mut self,
        raw: &RawValue,
        ids: &mut IdGenerator,
        events: &mut Vec<StreamEvent>,
    ) -> Result<()> {
        let part: GeminiPartWire<'_> = serde_json::from_str(raw.get()).map_err(unreadable)?;
        let seal = part.thought_signature.map(|data| Seal {
            dialect: Dialect::Gemini,
            kind: SealKind::Signature,
            id: None,
            data,
        });
        if let Some(call) = part.function_call {
            self.call(call, seal, ids, events);
        } else if let Some(text) = part.text {
            self.text(text, part.thought == Some(true), events);
            events.extend(seal.map(StreamEvent::Seal));
        } else if let Some(kind) = kind(raw)? {
            self.go_on();
            self.is_waiting = matches!(kind.as_str(), "executableCode" | "toolCall");
            let opaque = Opaque { dialect: Dialect::Gemini, kind, json: raw.into() };
            events.push(StreamEvent::Opaque(opaque));
        } else {
            events.extend(seal.map(StreamEvent::Seal));
        }
        Ok(())
    }

    fn text(&mut self, text: String, is_thought: bool, events: &mut Vec<StreamEvent>) {
        if text.is_empty() {
            return;
        }
        self.go_on();
        if is_thought {
            events.push(StreamEvent::Reasoning(text));
        } else {
            if self.text.len() + text.len() <= MAX_ANSWER_BYTES {
                self.text.push_str(&text);
            }
            events.push(StreamEvent::Text(text));
        }
    }

    /// Emits a tool call, which Gemini always sends whole.
    fn call(
        &mut self,
        call: GeminiFunctionCallWire<'_>,
        seal: Option<Seal>,
        ids: &mut IdGenerator,
        events: &mut Vec<StreamEvent>,
    ) {
        self.go_on();
        let id = call.id.filter(|id| !id.is_empty());
        events.push(StreamEvent::ToolCall(ToolCallDelta {
            index: self.calls,
            id: id.unwrap_or_else(|| ids.next("call_")),
            name: call.name.unwrap_or_default(),
            arguments: call.args.map_or_else(|| "{}".to_owned(), |args| compact_json(args.get())),
            custom: false,
            seal,
        }));
        self.calls = self.calls.saturating_add(1);
    }

    fn note(&mut self, notes: Vec<Json>, events: &mut Vec<StreamEvent>) {
        for note in notes {
            if self.notes.len() < MAX_NOTES && !self.notes.contains(&note) {
                self.notes.push(note.clone());
                events.push(StreamEvent::Annotation(note));
            }
        }
    }

    /// There is more, whatever was said of an end.
    fn go_on(&mut self) {
        self.native = None;
        self.is_waiting = false;
    }

    fn stop(&mut self, word: EnumWordWire) {
        if let Some(native) = native(word) {
            self.native = Some(native);
        }
    }
}

fn switch_choice(index: u32, current: &mut u32, events: &mut Vec<StreamEvent>) {
    if *current != index {
        *current = index;
        events.push(StreamEvent::Choice(index));
    }
}

/// The content kind of a part that is neither text nor a call.
fn kind(part: &RawValue) -> Result<Option<String>> {
    let members: Extra = serde_json::from_str(part.get()).map_err(unreadable)?;
    let mut names = members.iter().map(|(name, _)| name);
    let kind = names.find(|name| !matches!(*name, "thought" | "thoughtSignature"));
    Ok(kind.map(str::to_owned))
}
