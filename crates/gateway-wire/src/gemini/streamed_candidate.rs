//! A candidate of a streamed response, between one step and the next.

use super::{encode_response_notes::GroundingOutWire, finish_reason};
use crate::{MAX_ANSWER_BYTES, tool_arguments};
use gateway_core::{
    Content, Finish, Json, Opaque, Reasoning, Seal, StreamEvent, ToolCall, ToolCallDelta,
    compact_json,
};

/// The largest number of sources that are kept for the last step.
const MAX_NOTES: usize = 1024;

/// The state of a candidate, with the content that is to be written next.
#[derive(Debug, Default)]
pub(super) struct StreamedCandidate {
    pub(super) index: u32,
    /// The complete content, which is in the next step.
    pub(super) ready: Vec<Content>,
    /// The log probabilities of the next step.
    pub(super) logprobs: Vec<Json>,
    /// Calls that may still grow, by their index.
    calls: Vec<(u32, ToolCall)>,
    has_calls: bool,
    refused: bool,
    /// All text so far, if there are notes on it.
    text: String,
    notes: Vec<Json>,
    finish: Option<Finish>,
}

impl StreamedCandidate {
    pub(super) fn new(index: u32) -> Self {
        Self { index, ..Self::default() }
    }

    /// Takes an event in.
    pub(super) fn push(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Text(text) => {
                if self.text.len() + text.len() <= MAX_ANSWER_BYTES {
                    self.text.push_str(&text);
                }
                self.content(Content::Text(text));
            }
            StreamEvent::Refusal(text) => {
                self.refused = true;
                self.content(Content::Refusal(text));
            }
            StreamEvent::Reasoning(text) => {
                self.content(Content::Reasoning(Reasoning { text, seal: None }));
            }
            StreamEvent::Seal(seal) => self.seal(seal),
            StreamEvent::ToolCall(delta) => self.call(delta),
            StreamEvent::Opaque(opaque) => {
                // All in one line.
                let json = Json::parse(opaque.json.compact()).unwrap_or_else(|_| Json::null());
                self.content(Content::Opaque(Opaque { json, ..opaque }));
            }
            StreamEvent::Annotation(note) if self.notes.len() < MAX_NOTES => self.notes.push(note),
            StreamEvent::Logprobs(logprobs) => self.logprobs.push(logprobs),
            StreamEvent::Finished(finish) => {
                self.finish.get_or_insert(finish);
                self.flush(|_| true);
            }
            StreamEvent::Annotation(_)
            | StreamEvent::Started(_)
            | StreamEvent::Choice(_)
            | StreamEvent::Usage(_)
            | StreamEvent::Extra(..) => {}
        }
    }

    /// Ends the candidate.
    pub(super) fn end(&mut self) {
        self.flush(|_| true);
    }

    /// Forgets what was written.
    pub(super) fn clear(&mut self) {
        self.ready.clear();
        self.logprobs.clear();
    }

    /// Gemini's word for why the model stopped.
    pub(super) fn finish_reason(&self) -> &str {
        let finish = self.finish.as_ref();
        finish.map_or("STOP", |it| finish_reason::encode(it, self.refused, self.has_calls))
    }

    /// The sources of the text.
    pub(super) fn grounding(&self) -> Option<GroundingOutWire> {
        GroundingOutWire::of(&self.notes, &self.text)
    }

    fn content(&mut self, content: Content) {
        self.flush(is_complete);
        match (self.ready.last_mut(), content) {
            (Some(Content::Text(text)), Content::Text(more)) => text.push_str(&more),
            (
                Some(Content::Reasoning(Reasoning { text, seal: None })),
                Content::Reasoning(more),
            ) => text.push_str(&more.text),
            (_, content) => self.ready.push(content),
        }
    }

    fn seal(&mut self, seal: Seal) {
        if let Some(Content::Reasoning(Reasoning { seal: open @ None, .. })) = self.ready.last_mut()
        {
            *open = Some(seal);
        } else {
            self.content(Content::Reasoning(Reasoning { text: String::new(), seal: Some(seal) }));
        }
    }

    fn call(&mut self, delta: ToolCallDelta) {
        self.has_calls = true;
        let known = self.calls.iter_mut().find(|(index, _)| *index == delta.index);
        let Some((_, call)) = known else {
            let ToolCallDelta { index, id, name, arguments, custom, seal } = delta;
            self.calls.push((index, ToolCall { id, name, arguments, custom, seal }));
            return;
        };
        call.id.push_str(&delta.id);
        call.name.push_str(&delta.name);
        call.arguments.push_str(&delta.arguments);
        call.custom |= delta.custom;
        if delta.seal.is_some() {
            call.seal = delta.seal;
        }
    }

    /// Has those of the calls written that are `done`, and all before them.
    fn flush(&mut self, done: impl Fn(&ToolCall) -> bool) {
        let count = self.calls.iter().take_while(|(_, call)| done(call)).count();
        for (_, call) in self.calls.drain(..count) {
            let arguments = tool_arguments::arguments(&call.arguments, call.custom);
            let arguments = compact_json(arguments.get());
            self.ready.push(Content::ToolCall(ToolCall { arguments, custom: false, ..call }));
        }
    }
}

/// Returns whether a call is certain to grow no more.
fn is_complete(call: &ToolCall) -> bool {
    !call.custom && tool_arguments::as_object(&call.arguments).is_some()
}
