//! Reading an answer, whole or line by line: a whole answer is one line.

use super::errors::Failure;
use crate::{
    Ids, StreamReader, framing,
    logprobs::{self, Token},
    token_count::{Reading, Tokens},
    tool_arguments, unreadable,
};
use bytes::Bytes;
use gateway_core::{
    Chunk, ErrorKind, Finish, FinishReason, GatewayError, Result, Started, StreamEvent,
    ToolCallDelta, Usage,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    model: Option<String>,
    #[serde(borrow)]
    message: Option<WireMessage<'a>>,
    done: Option<bool>,
    done_reason: Option<String>,
    prompt_eval_count: Option<Tokens>,
    eval_count: Option<Tokens>,
    #[serde(borrow)]
    logprobs: Option<Vec<Likely<'a>>>,
    error: Option<Failure>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireMessage<'a> {
    content: Option<String>,
    thinking: Option<String>,
    #[serde(borrow)]
    tool_calls: Option<Vec<WireCall<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireCall<'a> {
    id: Option<String>,
    #[serde(borrow)]
    function: WireFunction<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireFunction<'a> {
    name: Option<String>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Likely<'a> {
    #[serde(borrow)]
    token: Option<Cow<'a, str>>,
    #[serde(borrow)]
    logprob: Option<&'a RawValue>,
    #[serde(borrow)]
    top_logprobs: Option<Vec<Self>>,
}

/// Reads lines until one says that it is the last.
#[derive(Debug)]
pub(super) struct Reader {
    ids: Ids,
    has_started: bool,
    is_done: bool,
    calls: u32,
}

impl Reader {
    pub(super) fn new(ids: Ids) -> Self {
        Self { ids, has_started: false, is_done: false, calls: 0 }
    }

    fn line(&mut self, line: Line<'_>, events: &mut Vec<StreamEvent>) -> Result<()> {
        if let Some(error) = line.error.filter(Failure::is_one) {
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
            StreamEvent::Logprobs(logprobs::told(
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

    fn message(&mut self, message: WireMessage<'_>, events: &mut Vec<StreamEvent>) {
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

    fn lines(&mut self, block: &[u8], events: &mut Vec<StreamEvent>) -> Result<()> {
        for line in framing::lines(block) {
            if self.is_done {
                break;
            }
            // Whatever is not UTF-8 is replaced rather than ending an answer.
            let line = String::from_utf8_lossy(line);
            self.line(serde_json::from_str(&line).map_err(unreadable)?, events)?;
        }
        Ok(())
    }

    fn check_end(&self) -> Result<()> {
        if self.is_done {
            return Ok(());
        }
        Err(GatewayError::new(
            ErrorKind::UpstreamTruncated,
            "the provider's answer ended before it was complete",
        ))
    }
}

impl StreamReader for Reader {
    fn read(&mut self, block: Bytes, chunk: &mut Chunk) -> Result<()> {
        let done = self.lines(&block, &mut chunk.events);
        chunk.output = chunk.events.iter().any(StreamEvent::is_output);
        done
    }

    fn end(&mut self, _: &mut Chunk) -> Result<()> {
        self.check_end()
    }

    fn is_finished(&self) -> bool {
        self.is_done
    }

    fn is_complete(&self) -> bool {
        self.is_done
    }
}

/// The events of a body that came whole, even if it is several objects one after the other.
pub(super) fn whole(body: &[u8], ids: Ids) -> Result<Vec<StreamEvent>> {
    let (mut reader, mut events) = (Reader::new(ids), Vec::new());
    for line in serde_json::Deserializer::from_slice(body).into_iter() {
        reader.line(line.map_err(unreadable)?, &mut events)?;
    }
    reader.check_end()?;
    Ok(events)
}

/// Arguments are an object; a text that holds one is taken for it.
fn arguments(raw: &RawValue) -> String {
    let text = serde_json::from_str::<String>(raw.get());
    text.unwrap_or_else(|_| tool_arguments::compact(raw.get()))
}

/// The counts. A prompt that was cached may be missing from them.
fn usage(read: Option<Tokens>, written: Option<Tokens>) -> Option<Usage> {
    read.or(written)?;
    let mut reading = Reading::default();
    let (input, output) = (reading.count(read), reading.count(written));
    Some(Usage { input, output, is_odd: reading.is_odd, ..Usage::default() })
}

/// Ollama has no reason of its own for calls. A call that was cut short is still cut short.
fn finish(native: Option<String>, has_calls: bool) -> Finish {
    let reason = match native.as_deref() {
        Some("length") => FinishReason::Length,
        _ if has_calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    };
    Finish { reason, native, stop_sequence: None }
}

fn token<'a>(likely: &'a Likely<'_>, is_chosen: bool) -> Token<'a> {
    let text = likely.token.as_deref().unwrap_or_default();
    let others = likely.top_logprobs.as_deref().unwrap_or_default().iter();
    let top_logprobs = is_chosen.then(|| others.map(|other| token(other, false)).collect());
    Token { text, logprob: likely.logprob, bytes: text.as_bytes(), top_logprobs }
}
