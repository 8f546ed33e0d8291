//! Whole answers, and the fold that makes them.

use crate::{
    Content, Extra, Finish, Json, Message, Opaque, Part, Reasoning, Role, Seal, Started,
    StreamEvent, ToolCall, ToolCallDelta, Usage, plain_text,
};
use std::mem;

/// A complete chat response: the fold of its stream events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatResponse {
    /// The provider's name for it; empty if it gave none.
    pub id: String,
    /// The model that answered, as the provider names it; empty if it did not say.
    pub model: String,
    /// Creation time in seconds since 1970.
    pub created: Option<u64>,
    /// The answers, by index; one unless several were asked for.
    pub choices: Vec<Choice>,
    /// Token usage; absent if the provider did not report it.
    pub usage: Option<Usage>,
    /// Further members of the provider's response.
    pub extra: Extra,
}

/// A single choice of a response (one of `n`).
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The message that the model wrote.
    pub message: Message,
    /// Finish reason; absent only while the response is still streaming.
    pub finish: Option<Finish>,
    /// Notes on the text, as OpenAI Chat writes them.
    pub annotations: Vec<Json>,
    /// Likelihoods, as OpenAI Chat writes them, in the pieces in which they came.
    pub logprobs: Vec<Json>,
}

/// Folds the steps of an answer into the answer they spell.
#[derive(Debug, Default)]
pub struct Collector {
    answer: ChatResponse,
    current: usize,
    /// Index of each tool call among the parts of its message, by choice.
    calls: Vec<Vec<Option<usize>>>,
}

/// More answers, or more calls in one, than any provider gives.
const MAX_INDEX: usize = 4096;

impl Collector {
    /// Takes in one step. A step that names an absurd index is ignored.
    pub fn push(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Started(started) => self.start(started),
            StreamEvent::Choice(index) => {
                self.current = usize::try_from(index).unwrap_or(MAX_INDEX).min(MAX_INDEX);
            }
            StreamEvent::Text(text) => self.append(Content::Text(text)),
            StreamEvent::Refusal(text) => self.append(Content::Refusal(text)),
            StreamEvent::Reasoning(text) => {
                self.append(Content::Reasoning(Reasoning { text, seal: None }));
            }
            StreamEvent::Seal(seal) => self.seal(seal),
            StreamEvent::ToolCall(delta) => self.call(delta),
            StreamEvent::Annotation(note) => self.choice().annotations.push(note),
            StreamEvent::Logprobs(logprobs) => self.choice().logprobs.push(logprobs),
            StreamEvent::Opaque(opaque) => self.opaque(opaque),
            StreamEvent::Extra(name, value) => {
                self.answer.extra.remove(&name);
                self.answer.extra.push(name, value);
            }
            StreamEvent::Usage(usage) => self.answer.usage = Some(usage),
            StreamEvent::Finished(finish) => {
                self.choice().finish.get_or_insert(finish);
            }
        }
    }

    /// The answer so far.
    pub fn answer(&self) -> &ChatResponse {
        &self.answer
    }

    /// Returns the folded response.
    pub fn finish(self) -> ChatResponse {
        self.answer
    }

    fn start(&mut self, started: Started) {
        self.answer.id = started.id.unwrap_or_default();
        self.answer.model = started.model.unwrap_or_default();
        self.answer.created = started.created;
    }

    fn choice(&mut self) -> &mut Choice {
        while self.answer.choices.len() <= self.current {
            self.answer.choices.push(Choice::default());
        }
        let at = self.current;
        // The loop above made room for it.
        #[expect(clippy::indexing_slicing, reason = "just grown to fit")]
        &mut self.answer.choices[at]
    }

    fn parts(&mut self) -> &mut Vec<Part> {
        &mut self.choice().message.parts
    }

    /// Adds to the last part if it is of the same kind, else begins a new one.
    fn append(&mut self, content: Content) {
        let parts = self.parts();
        match (parts.last_mut().map(|part| &mut part.content), content) {
            (Some(Content::Text(text)), Content::Text(more))
            | (Some(Content::Refusal(text)), Content::Refusal(more)) => text.push_str(&more),
            (
                Some(Content::Reasoning(Reasoning { text, seal: None })),
                Content::Reasoning(more),
            ) => {
                text.push_str(&more.text);
            }
            (_, content) => parts.push(content.into()),
        }
    }

    fn seal(&mut self, seal: Seal) {
        let parts = self.parts();
        match parts.last_mut().map(|part| &mut part.content) {
            Some(Content::Reasoning(Reasoning { seal: open @ None, .. })) => *open = Some(seal),
            _ => parts.push(
                Content::Reasoning(Reasoning { text: String::new(), seal: Some(seal) }).into(),
            ),
        }
    }

    fn opaque(&mut self, opaque: Opaque) {
        self.parts().push(Content::Opaque(opaque).into());
    }

    fn call(&mut self, delta: ToolCallDelta) {
        let index = usize::try_from(delta.index).unwrap_or(MAX_INDEX);
        if index >= MAX_INDEX {
            return;
        }
        let next = self.parts().len();
        let choice = self.current;
        if self.calls.len() <= choice {
            self.calls.resize(choice + 1, Vec::new());
        }
        let Some(known) = self.calls.get_mut(choice) else { return };
        if known.len() <= index {
            known.resize(index + 1, None);
        }
        let Some(slot) = known.get_mut(index) else { return };
        let at = *slot.get_or_insert(next);
        let parts = self.parts();
        if at == parts.len() {
            parts.push(Content::ToolCall(ToolCall::default()).into());
        }
        if let Some(Content::ToolCall(call)) = parts.get_mut(at).map(|part| &mut part.content) {
            call.id.push_str(&delta.id);
            call.name.push_str(&delta.name);
            call.arguments.push_str(&delta.arguments);
            call.custom |= delta.custom;
            if delta.seal.is_some() {
                call.seal = delta.seal;
            }
        }
    }
}

