//! Decodes responses: a whole one is a stream of a single line.

use super::{
    errors::OllamaErrorReply, finish_reason::finish, stream_reader::OllamaStreamReader,
    usage::usage,
};
use crate::{
    IdGenerator,
    logprobs::{self, LogprobWire},
    token_count::LenientCount,
    unreadable,
};
use gateway_core::{Result, Started, StreamEvent, ToolCallDelta, compact_json};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A line of a response.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OllamaLineWire<'a> {
    model: Option<String>,
    #[serde(borrow)]
    message: Option<OllamaReplyMessageWire<'a>>,
    done: Option<bool>,
    done_reason: Option<String>,
    prompt_eval_count: Option<LenientCount>,
    eval_count: Option<LenientCount>,
    #[serde(borrow)]
    logprobs: Option<Vec<OllamaLogprobWire<'a>>>,
    error: Option<OllamaErrorReply>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OllamaReplyMessageWire<'a> {
    content: Option<String>,
    thinking: Option<String>,
    #[serde(borrow)]
    tool_calls: Option<Vec<OllamaReplyCallWire<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OllamaReplyCallWire<'a> {
    id: Option<String>,
    #[serde(borrow)]
    function: OllamaReplyFunctionWire<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OllamaReplyFunctionWire<'a> {
    name: Option<String>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OllamaLogprobWire<'a> {
    #[serde(borrow)]
    token: Option<Cow<'a, str>>,
    #[serde(borrow)]
    logprob: Option<&'a RawValue>,
    #[serde(borrow)]
    top_logprobs: Option<Vec<Self>>,
}

/// Decodes a whole body, which may hold several objects in sequence.
pub(super) fn whole(body: &[u8], ids: IdGenerator) -> Result<Vec<StreamEvent>> {
    let (mut reader, mut events) = (OllamaStreamReader::new(ids), Vec::new());
    for line in serde_json::Deserializer::from_slice(body).into_iter() {
        reader.line(line.map_err(unreadable)?, &mut events)?;
    }
    reader.check_end()?;
    Ok(events)
}

impl OllamaStreamReader {
    /// Decodes one object of a response.
    pub(super) fn line(
        &mut self,
        line: OllamaLineWire<'_>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<()> {
        if let Some(error) = line.error.filter(OllamaErrorReply::is_one) {
            return Err(error.into_fault().into_error());
        }
        if !self.has_started {
            self.has_started = true;
            let started = Started { model: line.model.clone(), ..Started::default() };
            events.push(StreamEvent::Started(started));
        }
        self.message(line.message.unwrap_or_default(), events);
        let likelihoods = line.logprobs.as_deref().filter(|tokens| !tokens.is_empty());
        events.extend(likelihoods.map(|tokens| {
            StreamEvent::Logprobs(logprobs::chat_logprobs(
                tokens.iter().map(|likely| token(likely, true)).collect(),
            ))
        }));
        if line.done == Some(true) {
            self.is_done = true;
            events.extend(usage(line.prompt_eval_count, line.eval_count).map(StreamEvent::Usage));
            events.push(StreamEvent::Finished(finish(line.done_reason, self.calls > 0)));
        }
        Ok(())
    }

    fn message(&mut self, message: OllamaReplyMessageWire<'_>, events: &mut Vec<StreamEvent>) {
        let thinking = message.thinking.filter(|text| !text.is_empty());
        events.extend(thinking.map(StreamEvent::Reasoning));
        let content = message.content.filter(|text| !text.is_empty());
        events.extend(content.map(StreamEvent::Text));
        for call in message.tool_calls.unwrap_or_default() {
            let id = call.id.filter(|id| !id.is_empty());
            events.push(StreamEvent::ToolCall(ToolCallDelta {
                index: self.calls,
                id: id.unwrap_or_else(|| self.ids.next("call_")),
                name: call.function.name.unwrap_or_default(),
                arguments: call.function.arguments.map_or_else(|| "{}".to_owned(), arguments),
                ..ToolCallDelta::default()
            }));
            self.calls = self.calls.saturating_add(1);
        }
    }
}

/// Returns the arguments as an object; a string that holds one is unwrapped.
fn arguments(raw: &RawValue) -> String {
    let text = serde_json::from_str::<String>(raw.get());
    text.unwrap_or_else(|_| compact_json(raw.get()))
}

fn token<'a>(likely: &'a OllamaLogprobWire<'_>, is_chosen: bool) -> LogprobWire<'a> {
    let text = likely.token.as_deref().unwrap_or_default();
    let others = likely.top_logprobs.as_deref().unwrap_or_default().iter();
    let top_logprobs = is_chosen.then(|| others.map(|other| token(other, false)).collect());
    LogprobWire { text, logprob: likely.logprob, bytes: text.as_bytes(), top_logprobs }
}
