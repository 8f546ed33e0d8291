//! Normalization of responses that deviate a little from `OpenAI`'s, so that its clients accept
//! them.
//!
//! Unknown members are preserved. The end of a stream is brought into order: the finish of each
//! choice once, then the usage, even if the upstream sends them early, repeatedly or together with
//! the last text.

use super::{
    errors, finish_reason,
    normalize_message::{self, MessageContext},
    normalize_metadata,
    tool_call_slots::ToolCallSlots,
    usage,
};
use crate::json::editable_object::{EditableObject, JsonNode};
use crate::{IdGenerator, token_count::ServedTier, unreadable};
use gateway_core::{Result, Usage};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Normalizes the chunks of one response.
#[derive(Debug)]
pub(super) struct Normalizer {
    ids: IdGenerator,
    /// The name of the response, and of the model: every chunk has the same.
    id: Option<String>,
    model: Option<String>,
    created: Option<String>,
    /// The model name of the request. It replaces the upstream's name where that is to stay hidden,
    /// and fills in a missing one.
    asked: String,
    renames: bool,
    wants_usage: bool,
    choices: Vec<NormalizerChoice>,
    /// The counts, as the upstream wrote them.
    usage: Option<String>,
}

#[derive(Debug, Default)]
struct NormalizerChoice {
    begun: bool,
    calls: ToolCallSlots,
    /// The chunk that ends this choice.
    end: Option<String>,
}

/// The outcome of normalizing one chunk.
#[derive(Debug, Default)]
pub(super) struct NormalizedChunk {
    /// The chunk, unless it says nothing that is not said at the end.
    pub(super) chunk: Option<String>,
    /// The counts so far.
    pub(super) usage: Option<Usage>,
}

/// More choices than any upstream gives.
const MAX_CHOICES: u64 = 256;

impl Normalizer {
    pub(super) const fn new(
        ids: IdGenerator,
        asked: String,
        renames: bool,
        wants_usage: bool,
    ) -> Self {
        Self {
            ids,
            id: None,
            model: None,
            created: None,
            asked,
            renames,
            wants_usage,
            choices: Vec::new(),
            usage: None,
        }
    }

    /// Returns whether every choice that began has come to its end, and at least `expected` have.
    pub(super) fn is_finished(&self, expected: usize) -> bool {
        let ended = self.choices.iter().filter(|it| it.end.is_some()).count();
        ended >= expected.max(1) && self.choices.iter().all(|it| !it.begun || it.end.is_some())
    }

    /// Normalizes one chunk.
    ///
    /// # Errors
    ///
    /// If the chunk reports an error or cannot be read.
    pub(super) fn chunk(&mut self, json: &str) -> Result<NormalizedChunk> {
        let mut root = JsonNode::Raw(parse(json)?);
        let Some(chunk) = root.object() else { return Err(unreadable("a chunk is not an object")) };
        if let Some(JsonNode::Raw(error)) = chunk.get("error") {
            return Err(errors::in_answer(error));
        }
        let usage = self.take_usage(chunk);
        let Some(choices) = chunk.get_mut("choices").and_then(JsonNode::list) else {
            return Ok(NormalizedChunk { chunk: None, usage });
        };
        if choices.is_empty() {
            return Ok(NormalizedChunk { chunk: None, usage });
        }
        let mut choices = std::mem::take(choices);
        self.head(chunk, "chat.completion.chunk");
        if self.wants_usage {
            chunk.set("usage", JsonNode::Null);
        }
        let mut kept = Vec::with_capacity(choices.len());
        for mut choice in choices.drain(..) {
            if self.choice(chunk, &mut choice)? {
                kept.push(choice);
            }
        }
        if kept.is_empty() {
            return Ok(NormalizedChunk { chunk: None, usage });
        }
        chunk.set("choices", JsonNode::List(kept));
        Ok(NormalizedChunk { chunk: Some(chunk.to_json()), usage })
    }

    /// The chunks that end each choice, and then, if the caller asked, the one that counts.
    pub(super) fn end(&mut self) -> (Vec<String>, Option<String>) {
        let ends = self.choices.iter_mut().filter_map(|it| it.end.take()).collect();
        let usage = self.usage.take().filter(|_| self.wants_usage);
        let usage = usage.and_then(|usage| {
            let mut chunk = EditableObject::default();
            self.head(&mut chunk, "chat.completion.chunk");
            chunk.set("choices", JsonNode::List(Vec::new()));
            chunk.set("usage", JsonNode::Raw(serde_json::from_str(&usage).ok()?));
            Some(chunk.to_json())
        });
        (ends, usage)
    }

