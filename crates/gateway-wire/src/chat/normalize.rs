//! Mends answers of upstreams that are nearly `OpenAI`'s, so that its clients take them.
//!
//! What is not understood is kept. What a stream says of its end comes at its end: the finish of
//! each choice once, then the usage, even if the upstream says them early, often or together with
//! the last words.

use super::{
    errors, finish_reason,
    normalize_message::{self, Turn},
    normalize_metadata,
    tool_call_slots::Calls,
    tree::{Members, Node},
    usage,
};
use crate::{Ids, unreadable};
use gateway_core::{Result, Usage};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Mends the chunks of one answer.
#[derive(Debug)]
pub(super) struct Mender {
    ids: Ids,
    /// The name of the answer, and of the model: every chunk has the same.
    id: Option<String>,
    model: Option<String>,
    created: Option<String>,
    /// The caller's name for the model, where the upstream's is not to be told; also where the
    /// upstream tells none.
    asked: String,
    renames: bool,
    wants_usage: bool,
    choices: Vec<State>,
    /// The counts, as the upstream wrote them.
    usage: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    begun: bool,
    calls: Calls,
    /// The chunk that ends this choice.
    end: Option<String>,
}

/// What became of a chunk.
#[derive(Debug, Default)]
pub(super) struct Mended {
    /// The chunk, unless it says nothing that is not said at the end.
    pub(super) chunk: Option<String>,
    /// The counts so far.
    pub(super) usage: Option<Usage>,
}

/// More choices than any upstream gives.
const MAX_CHOICES: u64 = 256;

impl Mender {
    pub(super) const fn new(ids: Ids, asked: String, renames: bool, wants_usage: bool) -> Self {
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

    /// Whether every choice that began has come to its end, and at least `expected` have.
    pub(super) fn is_finished(&self, expected: usize) -> bool {
        let ended = self.choices.iter().filter(|it| it.end.is_some()).count();
        ended >= expected.max(1) && self.choices.iter().all(|it| !it.begun || it.end.is_some())
    }

    /// Mends a chunk.
    ///
    /// # Errors
    ///
    /// If it tells of one, or cannot be read.
    pub(super) fn chunk(&mut self, json: &str) -> Result<Mended> {
        let mut root = Node::Raw(parse(json)?);
        let Some(chunk) = root.object() else { return Err(unreadable("a chunk is no object")) };
        if let Some(Node::Raw(error)) = chunk.get("error") {
            return Err(errors::in_answer(error));
        }
        let usage = self.take_usage(chunk);
        let Some(choices) = chunk.get_mut("choices").and_then(Node::list) else {
            return Ok(Mended { chunk: None, usage });
        };
        if choices.is_empty() {
            return Ok(Mended { chunk: None, usage });
        }
        let mut choices = std::mem::take(choices);
        self.head(chunk, "chat.completion.chunk");
        if self.wants_usage {
            chunk.set("usage", Node::Null);
        }
        let mut kept = Vec::with_capacity(choices.len());
        for mut choice in choices.drain(..) {
            if self.choice(chunk, &mut choice)? {
                kept.push(choice);
            }
        }
        if kept.is_empty() {
            return Ok(Mended { chunk: None, usage });
        }
        chunk.set("choices", Node::List(kept));
        Ok(Mended { chunk: Some(chunk.to_json()), usage })
    }

    /// The chunks that end each choice, and then, if the caller asked, the one that counts.
    pub(super) fn end(&mut self) -> (Vec<String>, Option<String>) {
        let ends = self.choices.iter_mut().filter_map(|it| it.end.take()).collect();
        let usage = self.usage.take().filter(|_| self.wants_usage);
        let usage = usage.and_then(|usage| {
            let mut chunk = Members::default();
            self.head(&mut chunk, "chat.completion.chunk");
            chunk.set("choices", Node::List(Vec::new()));
            chunk.set("usage", Node::Raw(serde_json::from_str(&usage).ok()?));
            Some(chunk.to_json())
        });
        (ends, usage)
    }

    /// What is the same in every chunk.
    fn head(&mut self, chunk: &mut Members<'_>, object: &'static str) {
        let told = |name: &str| {
            let text = chunk.get(name).and_then(Node::text);
            text.filter(|text| !text.is_empty()).map(Cow::into_owned)
        };
        let ids = &mut self.ids;
        let id = self.id.get_or_insert_with(|| told("id").unwrap_or_else(|| ids.next("chatcmpl-")));
        let own = || told("model").filter(|_| !self.renames);
        let model = self.model.get_or_insert_with(|| own().unwrap_or_else(|| self.asked.clone()));
        let (id, model) = (id.clone(), model.clone());
        let created = self.created.get_or_insert_with(|| match chunk.get("created") {
            Some(Node::Raw(raw)) if raw.get().bytes().all(|b| b.is_ascii_digit()) => {
                raw.get().to_owned()
            }
            _ => "0".to_owned(),
        });
        let created = created.parse().unwrap_or_default();
        chunk.set("id", Node::Text(id.into()));
        chunk.set("object", Node::Text(object.into()));
        chunk.set("created", Node::Number(created));
        chunk.set("model", Node::Text(model.into()));
        normalize_metadata::service_tier(chunk);
    }

    /// Keeps the counts, which may come in any chunk: the last ones are right.
    fn take_usage(&mut self, chunk: &mut Members<'_>) -> Option<Usage> {
        let node = chunk.remove("usage").or_else(|| groq_usage(chunk))?;
        let json = serde_json::to_string(&node).ok()?;
        let usage = serde_json::from_str::<usage::Wire>(&json).ok()?.read()?;
        self.usage = Some(json);
        Some(usage)
    }

    /// Mends a choice; `false` if nothing of it is left for now.
    fn choice<'a>(&mut self, chunk: &Members<'a>, choice: &mut Node<'a>) -> Result<bool> {
        let Some(choice) = choice.object() else { return Err(unreadable("a choice is no object")) };
        let index = number(choice.get("index")).unwrap_or(0);
        if index >= MAX_CHOICES {
            return Err(unreadable("the number of a choice is absurd"));
        }
        choice.set("index", Node::Number(index));
        if let Some(message) = choice.remove("message") {
            choice.fill("delta", message);
        }
        let word = choice.remove("finish_reason").and_then(|node| node.text());
        let at = usize::try_from(index).unwrap_or_default();
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, State::default);
        }
        let Some(state) = self.choices.get_mut(at) else { return Ok(false) };
        let mut delta = choice.remove("delta").unwrap_or(Node::Object(Members::default()));
        let Some(members) = delta.object() else { return Err(unreadable("a delta is no object")) };
        let mut turn = Turn { calls: &mut state.calls, ids: &mut self.ids, whole: false };
        normalize_message::mend(members, &mut turn)?;
        members.remove("role");
        let mut says = !members.is_empty() || choice.get("logprobs").is_some();
        if !state.begun {
            state.begun = true;
            says = true;
            members.lead("role", Node::Text(Cow::Borrowed("assistant")));
        }
        choice.set("delta", delta);
        normalize_metadata::logprobs(choice);
        if let Some(word) = word {
            end(choice, &word)?;
            state.end.get_or_insert_with(|| closing(chunk, choice));
        }
        choice.set("finish_reason", Node::Null);
        choice.remove("native_finish_reason");
        Ok(says)
    }
}

