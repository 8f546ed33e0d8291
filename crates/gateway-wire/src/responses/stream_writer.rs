//! Responses to callers, streamed and whole.

use crate::json::lazy_object::LazyObject;
use crate::{
    ResponseContext, StreamWriter,
    responses::{
        annotations,
        encode_response::{ResponseFacts, ResponseObjectWire, ResponseStage, object, request},
        errors::ResponseFailureWire,
        stored_response,
        stream_writer_events::EventEmitter,
        stream_writer_items::OutputBuilder,
    },
};
use bytes::Bytes;
use gateway_core::{ChatResponse, Chunk, GatewayError, Started, StreamEvent};
use serde::Serialize;

/// Writes a streamed response.
#[derive(Debug)]
pub(super) struct ResponsesStreamWriter {
    reply: ResponseContext,
    about: ResponseFacts,
    output: OutputBuilder,
    /// The number of the next event.
    next: u64,
    has_begun: bool,
    is_over: bool,
    /// Steps belong to the response that callers of this dialect get: the first.
    is_first_choice: bool,
    /// The first and the last bytes that were passed on: where to take up the thread if they fail.
    passed: Option<(Bytes, Bytes)>,
}

/// An event about the whole response.
#[derive(Serialize)]
struct ResponseEventOutWire<T> {
    response: T,
}

/// Writes a whole response.
pub(super) fn write_whole(answer: ChatResponse, reply: ResponseContext) -> Vec<u8> {
    let mut writer = ResponsesStreamWriter::new(reply);
    for step in answer.into_events() {
        writer.step(step, &mut None);
    }
    writer.output.finish(writer.about.cut().is_some(), &mut discarding_emitter(&mut 0));
    serde_json::to_vec(&writer.object(ResponseStage::Ended)).unwrap_or_default()
}

/// The response object of a response that has no output: not yet, or never.
///
/// `id` is the response's name, from when it was accepted.
pub fn response_object(id: &str, reply: ResponseContext, stage: ResponseStage<'_>) -> Vec<u8> {
    let mut writer = ResponsesStreamWriter::new(reply);
    id.clone_into(&mut writer.about.id);
    serde_json::to_vec(&writer.object(stage)).unwrap_or_default()
}

/// An emitter that only counts events.
const fn discarding_emitter(next: &mut u64) -> EventEmitter<'_> {
    EventEmitter { out: None, next }
}

impl ResponsesStreamWriter {
    pub(super) fn new(mut reply: ResponseContext) -> Self {
        let about = ResponseFacts {
            id: reply.ids.next("resp_"),
            model: reply.model.clone(),
            created: reply.created,
            completed: reply.created,
            ..ResponseFacts::default()
        };
        Self {
            output: OutputBuilder::new(reply.ids.clone()),
            reply,
            about,
            next: 0,
            has_begun: false,
            is_over: false,
            is_first_choice: true,
            passed: None,
        }
    }

    fn object<'a>(&'a self, stage: ResponseStage<'a>) -> ResponseObjectWire<'a> {
        object(&self.about, request(&self.reply), self.output.items(), stage)
    }

    /// Writes an event about the whole response.
    fn write_event(&mut self, kind: &str, stage: ResponseStage<'_>, out: &mut Vec<u8>) {
        let mut next = self.next;
        let response = self.object(stage);
        EventEmitter { out: Some(out), next: &mut next }
            .event(kind, ResponseEventOutWire { response });
        self.next = next;
    }

