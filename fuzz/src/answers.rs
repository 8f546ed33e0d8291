//! Complete responses and errors of every upstream, written for every caller.

use bytes::Bytes;
use gateway_core::{ChatRequest, Collector, Payload, ProviderRequest};
use gateway_wire::{
    ErrorReply, IdGenerator, InboundDialect, ResponseContext, chat::ChatInbound,
    completions::CompletionsInbound, feature_matrix::columns, messages::MessagesInbound,
    responses::ResponsesInbound,
};
use serde::de::IgnoredAny;
use std::{sync::Arc, time::Duration};

const CALLERS: [&dyn InboundDialect; 4] =
    [&ChatInbound, &ResponsesInbound, &MessagesInbound, &CompletionsInbound];

/// Whatever can be read can be written, and the output is JSON.
pub(crate) fn whole(data: &[u8]) {
    for column in columns() {
        let call = ProviderRequest::new(ChatRequest::user("m", "x"));
        let body = Bytes::copy_from_slice(data);
        let Ok(chunk) = column.upstream.read_whole(&call, body, IdGenerator::new(3)) else {
            continue;
        };
        let mut answer = Collector::default();
        answer.extend(chunk.events);
        let answer = answer.finish();
        for caller in CALLERS {
            let payload = Payload::Parsed(Arc::new(ChatRequest::user("m", "x")));
            let reply = ResponseContext {
                payload,
                model: "m".to_owned(),
                created: 7,
                ids: IdGenerator::new(9),
            };
            let told = caller.write_whole(answer.clone(), reply);
            serde_json::from_slice::<IgnoredAny>(&told).expect("JSON");
        }
    }
}

/// An error is never a success, and its output is JSON.
pub(crate) fn refusal(data: &[u8]) {
    let Some((status, body)) = data.split_first() else { return };
    let status = 400 + u16::from(*status) % 200;
    for column in columns() {
        let reply = ErrorReply {
            status,
            retry_after: Some(Duration::from_secs(1)),
            should_retry: Some(status % 2 == 0),
            body,
        };
        let error = column.upstream.read_error(&reply);
        for caller in CALLERS {
            let told = caller.write_error(&error, "request-1");
            serde_json::from_slice::<IgnoredAny>(&told).expect("JSON");
        }
    }
}