    /// Writes the members that are the same in every chunk of a stream.
    fn head(&mut self, chunk: &mut EditableObject<'_>, object: &'static str) {
        let told = |name: &str| {
            let text = chunk.get(name).and_then(JsonNode::text);
            text.filter(|text| !text.is_empty()).map(Cow::into_owned)
        };
        let ids = &mut self.ids;
        let id = self.id.get_or_insert_with(|| told("id").unwrap_or_else(|| ids.next("chatcmpl-")));
        let own = || told("model").filter(|_| !self.renames);
        let model = self.model.get_or_insert_with(|| own().unwrap_or_else(|| self.asked.clone()));
        let (id, model) = (id.clone(), model.clone());
        let created = self.created.get_or_insert_with(|| match chunk.get("created") {
            Some(JsonNode::Raw(raw)) if raw.get().bytes().all(|b| b.is_ascii_digit()) => {
                raw.get().to_owned()
            }
            _ => "0".to_owned(),
        });
        let created = created.parse().unwrap_or_default();
        chunk.set("id", JsonNode::Text(id.into()));
        chunk.set("object", JsonNode::Text(object.into()));
        chunk.set("created", JsonNode::Number(created));
        chunk.set("model", JsonNode::Text(model.into()));
        normalize_metadata::service_tier(chunk);
    }

    /// Keeps the counts, which may come in any chunk: the last ones are right.
    fn take_usage(&mut self, chunk: &mut EditableObject<'_>) -> Option<Usage> {
        let node = chunk.remove("usage").or_else(|| groq_usage(chunk))?;
        let tier = chunk.get("service_tier").and_then(JsonNode::text);
        let tier = tier.map(|word| ServedTier::read(&word)).unwrap_or_default();
        let json = serde_json::to_string(&node).ok()?;
        let usage = serde_json::from_str::<usage::ChatUsageWire>(&json).ok()?.read(tier)?;
        self.usage = Some(json);
        Some(usage)
    }

    /// Normalizes a choice; `false` if nothing of it is left for now.
    fn choice<'a>(
        &mut self,
        chunk: &EditableObject<'a>,
        choice: &mut JsonNode<'a>,
    ) -> Result<bool> {
        let Some(choice) = choice.object() else {
            return Err(unreadable("a choice is not an object"));
        };
        let index = number(choice.get("index")).unwrap_or(0);
        if index >= MAX_CHOICES {
            return Err(unreadable("invalid choice index"));
        }
        choice.set("index", JsonNode::Number(index));
        if let Some(message) = choice.remove("message") {
            choice.fill("delta", message);
        }
        let word = choice.remove("finish_reason").and_then(|node| node.text());
        let at = usize::try_from(index).unwrap_or_default();
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, NormalizerChoice::default);
        }
        let Some(state) = self.choices.get_mut(at) else { return Ok(false) };
        let mut delta =
            choice.remove("delta").unwrap_or(JsonNode::Object(EditableObject::default()));
        let Some(members) = delta.object() else {
            return Err(unreadable("a delta is not an object"));
        };
        let mut turn = MessageContext { calls: &mut state.calls, ids: &mut self.ids, whole: false };
        normalize_message::normalize(members, &mut turn)?;
        members.remove("role");
        let mut says = !members.is_empty() || choice.get("logprobs").is_some();
        if !state.begun {
            state.begun = true;
            says = true;
            members.lead("role", JsonNode::Text(Cow::Borrowed("assistant")));
        }
        choice.set("delta", delta);
        normalize_metadata::logprobs(choice);
        if let Some(word) = word {
            end(choice, &word)?;
            state.end.get_or_insert_with(|| closing(chunk, choice));
        }
        choice.set("finish_reason", JsonNode::Null);
        choice.remove("native_finish_reason");
        Ok(says)
    }
}

