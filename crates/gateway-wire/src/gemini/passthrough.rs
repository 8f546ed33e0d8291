//! Requests of callers of this dialect that an upstream of this dialect gets as they are.

use crate::json::{self, JsonLimits};
use bytes::Bytes;
use gateway_core::{Dialect, ProviderRequest};
use memchr::memmem;
use std::ops::Range;

/// The members that only the gateway knows: what the address of a request says, and the session.
const OURS: [&str; 3] = ["model", "stream", "session_id"];

/// The names of parts that are written anew: the ids of calls and their signatures depend on the
/// model that gets them.
const REWRITTEN: [&str; 4] =
    ["\"functionCall\"", "\"function_call\"", "\"functionResponse\"", "\"function_response\""];

/// Returns the caller's own bytes, without the members that only the gateway knows, if they are in
/// this dialect and say what `call` is to ask.
pub(super) fn body(call: &ProviderRequest) -> Option<Vec<Bytes>> {
    let original = call.original(Dialect::Gemini)?;
    let is_said = original.envelope.stream == call.stream;
    let is_rewritten =
        REWRITTEN.iter().any(|name| memmem::find(&original.body, name.as_bytes()).is_some());
    (is_said && !is_rewritten).then(|| without_ours(&original.body)).flatten()
}

fn without_ours(body: &Bytes) -> Option<Vec<Bytes>> {
    let mut kept: Vec<Range<usize>> = Vec::new();
    let limits = JsonLimits { depth: usize::MAX };
    json::members(body, &limits, |member| {
        if !OURS.contains(&&*member.key) {
            kept.push(member.key_span.start..member.value_span.end);
        }
    })
    .ok()?;
    let mut pieces = Vec::with_capacity(2 * kept.len() + 2);
    for span in kept {
        pieces.push(Bytes::from_static(if pieces.is_empty() { b"{" } else { b"," }));
        pieces.push(body.slice(span));
    }
    pieces.push(Bytes::from_static(if pieces.is_empty() { b"{}" } else { b"}" }));
    Some(pieces)
}
