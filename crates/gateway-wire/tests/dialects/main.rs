//! Invariants between dialects: only documented features are lost, and a response is the same
//! streamed or complete.
#![cfg(test)]

mod answers;
mod costs;
mod requests;
mod streams;

use bytes::Bytes;
use gateway_core::{ChatResponse, Chunk, Collector, Content, ProviderRequest, Result, StreamEvent};
use gateway_wire::{IdGenerator, MAX_ANSWER_BYTES, OutboundDialect, framing::EventSplitter};

/// Reads `stream`, which comes in pieces that end at `cuts`.
fn read(
    upstream: &dyn OutboundDialect,
    call: &ProviderRequest,
    stream: &[u8],
    cuts: &[usize],
) -> Result<Vec<StreamEvent>> {
    let mut reader = upstream.reader(call, IdGenerator::new(3));
    let mut splitter = EventSplitter::new(upstream.framing(), MAX_ANSWER_BYTES);
    let mut events = Vec::new();
    let mut take = |block: Option<Bytes>, events: &mut Vec<StreamEvent>| -> Result<()> {
        if let Some(block) = block {
            let mut chunk = Chunk::default();
            reader.read(block, &mut chunk)?;
            events.extend(chunk.events);
        }
        Ok(())
    };
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    for piece in cuts.windows(2) {
        take(splitter.push(Bytes::copy_from_slice(&stream[piece[0]..piece[1]]))?, &mut events)?;
    }
    take(splitter.finish(), &mut events)?;
    let mut last = Chunk::default();
    reader.end(&mut last)?;
    events.extend(last.events);
    Ok(events)
}

/// The response that `events` are the steps of.
fn fold(events: Vec<StreamEvent>) -> ChatResponse {
    let mut answer = Collector::default();
    answer.extend(events);
    answer.finish()
}

/// Returns a response in a short notation.
fn told(answer: &ChatResponse) -> String {
    let choice = &answer.choices[0];
    let calls = answer.tool_calls().map(|call| format!("{}({})", call.name, call.arguments));
    let thought = choice.message.parts.iter().filter_map(|part| {
        if let Content::Reasoning(it) = &part.content { Some(it.text.as_str()) } else { None }
    });
    let usage = answer.usage.map(|it| (it.prompt(), it.completion(), it.cache_read));
    format!(
        "[{}] {:?} {:?} {} {:?}",
        thought.collect::<String>(),
        answer.text(),
        calls.collect::<Vec<_>>(),
        choice.finish.as_ref().map_or("", |finish| finish.reason.as_str()),
        usage,
    )
}
