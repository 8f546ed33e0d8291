//! A turn of the model: decides which events are shown and whether its calls are run here.

use crate::{
    Chunk, Collector, ErrorKind, GatewayError, Message, Result, StreamEvent, ToolCall,
    ToolCallDelta, Usage,
    event::{Finish, FinishReason},
};
use std::{collections::HashSet, mem, sync::Arc};

/// More than a model writes in one turn.
const MAX_BYTES: usize = 32 << 20;

/// The word for an answer whose model asked for tools to the end.
const ROUNDS_EXCEEDED: &str = "tool_rounds_exceeded";

/// A turn while it is streaming.
///
/// Text is passed on. Calls of gateway tools are held back until the turn is known to have no
/// others, and are then hidden. A call of the caller's own tool shows all, as the model numbered
/// them.
pub(super) struct StreamedTurn {
    ours: Arc<HashSet<String>>,
    place: TurnPosition,
    /// Token usage of earlier turns.
    before: Option<Usage>,
    usage: Option<Usage>,
    said: Collector,
    held: Vec<StreamEvent>,
    /// Calls are shown: the caller runs them, or they are not run at all.
    shows: bool,
    /// Following events belong to another choice than the first.
    elsewhere: bool,
    finish: Option<FinishReason>,
    bytes: usize,
}

/// The place of a turn in its conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TurnPosition {
    /// It begins the answer.
    First,
    /// It has one before it.
    Later,
    /// It was to be without calls.
    Last,
}

/// The decision on a finished turn.
pub(super) enum TurnVerdict {
    /// The calls are run here, and the model goes on.
    Run(Message, Vec<ToolCall>),
    /// It is the answer, or the end of it.
    Done(Option<Message>),
}

impl StreamedTurn {
    pub(super) fn new(
        ours: Arc<HashSet<String>>,
        place: TurnPosition,
        before: Option<Usage>,
    ) -> Self {
        let shows = ours.is_empty() || place == TurnPosition::Last;
        Self {
            ours,
            place,
            before,
            usage: None,
            said: Collector::default(),
            held: Vec::new(),
            shows,
            elsewhere: false,
            finish: None,
            bytes: 0,
        }
    }

    /// Whether this is only listened to: no call of it could be ours.
    fn is_heard_only(&self) -> bool {
        self.ours.is_empty()
    }

    /// Filters `chunk`: returns the part that the caller sees now.
    pub(super) fn take(&mut self, mut chunk: Chunk) -> Result<Chunk> {
        let mut seen = Vec::with_capacity(chunk.events.len());
        for event in mem::take(&mut chunk.events) {
            self.push(event, &mut seen)?;
        }
        if self.is_heard_only() {
            return Ok(Chunk { events: seen, ..chunk });
        }
        Ok(Chunk { meta: chunk.meta, ..Chunk::from_events(seen) })
    }

    fn push(&mut self, event: StreamEvent, seen: &mut Vec<StreamEvent>) -> Result<()> {
        self.weigh(&event)?;
        if self.elsewhere && event.is_output() {
            seen.push(event);
            return Ok(());
        }
        match event {
            StreamEvent::Started(_) if self.place != TurnPosition::First => {}
            StreamEvent::Usage(usage) => {
                self.usage = Some(usage);
                seen.extend(self.spent().map(StreamEvent::Usage));
            }
            StreamEvent::Choice(index) => {
                self.elsewhere = index > 0;
                if self.elsewhere {
                    self.show(seen);
                }
                seen.push(event);
            }
            StreamEvent::ToolCall(delta) => self.call(delta, seen),
            StreamEvent::Finished(finish) => self.finished(finish, seen),
            event @ (StreamEvent::Started(_)
            | StreamEvent::Text(_)
            | StreamEvent::Refusal(_)
            | StreamEvent::Reasoning(_)
            | StreamEvent::Seal(_)
            | StreamEvent::Annotation(_)
            | StreamEvent::Logprobs(_)
            | StreamEvent::Opaque(_)
            | StreamEvent::Extra(..)) => {
                self.said.push(event.clone());
                seen.push(event);
            }
        }
        Ok(())
    }

    fn call(&mut self, delta: ToolCallDelta, seen: &mut Vec<StreamEvent>) {
        let theirs = delta.custom || !(delta.name.is_empty() || self.ours.contains(&delta.name));
        self.said.push(StreamEvent::ToolCall(delta.clone()));
        self.held.push(StreamEvent::ToolCall(delta));
        if theirs || self.shows {
            self.show(seen);
        }
    }

    fn finished(&mut self, mut finish: Finish, seen: &mut Vec<StreamEvent>) {
        if self.finish.replace(finish.reason).is_some() {
            return;
        }
        if self.place == TurnPosition::Last && self.said.answer().tool_calls().next().is_some() {
            finish.native = Some(ROUNDS_EXCEEDED.to_owned());
        }
        self.held.push(StreamEvent::Finished(finish));
        let cut = matches!(self.finish, Some(FinishReason::Length | FinishReason::ContentFilter));
        if cut || self.held.len() == 1 || self.shows {
            self.show(seen);
        }
    }

    /// From here on everything is the caller's.
    fn show(&mut self, seen: &mut Vec<StreamEvent>) {
        self.shows = true;
        seen.append(&mut self.held);
    }

    /// Returns the token usage of this turn and those before it.
    pub(super) fn spent(&self) -> Option<Usage> {
        let mut sum = self.before;
        if let Some(usage) = self.usage {
            match &mut sum {
                Some(sum) => *sum += usage,
                None => sum = Some(usage),
            }
        }
        sum
    }

    /// The turn is over; what was held back and is shown after all goes to `seen`.
    pub(super) fn end(mut self, seen: &mut Vec<StreamEvent>) -> TurnVerdict {
        let answer = mem::take(&mut self.said).finish();
        let said = answer.choices.into_iter().next().map(|choice| choice.message);
        let calls: Vec<_> = said.iter().flat_map(Message::tool_calls).cloned().collect();
        let ours = |call: &ToolCall| !call.custom && self.ours.contains(&call.name);
        match said {
            Some(said) if !self.shows && !calls.is_empty() && calls.iter().all(ours) => {
                TurnVerdict::Run(said, calls)
            }
            said => {
                self.show(seen);
                TurnVerdict::Done(said.filter(|said| !said.parts.is_empty()))
            }
        }
    }

    fn weigh(&mut self, event: &StreamEvent) -> Result<()> {
        let bytes = if let StreamEvent::Text(text) | StreamEvent::Reasoning(text) = event {
            text.len()
        } else if let StreamEvent::ToolCall(delta) = event {
            // Even an empty delta takes room while it is held.
            size_of::<StreamEvent>() + delta.arguments.len() + delta.name.len() + delta.id.len()
        } else {
            0
        };
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_BYTES {
            return Err(GatewayError::new(
                ErrorKind::UpstreamInvalid,
                "the model's turn exceeds the size limit",
            ));
        }
        Ok(())
    }
}
