//! `OpenAI` Chat Completions, and the many APIs that deviate from it a little.
//!
//! ```text
//!   caller's bytes -> decode_request* -> ChatRequest -> encode_request* -> upstream's bytes
//!   caller's bytes -> request_edits (same dialect: edits in place)      -> upstream's bytes
//!
//!   upstream's bytes -> decode_response -> events -> encode_response, stream_writer -> caller's bytes
//!   upstream's bytes -> passthrough (same dialect, compliant: unchanged)            -> caller's bytes
//!   upstream's bytes -> normalize*  (same dialect, with deviations)                 -> caller's bytes
//! ```
//!
//! The deviations of an upstream from `OpenAI` are its [`Quirks`].

mod decode_request;
mod decode_request_messages;
mod decode_request_options;
mod decode_request_parts;
mod decode_request_reasoning;
mod decode_response;
mod decode_response_wire;
mod encode_request;
mod encode_request_messages;
mod encode_request_parts;
mod encode_response;
mod encode_response_parts;
mod errors;
mod finish_reason;
mod media;
mod normalize;
mod normalize_message;
mod normalize_metadata;
mod outbound;
mod passthrough;
mod quirks;
mod reasoning_details;
mod request_edits;
mod request_shape;
mod seals;
mod stream_reader;
mod stream_writer;
mod tool_call_slots;
mod tools_decode;
mod tools_encode;
pub(crate) mod usage;
mod usage_scan;

pub(crate) use self::request_edits::edit_request;

pub use self::{
    outbound::ChatOutbound,
    quirks::{
        ChatFeature, Quirks, ReasoningHistory, ReasoningParameter, ResponseHandling, VectorEncoding,
    },
};

use self::stream_writer::ChatStreamWriter;
use crate::{InboundDialect, ResponseContext, StreamWriter};
use gateway_core::{ChatRequest, ChatResponse, Dialect, Envelope, GatewayError, Payload, Result};

/// The inbound side of Chat Completions.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChatInbound;

impl InboundDialect for ChatInbound {
    fn dialect(&self) -> Dialect {
        Dialect::Chat
    }

    fn check(&self, envelope: &Envelope) -> Result<()> {
        match &envelope.messages {
            Some(messages) if !messages.is_empty() => Ok(()),
            Some(_) | None => Err(decode_request::no_messages()),
        }
    }

    fn decode(&self) -> fn(&[u8]) -> Result<ChatRequest> {
        decode_request::decode
    }

    fn write_whole(&self, mut answer: ChatResponse, reply: ResponseContext) -> Vec<u8> {
        let calls =
            answer.choices.iter().any(|choice| choice.message.tool_calls().next().is_some());
        let legacy = calls && is_legacy(&reply.payload);
        encode_response::write(&mut answer, reply, legacy)
    }

    fn writer(&self, reply: ResponseContext) -> Box<dyn StreamWriter> {
        Box::new(ChatStreamWriter::new(reply))
    }

    fn write_error(&self, error: &GatewayError, request_id: &str) -> Vec<u8> {
        let mut out = Vec::new();
        errors::write(error, request_id, &mut out);
        out
    }
}

/// Returns whether the caller spells tools in the legacy form.
fn is_legacy(payload: &Payload) -> bool {
    match payload {
        // A request without the word need not be decoded.
        Payload::Raw(it) if !it.may_have("functions") => false,
        Payload::Raw(it) => it.decoded().is_ok_and(|request| request.legacy_functions),
        Payload::Parsed(request) => request.legacy_functions,
        Payload::Relayed(_) => false,
    }
}

#[cfg(test)]
mod tests;
