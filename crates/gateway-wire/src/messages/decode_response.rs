//! Whole responses of the provider.

use super::{
    decode_response_blocks::BlockDecoder, errors, finish_reason, usage::MessagesUsageWire,
};
use crate::{IdGenerator, unreadable};
use gateway_core::{Result, Started, StreamEvent};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Debug, Deserialize)]
struct MessageResponseWire<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_sequence: Option<String>,
    #[serde(default)]
    usage: Option<MessagesUsageWire>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

/// Returns the events of a complete response.
///
/// # Errors
///
/// If the body is not a response, or is an error.
pub(super) fn decode(body: &[u8], ids: IdGenerator) -> Result<Vec<StreamEvent>> {
    let wire = read(body)?;
    let mut steps = BlockDecoder::new(ids);
    let mut events = vec![StreamEvent::Started(Started {
        id: wire.id.filter(|id| !id.is_empty()),
        model: wire.model.filter(|model| !model.is_empty()),
        created: None,
    })];
    let content = wire.content.map_or("null", RawValue::get);
    let blocks: Option<Vec<&RawValue>> = serde_json::from_str(content).map_err(unreadable)?;
    for block in blocks.into_iter().flatten() {
        steps.start(block, &mut events)?;
    }
    steps.stop(&mut events);
    events.extend(wire.usage.map(|counts| StreamEvent::Usage(counts.usage())));
    let finish = finish_reason::decode(wire.stop_reason, wire.stop_sequence, steps.has_calls());
    events.push(StreamEvent::Finished(finish));
    Ok(events)
}

/// Reads the usage and stop reason of a whole response, skipping its content.
///
/// # Errors
///
/// Like [`decode`].
pub(super) fn digest(body: &[u8]) -> Result<Vec<StreamEvent>> {
    let wire = read(body)?;
    let mut events: Vec<_> =
        wire.usage.map(|counts| StreamEvent::Usage(counts.usage())).into_iter().collect();
    let finish = finish_reason::decode(wire.stop_reason, wire.stop_sequence, false);
    events.push(StreamEvent::Finished(finish));
    Ok(events)
}

fn read(body: &[u8]) -> Result<MessageResponseWire<'_>> {
    let wire: MessageResponseWire<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    if wire.kind == "error" || wire.error.is_some() {
        return Err(errors::of_event(body));
    }
    // No content is a good response too, but then it says why it ended.
    if wire.content.is_none() && wire.stop_reason.is_none() {
        return Err(unreadable("an object that is not a response"));
    }
    Ok(wire)
}
