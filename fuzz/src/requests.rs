//! Requests, from every caller's dialect to every upstream's.

use bytes::Bytes;
use gateway_core::{ChatRequest, Inspection, ProviderRequest};
use gateway_wire::{
    InboundDialect,
    chat::ChatInbound,
    completions::CompletionsInbound,
    envelope,
    feature_matrix::{columns, encode},
    json::JsonLimits,
    messages::MessagesInbound,
    responses::ResponsesInbound,
};
use serde::de::IgnoredAny;

pub(crate) fn chat(data: &[u8]) {
    request(&ChatInbound, data);
}

pub(crate) fn responses(data: &[u8]) {
    request(&ResponsesInbound, data);
}

pub(crate) fn messages(data: &[u8]) {
    request(&MessagesInbound, data);
}

pub(crate) fn completions(data: &[u8]) {
    request(&CompletionsInbound, data);
}

/// Whatever can be read can be encoded in every dialect, or is rejected; the output is JSON.
fn request(caller: &dyn InboundDialect, data: &[u8]) {
    let Ok(envelope) = envelope::read(data, &JsonLimits::default()) else { return };
    if caller.check(&envelope).is_err() {
        return;
    }
    let stream = envelope.stream;
    let opened = caller.prepare(Bytes::copy_from_slice(data), envelope);
    // Sent as it came, with what the upstream needs otherwise.
    for payload in opened.iter().flat_map(|opened| opened.prompts.iter().chain([&opened.original]))
    {
        for column in columns() {
            let mut call = ProviderRequest::new(ChatRequest::user("upstream", "x"));
            (call.payload, call.stream, call.inspection) =
                (payload.clone(), stream, Inspection::UsageOnly);
            if call.original(column.upstream.dialect()).is_some() {
                sendable(&column.upstream.encode(&call).map(|it| it.to_vec()).unwrap_or_default());
            }
        }
    }
    // Sent in other words.
    let Ok(request) = caller.decode()(data) else { return };
    for column in columns() {
        if let Ok((body, _)) = encode(&*column.upstream, request.clone()) {
            sendable(&body);
        }
    }
}

fn sendable(body: &[u8]) {
    if !body.is_empty() {
        serde_json::from_slice::<IgnoredAny>(body).expect("JSON");
    }
}
