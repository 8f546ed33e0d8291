//! Cache entries: the chunks of a response.

use bytes::Bytes;
use gateway_core::{
    Chunk, DroppedParams, Extra, Finish, FinishReason, Json, ResponseMeta, Started, StreamEvent,
    Usage, time::millis,
};
use gateway_tasks::unix_time;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, time::Duration};

/// A cached response with its age.
#[derive(Deserialize, Serialize)]
pub(super) struct CacheEntry {
    /// Creation time in milliseconds since 1970.
    at: u64,
    /// Parameters that the translation dropped.
    dropped: Vec<String>,
    chunks: Vec<CachedChunk>,
}

#[derive(Deserialize, Serialize)]
struct CachedChunk {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<CachedEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verbatim: Option<String>,
    output: bool,
}

/// The events that a cacheable response may have.
#[derive(Deserialize, Serialize)]
enum CachedEvent {
    Started(Option<String>, Option<String>, Option<u64>),
    Choice(u32),
    Text(String),
    Refusal(String),
    Reasoning(String),
    Annotation(Json),
    Logprobs(Json),
    Extra(Extra),
    Usage(Usage),
    Stopped(Option<String>, Option<String>),
}

impl CacheEntry {
    /// Creates an entry, if the response is cacheable: it is complete, and its model had
    /// said all it wanted to say. Calls of tools, seals and what only one dialect knows belong to
    /// one conversation.
    pub(super) fn of(meta: &ResponseMeta, chunks: &[Chunk]) -> Option<Self> {
        let mut is_finished = false;
        let mut stored = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let events = chunk.events.iter().map(cached_event).collect::<Option<Vec<_>>>()?;
            is_finished |= events.iter().any(|event| matches!(event, CachedEvent::Stopped(..)));
            let verbatim = match &chunk.verbatim {
                Some(bytes) => Some(std::str::from_utf8(bytes).ok()?.to_owned()),
                None => None,
            };
            stored.push(CachedChunk { events, verbatim, output: chunk.output });
        }
        let dropped = meta.dropped.iter().map(str::to_owned).collect();
        is_finished.then_some(Self { at: now(), dropped, chunks: stored })
    }

    pub(super) fn write(&self) -> Option<Bytes> {
        serde_json::to_vec(self).ok().map(Bytes::from)
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Returns the age of the entry.
    pub(super) fn age(&self) -> Duration {
        Duration::from_millis(now().saturating_sub(self.at))
    }

    /// Returns the parameters that the translation dropped.
    pub(super) fn dropped(&self) -> DroppedParams {
        let mut dropped = DroppedParams::default();
        self.dropped.iter().for_each(|name| dropped.insert(name.clone()));
        dropped
    }

    pub(super) fn into_chunks(self) -> impl Iterator<Item = Chunk> + Send {
        self.chunks.into_iter().map(|chunk| Chunk {
            events: chunk.events.into_iter().flat_map(stream_events).collect(),
            verbatim: chunk.verbatim.map(Bytes::from),
            output: chunk.output,
            ..Chunk::default()
        })
    }
}

fn cached_event(event: &StreamEvent) -> Option<CachedEvent> {
    Some(match event {
        StreamEvent::Started(Started { id, model, created }) => {
            CachedEvent::Started(id.clone(), model.clone(), *created)
        }
        StreamEvent::Choice(index) => CachedEvent::Choice(*index),
        StreamEvent::Text(text) => CachedEvent::Text(text.clone()),
        StreamEvent::Refusal(text) => CachedEvent::Refusal(text.clone()),
        StreamEvent::Reasoning(text) => CachedEvent::Reasoning(text.clone()),
        StreamEvent::Annotation(json) => CachedEvent::Annotation(json.clone()),
        StreamEvent::Logprobs(json) => CachedEvent::Logprobs(json.clone()),
        StreamEvent::Extra(name, json) => {
            let mut extra = Extra::default();
            extra.push(name.clone().into_owned(), json.clone());
            CachedEvent::Extra(extra)
        }
        StreamEvent::Usage(usage) => CachedEvent::Usage(*usage),
        StreamEvent::Finished(Finish { reason: FinishReason::Stop, native, stop_sequence }) => {
            CachedEvent::Stopped(native.clone(), stop_sequence.clone())
        }
        StreamEvent::Finished(_)
        | StreamEvent::Seal(_)
        | StreamEvent::ToolCall(_)
        | StreamEvent::Opaque(_) => return None,
    })
}