/// Why a choice ends, in words that callers know.
fn end(choice: &mut Members<'_>, word: &str) -> Result<()> {
    let finish = finish_reason::read(word)?;
    if finish_reason::is_known(word) {
        choice.set("finish_reason", Node::Text(word.to_owned().into()));
        return Ok(());
    }
    choice.set("finish_reason", Node::Text(Cow::Borrowed(finish.reason.as_str())));
    choice.fill("native_finish_reason", Node::Text(word.to_owned().into()));
    Ok(())
}

/// The chunk that ends `choice`, which it says besides other things.
fn closing(chunk: &Members<'_>, choice: &Members<'_>) -> String {
    let mut last = choice.clone();
    last.set("delta", Node::Object(Members::default()));
    last.set("logprobs", Node::Null);
    let mut chunk = chunk.clone();
    chunk.set("choices", Node::List(vec![Node::Object(last)]));
    chunk.to_json()
}

/// Groq counts in a place of its own.
fn groq_usage<'a>(chunk: &mut Members<'a>) -> Option<Node<'a>> {
    chunk.get_mut("x_groq")?.object()?.get("usage").cloned()
}

fn number(node: Option<&Node<'_>>) -> Option<u64> {
    match node? {
        Node::Raw(raw) => raw.get().parse().ok(),
        Node::Number(number) => Some(*number),
        Node::Null | Node::Text(_) | Node::List(_) | Node::Object(_) => None,
    }
}

fn parse(json: &str) -> Result<&RawValue> {
    serde_json::from_str(json).map_err(|error| {
        unreadable(format!("{:?} error at character {}", error.classify(), error.column()))
    })
}

/// Mends a whole answer, unless it is an error, which passes as it is.
pub(super) fn whole(json: &str, ids: Ids, asked: &str, renames: bool) -> Result<String> {
    let mut root = Node::Raw(parse(json)?);
    let Some(answer) = root.object() else { return Err(unreadable("an answer is no object")) };
    if answer.get("error").is_some() || !answer.has("choices") {
        return Ok(json.to_owned());
    }
    let mut mender = Mender::new(ids, asked.to_owned(), renames, false);
    mender.head(answer, "chat.completion");
    if let Some(mut usage) = answer.remove("usage").or_else(|| groq_usage(answer)) {
        total(&mut usage);
        answer.set("usage", usage);
    }
    let Some(choices) = answer.get_mut("choices").and_then(Node::list) else {
        return Err(unreadable("choices are no list"));
    };
    for (index, choice) in (0..).zip(choices) {
        whole_choice(choice, index, &mut mender.ids)?;
    }
    Ok(answer.to_json())
}

/// A total that is missing is counted.
fn total(usage: &mut Node<'_>) {
    let Some(usage) = usage.object() else { return };
    let [prompt, completion] =
        ["prompt_tokens", "completion_tokens"].map(|it| number(usage.get(it)));
    if usage.get("total_tokens").is_none()
        && let (Some(prompt), Some(completion)) = (prompt, completion)
    {
        usage.set("total_tokens", Node::Number(prompt.saturating_add(completion)));
    }
}

fn whole_choice(choice: &mut Node<'_>, index: u64, ids: &mut Ids) -> Result<()> {
    let Some(choice) = choice.object() else { return Err(unreadable("a choice is no object")) };
    if number(choice.get("index")).is_none() {
        choice.set("index", Node::Number(index));
    }
    let mut calls = Calls::default();
    let mut called = false;
    if let Some(message) = choice.get_mut("message").and_then(Node::object) {
        let mut turn = Turn { calls: &mut calls, ids, whole: true };
        normalize_message::mend(message, &mut turn)?;
        called = message.has("tool_calls");
        message.lead("role", Node::Text(Cow::Borrowed("assistant")));
        message.fill("content", Node::Null);
        message.fill("refusal", Node::Null);
    }
    choice.fill("logprobs", Node::Null);
    normalize_metadata::logprobs(choice);
    let word = choice.get("finish_reason").and_then(Node::text);
    let word = word.unwrap_or(Cow::Borrowed(if called { "tool_calls" } else { "stop" }));
    end(choice, &word)
}