/// Why a choice ends, in words that callers know.
fn end(choice: &mut EditableObject<'_>, word: &str) -> Result<()> {
    let finish = finish_reason::read(word)?;
    if finish_reason::is_known(word) {
        choice.set("finish_reason", JsonNode::Text(word.to_owned().into()));
        return Ok(());
    }
    choice.set("finish_reason", JsonNode::Text(Cow::Borrowed(finish.reason.as_str())));
    choice.fill("native_finish_reason", JsonNode::Text(word.to_owned().into()));
    Ok(())
}

/// The chunk that ends `choice`, which it says besides other things.
fn closing(chunk: &EditableObject<'_>, choice: &EditableObject<'_>) -> String {
    let mut last = choice.clone();
    last.set("delta", JsonNode::Object(EditableObject::default()));
    last.set("logprobs", JsonNode::Null);
    let mut chunk = chunk.clone();
    chunk.set("choices", JsonNode::List(vec![JsonNode::Object(last)]));
    chunk.to_json()
}

/// Groq counts in a place of its own.
fn groq_usage<'a>(chunk: &mut EditableObject<'a>) -> Option<JsonNode<'a>> {
    chunk.get_mut("x_groq")?.object()?.get("usage").cloned()
}

fn number(node: Option<&JsonNode<'_>>) -> Option<u64> {
    match node? {
        JsonNode::Raw(raw) => raw.get().parse().ok(),
        JsonNode::Number(number) => Some(*number),
        JsonNode::Null | JsonNode::Text(_) | JsonNode::List(_) | JsonNode::Object(_) => None,
    }
}

fn parse(json: &str) -> Result<&RawValue> {
    serde_json::from_str(json).map_err(|error| {
        unreadable(format!("{:?} error at character {}", error.classify(), error.column()))
    })
}

/// Normalizes a whole response, unless it is an error, which passes as it is.
pub(super) fn whole(json: &str, ids: IdGenerator, asked: &str, renames: bool) -> Result<String> {
    let mut root = JsonNode::Raw(parse(json)?);
    let Some(answer) = root.object() else {
        return Err(unreadable("the response is not an object"));
    };
    if answer.get("error").is_some() || !answer.has("choices") {
        return Ok(json.to_owned());
    }
    let mut normalizer = Normalizer::new(ids, asked.to_owned(), renames, false);
    normalizer.head(answer, "chat.completion");
    if let Some(mut usage) = answer.remove("usage").or_else(|| groq_usage(answer)) {
        total(&mut usage);
        answer.set("usage", usage);
    }
    let Some(choices) = answer.get_mut("choices").and_then(JsonNode::list) else {
        return Err(unreadable("choices is not a list"));
    };
    for (index, choice) in (0..).zip(choices) {
        whole_choice(choice, index, &mut normalizer.ids)?;
    }
    Ok(answer.to_json())
}

/// A total that is missing is counted.
fn total(usage: &mut JsonNode<'_>) {
    let Some(usage) = usage.object() else { return };
    let [prompt, completion] =
        ["prompt_tokens", "completion_tokens"].map(|it| number(usage.get(it)));
    if usage.get("total_tokens").is_none()
        && let (Some(prompt), Some(completion)) = (prompt, completion)
    {
        usage.set("total_tokens", JsonNode::Number(prompt.saturating_add(completion)));
    }
}

fn whole_choice(choice: &mut JsonNode<'_>, index: u64, ids: &mut IdGenerator) -> Result<()> {
    let Some(choice) = choice.object() else { return Err(unreadable("a choice is not an object")) };
    if number(choice.get("index")).is_none() {
        choice.set("index", JsonNode::Number(index));
    }
    let mut calls = ToolCallSlots::default();
    let mut called = false;
    if let Some(message) = choice.get_mut("message").and_then(JsonNode::object) {
        let mut turn = MessageContext { calls: &mut calls, ids, whole: true };
        normalize_message::normalize(message, &mut turn)?;
        called = message.has("tool_calls");
        message.lead("role", JsonNode::Text(Cow::Borrowed("assistant")));
        message.fill("content", JsonNode::Null);
        message.fill("refusal", JsonNode::Null);
    }
    choice.fill("logprobs", JsonNode::Null);
    normalize_metadata::logprobs(choice);
    let word = choice.get("finish_reason").and_then(JsonNode::text);
    let word = word.unwrap_or(Cow::Borrowed(if called { "tool_calls" } else { "stop" }));
    end(choice, &word)
}