fn stream_events(event: CachedEvent) -> Vec<StreamEvent> {
    vec![match event {
        CachedEvent::Started(id, model, created) => {
            StreamEvent::Started(Started { id, model, created })
        }
        CachedEvent::Choice(index) => StreamEvent::Choice(index),
        CachedEvent::Text(text) => StreamEvent::Text(text),
        CachedEvent::Refusal(text) => StreamEvent::Refusal(text),
        CachedEvent::Reasoning(text) => StreamEvent::Reasoning(text),
        CachedEvent::Annotation(json) => StreamEvent::Annotation(json),
        CachedEvent::Logprobs(json) => StreamEvent::Logprobs(json),
        CachedEvent::Extra(extra) => {
            let told = extra
                .iter()
                .map(|(name, json)| StreamEvent::Extra(Cow::Owned(name.to_owned()), json.clone()));
            return told.collect();
        }
        CachedEvent::Usage(usage) => StreamEvent::Usage(usage),
        CachedEvent::Stopped(native, stop_sequence) => {
            StreamEvent::Finished(Finish { reason: FinishReason::Stop, native, stop_sequence })
        }
    }]
}

/// Returns the current time in milliseconds since 1970.
fn now() -> u64 {
    millis(unix_time())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::ToolCallDelta;

    fn stop() -> StreamEvent {
        StreamEvent::Finished(FinishReason::Stop.into())
    }

    /// Whether an answer of these steps is kept, and comes back as it was.
    #[track_caller]
    fn check(events: Vec<StreamEvent>, kept: bool) {
        let verbatim = Some(Bytes::from_static(b"data: {}\n\n"));
        let chunks = [Chunk { verbatim, ..Chunk::from_events(events) }, Chunk::default()];
        let stored = CacheEntry::of(&ResponseMeta::default(), &chunks);
        assert_eq!(stored.is_some(), kept);
        if let Some(stored) = stored {
            let read = CacheEntry::read(&stored.write().unwrap()).unwrap();
            assert_eq!(read.into_chunks().collect::<Vec<_>>(), chunks);
        }
    }

    #[test]
    fn cache_entry_round_trips() {
        let json = Json::parse(r#"{"a": 1.0}"#).unwrap();
        check(
            vec![
                StreamEvent::Started(Started { id: Some("i".into()), ..Started::default() }),
                StreamEvent::Choice(0),
                StreamEvent::Reasoning("hm".into()),
                StreamEvent::Text("a\u{0}\"".into()),
                StreamEvent::Refusal("no".into()),
                StreamEvent::Annotation(json.clone()),
                StreamEvent::Logprobs(json.clone()),
                StreamEvent::Extra("x".into(), json),
                StreamEvent::Usage(Usage { input: 3, output: 4, ..Usage::default() }),
                stop(),
            ],
            true,
        );
    }

    #[test]
    fn incomplete_or_tool_response_is_not_cached() {
        check(vec![StreamEvent::Text("a".into())], false);
        for reason in [FinishReason::Length, FinishReason::ToolCalls, FinishReason::ContentFilter] {
            check(vec![StreamEvent::Finished(reason.into())], false);
            check(
                vec![stop(), StreamEvent::Choice(1), StreamEvent::Finished(reason.into())],
                false,
            );
        }
        check(vec![StreamEvent::ToolCall(ToolCallDelta::default()), stop()], false);
    }
}