impl Extend<StreamEvent> for Collector {
    fn extend<T: IntoIterator<Item = StreamEvent>>(&mut self, events: T) {
        for event in events {
            self.push(event);
        }
    }
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            message: Message { role: Role::Assistant, parts: Vec::new(), name: None },
            finish: None,
            annotations: Vec::new(),
            logprobs: Vec::new(),
        }
    }
}

impl ChatResponse {
    /// The plain text of the first answer.
    pub fn text(&self) -> String {
        self.choices.first().map(|choice| plain_text(&choice.message.parts)).unwrap_or_default()
    }

    /// The tool calls of the first answer.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.choices.iter().take(1).flat_map(|choice| choice.message.tool_calls())
    }

    /// The steps that fold into this answer: one for each part.
    pub fn into_events(self) -> Vec<StreamEvent> {
        let created = self.created;
        let mut events = vec![StreamEvent::Started(Started {
            id: Some(self.id).filter(|id| !id.is_empty()),
            model: Some(self.model).filter(|model| !model.is_empty()),
            created,
        })];
        for (index, mut choice) in (0..).zip(self.choices) {
            if index > 0 {
                events.push(StreamEvent::Choice(index));
            }
            let mut calls = 0;
            for part in mem::take(&mut choice.message.parts) {
                part_events(part.content, &mut calls, &mut events);
            }
            events.extend(choice.annotations.into_iter().map(StreamEvent::Annotation));
            events.extend(choice.logprobs.into_iter().map(StreamEvent::Logprobs));
            events.extend(choice.finish.map(StreamEvent::Finished));
        }
        let extra = self.extra.iter();
        events.extend(
            extra.map(|(name, value)| StreamEvent::Extra(name.to_owned().into(), value.clone())),
        );
        events.extend(self.usage.map(StreamEvent::Usage));
        events
    }
}

