//! The outbound side of the Messages API.

use super::{
    decode_response,
    encode_request::{RequestPurpose, encode},
    errors,
    stream_reader::MessagesStreamReader,
};
use crate::{
    EncodedRequest, ErrorReply, IdGenerator, OutboundDialect, StreamReader, TokenCounter,
    seals::{
        filter::{SealFilter, SealMarker},
        release,
    },
    splice::{literal, splice},
    unreadable,
};
use bytes::Bytes;
use gateway_core::{
    Chunk, Dialect, DroppedParams, GatewayError, Inspection, Payload, ProviderRequest, RawRequest,
    Result,
};
use serde::Deserialize;

/// The outbound side: Anthropic and compatible upstreams.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagesOutbound;

impl OutboundDialect for MessagesOutbound {
    fn dialect(&self) -> Dialect {
        Dialect::Messages
    }

    fn encode(&self, call: &ProviderRequest) -> Result<EncodedRequest> {
        match verbatim(call) {
            Some(original) => Ok(renamed(original, call)),
            None => encode(call, RequestPurpose::Answer),
        }
    }

    fn release_seals(
        &self,
        call: &ProviderRequest,
        filter: &mut SealFilter,
    ) -> Result<Option<Payload>> {
        release::release_request(call, Dialect::Messages, filter, |request, filter| {
            super::seals::release(&request.body, filter)
        })
    }

    fn seal_marker(&self) -> Option<SealMarker> {
        Some(super::seals::mark)
    }

    fn read_whole(&self, call: &ProviderRequest, body: Bytes, ids: IdGenerator) -> Result<Chunk> {
        let original = verbatim(call);
        let events = match (original, call.inspection) {
            (Some(_), Inspection::UsageOnly) => decode_response::digest(&body)?,
            (Some(_), Inspection::Full) | (None, _) => decode_response::decode(&body, ids)?,
        };
        Ok(Chunk { events, verbatim: original.map(|_| body), output: true, ..Chunk::default() })
    }

    fn reader(&self, call: &ProviderRequest, ids: IdGenerator) -> Box<dyn StreamReader> {
        match verbatim(call) {
            Some(_) => Box::new(MessagesStreamReader::relay(ids, call.inspection)),
            None => Box::new(MessagesStreamReader::new(ids)),
        }
    }

    fn read_error(&self, reply: &ErrorReply<'_>) -> GatewayError {
        errors::of_reply(reply)
    }
}

impl TokenCounter for MessagesOutbound {
    fn encode_count(&self, call: &ProviderRequest) -> Result<EncodedRequest> {
        match call.original(Dialect::Messages) {
            Some(original) if !has_answer(original) => Ok(renamed(original, call)),
            _ => encode(call, RequestPurpose::Count),
        }
    }

    fn read_count(&self, body: &[u8]) -> Result<u64> {
        #[derive(Deserialize)]
        struct Wire {
            input_tokens: u64,
        }
        serde_json::from_slice::<Wire>(body).map(|it| it.input_tokens).map_err(unreadable)
    }
}

/// The caller's own bytes, if they say what `call` is to ask.
fn verbatim(call: &ProviderRequest) -> Option<&RawRequest> {
    let original = call.original(Dialect::Messages)?;
    (original.envelope.stream == call.stream).then_some(original)
}

/// Returns whether a request says more than one to count tokens may.
fn has_answer(original: &RawRequest) -> bool {
    #[derive(Default, Deserialize)]
    struct Wire {
        #[serde(default)]
        max_tokens: Option<serde::de::IgnoredAny>,
    }
    let wire: Wire = serde_json::from_slice(&original.body).unwrap_or_default();
    wire.max_tokens.is_some()
}

/// The caller's bytes, with the name by which the provider knows the model, and without the name
/// of a session, which is ours.
fn renamed(original: &RawRequest, call: &ProviderRequest) -> EncodedRequest {
    let envelope = &original.envelope;
    let mut edits = vec![(envelope.model_span.clone(), literal(&call.target.model))];
    edits.extend(envelope.session.iter().map(|(_, span)| (span.clone(), Bytes::new())));
    EncodedRequest { body: splice(&original.body, edits), dropped: DroppedParams::default() }
}