    /// Writes how the response begins, once.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.has_begun {
            self.has_begun = true;
            self.write_event("response.created", ResponseStage::InProgress, out);
            self.write_event("response.in_progress", ResponseStage::InProgress, out);
        }
    }

    /// Applies one event; writes the resulting stream events if `out` is given.
    fn step(&mut self, step: StreamEvent, out: &mut Option<&mut Vec<u8>>) {
        match step {
            StreamEvent::Started(started) => return self.start(started),
            StreamEvent::Choice(index) => self.is_first_choice = index == 0,
            StreamEvent::Usage(usage) => self.about.usage = Some(usage),
            StreamEvent::Extra(name, value) if name == "service_tier" => {
                self.about.service_tier = Some(value);
            }
            StreamEvent::Extra(..) => {}
            StreamEvent::Finished(finish) if self.is_first_choice => {
                self.about.finish.get_or_insert(finish);
            }
            step if self.is_first_choice => {
                if let Some(out) = out {
                    self.begin(out);
                }
                let mut emit = EventEmitter { out: out.as_deref_mut(), next: &mut self.next };
                output_step(&mut self.output, step, &mut emit);
            }
            StreamEvent::Finished(_)
            | StreamEvent::Text(_)
            | StreamEvent::Refusal(_)
            | StreamEvent::Reasoning(_)
            | StreamEvent::Seal(_)
            | StreamEvent::ToolCall(_)
            | StreamEvent::Annotation(_)
            | StreamEvent::Logprobs(_)
            | StreamEvent::Opaque(_) => {}
        }
        if let Some(out) = out {
            self.begin(out);
        }
    }

    /// Takes in steps that arrived together: log probabilities go out with their text.
    fn steps(&mut self, steps: Vec<StreamEvent>, out: &mut Vec<u8>) {
        let mut steps = steps.into_iter().peekable();
        while let Some(step) = steps.next() {
            if let (StreamEvent::Text(text), Some(StreamEvent::Logprobs(logprobs)), true) =
                (&step, steps.peek(), self.is_first_choice)
            {
                let logprobs = annotations::logprobs_from_chat(logprobs);
                self.begin(out);
                let mut emit = EventEmitter { out: Some(out), next: &mut self.next };
                self.output.text(text, false, logprobs, &mut emit);
                steps.next();
            } else {
                self.step(step, &mut Some(&mut *out));
            }
        }
    }

    fn start(&mut self, started: Started) {
        if self.has_begun {
            return;
        }
        if let Some(id) = started.id.filter(|id| id.starts_with("resp_")) {
            self.about.id = id;
        }
        if let Some(model) = started.model.filter(|model| !model.is_empty()) {
            self.about.model = model;
        }
        self.about.created = started.created.unwrap_or(self.about.created);
    }

    /// Remembers what is passed on.
    fn pass_on(&mut self, block: &Bytes) {
        match &mut self.passed {
            Some((_, last)) => *last = block.clone(),
            passed @ None => *passed = Some((block.clone(), block.clone())),
        }
    }
}

/// A step that shows in the output.
fn output_step(output: &mut OutputBuilder, step: StreamEvent, emit: &mut EventEmitter<'_>) {
    match step {
        StreamEvent::Text(text) => output.text(&text, false, Vec::new(), emit),
        StreamEvent::Refusal(text) => output.text(&text, true, Vec::new(), emit),
        StreamEvent::Reasoning(text) => output.thinking(&text, emit),
        StreamEvent::Seal(seal) => output.seal(&seal, emit),
        StreamEvent::ToolCall(delta) => output.call(delta, emit),
        StreamEvent::Annotation(note) => output.annotation(&note, emit),
        StreamEvent::Logprobs(logprobs) => {
            output.late_logprobs(annotations::logprobs_from_chat(&logprobs), emit);
        }
        StreamEvent::Opaque(opaque) => output.opaque(opaque, emit),
        StreamEvent::Started(_)
        | StreamEvent::Choice(_)
        | StreamEvent::Extra(..)
        | StreamEvent::Usage(_)
        | StreamEvent::Finished(_) => {}
    }
}

impl StreamWriter for ResponsesStreamWriter {
    fn write(&mut self, mut chunk: Chunk, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        if let Some(block) = self.pass(&mut chunk) {
            out.extend_from_slice(&block);
        } else if self.passed.is_none() {
            self.steps(chunk.events, out);
        }
    }

    fn pass(&mut self, chunk: &mut Chunk) -> Option<Bytes> {
        let block = chunk.verbatim.take()?;
        self.pass_on(&block);
        Some(block)
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_over, true) || self.passed.is_some() {
            return;
        }
        self.begin(out);
        let cut = self.about.cut().is_some();
        self.output.finish(cut, &mut EventEmitter { out: Some(out), next: &mut self.next });
        let kind = if cut { "response.incomplete" } else { "response.completed" };
        self.write_event(kind, ResponseStage::Ended, out);
    }

    fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        if let Some((first, last)) = self.passed.take() {
            return fail_passed(&first, &last, error, out);
        }
        self.begin(out);
        self.output.abandon();
        self.write_event("response.failed", ResponseStage::Failed(error), out);
    }
}

/// Ends a response that came in its upstream's own bytes: with the response that these began with,
/// and the number that follows theirs.
fn fail_passed(first: &[u8], last: &[u8], error: &GatewayError, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct FailedResponseWire<'a> {
        #[serde(flatten)]
        began: LazyObject<'a>,
        status: &'static str,
        error: ResponseFailureWire<'a>,
    }
    let began = stored_response::response_in(first);
    let mut began: LazyObject<'_> =
        began.as_ref().and_then(|json| json.read().ok()).unwrap_or_default();
    began.remove("status");
    began.remove("error");
    let response = FailedResponseWire { began, status: "failed", error: error.into() };
    let mut next = stored_response::last_number(last).map_or(0, |last| last.saturating_add(1));
    let mut emit = EventEmitter { out: Some(out), next: &mut next };
    emit.event("response.failed", ResponseEventOutWire { response });
}