fn part_events(content: Content, calls: &mut u32, events: &mut Vec<StreamEvent>) {
    match content {
        Content::Text(text) => events.push(StreamEvent::Text(text)),
        Content::Refusal(text) => events.push(StreamEvent::Refusal(text)),
        Content::Reasoning(Reasoning { text, seal }) => {
            if !text.is_empty() || seal.is_none() {
                events.push(StreamEvent::Reasoning(text));
            }
            events.extend(seal.map(StreamEvent::Seal));
        }
        Content::ToolCall(ToolCall { id, name, arguments, custom, seal }) => {
            let index = *calls;
            *calls += 1;
            let delta = ToolCallDelta { index, id, name, arguments, custom, seal };
            events.push(StreamEvent::ToolCall(delta));
        }
        Content::Opaque(opaque) => events.push(StreamEvent::Opaque(opaque)),
        // Models do not answer with these.
        Content::Image(_) | Content::Audio(_) | Content::File(_) | Content::ToolResult(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dialect, FinishReason, SealKind};

    fn fold(events: impl IntoIterator<Item = StreamEvent>) -> ChatResponse {
        let mut collector = Collector::default();
        collector.extend(events);
        collector.finish()
    }

    fn call(index: u32, id: &str, arguments: &str) -> StreamEvent {
        let (id, arguments) = (id.to_owned(), arguments.to_owned());
        StreamEvent::ToolCall(ToolCallDelta { index, id, arguments, ..ToolCallDelta::default() })
    }

    fn seal() -> Seal {
        Seal {
            dialect: Dialect::Messages,
            kind: SealKind::Signature,
            id: None,
            data: "sig".to_owned(),
        }
    }

    /// What an answer says, in short.
    fn spell(answer: &ChatResponse) -> String {
        let part = |part: &Part| {
            if let Content::Text(text) = &part.content {
                format!("text {text}")
            } else if let Content::Reasoning(it) = &part.content {
                format!("think {}{}", it.text, it.seal.iter().count())
            } else if let Content::ToolCall(call) = &part.content {
                format!("call {} {}", call.id, call.arguments)
            } else {
                format!("{:?}", part.content)
            }
        };
        let choice =
            |choice: &Choice| choice.message.parts.iter().map(part).collect::<Vec<_>>().join(", ");
        answer.choices.iter().map(choice).collect::<Vec<_>>().join(" | ")
    }

    #[track_caller]
    fn check(events: Vec<StreamEvent>, expected: &str) {
        let answer = fold(events);
        assert_eq!(spell(&answer), expected);
        assert_eq!(fold(answer.clone().into_events()), answer, "an answer folds into itself");
    }

    #[test]
    fn adjacent_text_deltas_are_concatenated() {
        check(vec![StreamEvent::Text("a".into()), StreamEvent::Text("b".into())], "text ab");
    }

    #[test]
    fn reasoning_after_seal_starts_new_part() {
        let think = |text: &str| StreamEvent::Reasoning(text.into());
        check(
            vec![think("a"), think("b"), StreamEvent::Seal(seal()), think("c")],
            "think ab1, think c0",
        );
    }

    #[test]
    fn seal_without_reasoning_is_accepted() {
        check(vec![StreamEvent::Text("a".into()), StreamEvent::Seal(seal())], "text a, think 1");
    }

    #[test]
    fn interleaved_tool_calls_are_separated() {
        check(
            vec![call(0, "x", "{"), call(1, "y", "["), call(0, "", "}"), call(1, "", "]")],
            "call x {}, call y []",
        );
    }

    #[test]
    fn choices_are_separated() {
        let text = |text: &str| StreamEvent::Text(text.into());
        check(
            vec![
                text("a"),
                StreamEvent::Choice(1),
                text("b"),
                StreamEvent::Choice(0),
                text("c"),
                StreamEvent::Finished(FinishReason::Stop.into()),
            ],
            "text ac | text b",
        );
    }

    #[test]
    fn huge_indexes_are_ignored() {
        let answer = fold([call(u32::MAX, "x", ""), StreamEvent::Choice(u32::MAX)]);
        assert_eq!(spell(&answer), "");
    }
}
