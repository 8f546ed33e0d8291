//! OpenAI Responses: items in, items out, and a stream that numbers its events.
//!
//! ```text
//!   request   input: items     -> decode  -> ChatRequest -> encode -> input: items
//!   answer    output: items    <- writer  <- StreamEvent <- reader <- output: items
//! ```
//!
//! An item is a message, a tool call, a tool result, a reasoning summary, or the work of a
//! provider-run tool. In the neutral request these are parts of messages: adjacent items of the
//! model become one message, and each part becomes an item again.

mod annotations;
mod decode_request;
mod decode_request_content;
mod decode_request_input;
mod decode_response;
mod decode_response_items;
mod decode_response_wire;
mod encode_request;
mod encode_request_extra;
mod encode_request_input;
mod encode_request_items;
mod encode_request_options;
mod encode_response;
mod encode_response_items;
mod errors;
mod finish_reason;
mod media;
mod reasoning_seals;
mod request_shape;
mod seals;
mod stored_response;
mod stream_reader;
mod stream_writer;
mod stream_writer_events;
mod stream_writer_items;
mod stream_writer_items_end;
mod tools;
mod usage;

pub use self::{
    encode_response::ResponseStage,
    stored_response::{ResponseStateFields, events_after, final_response, input_tokens},
    stream_writer::response_object,
};

use crate::{
    EncodedRequest, ErrorReply, IdGenerator, InboundDialect, OutboundDialect, ResponseContext,
    StreamReader, StreamWriter,
    seals::{
        filter::{SealFilter, SealMarker},
        release,
    },
};
use bytes::Bytes;
use gateway_core::{
    ChatRequest, ChatResponse, Chunk, Dialect, GatewayError, Payload, ProviderRequest, Result,
};

/// The inbound side of the Responses API.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponsesInbound;

impl InboundDialect for ResponsesInbound {
    fn dialect(&self) -> Dialect {
        Dialect::Responses
    }

    fn decode(&self) -> fn(&[u8]) -> Result<ChatRequest> {
        decode_request::decode
    }

    fn write_whole(&self, answer: ChatResponse, reply: ResponseContext) -> Vec<u8> {
        stream_writer::write_whole(answer, reply)
    }

    fn writer(&self, reply: ResponseContext) -> Box<dyn StreamWriter> {
        Box::new(stream_writer::ResponsesStreamWriter::new(reply))
    }

    fn write_error(&self, error: &GatewayError, _: &str) -> Vec<u8> {
        errors::write(error)
    }
}

/// The outbound side of the Responses API.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponsesOutbound;

impl OutboundDialect for ResponsesOutbound {
    fn dialect(&self) -> Dialect {
        Dialect::Responses
    }

    fn encode(&self, call: &ProviderRequest) -> Result<EncodedRequest> {
        encode_request::encode(call)
    }

    fn release_seals(
        &self,
        call: &ProviderRequest,
        filter: &mut SealFilter,
    ) -> Result<Option<Payload>> {
        release::release_request(call, Dialect::Responses, filter, |request, filter| {
            seals::release(&request.body, filter)
        })
    }

    fn seal_marker(&self) -> Option<SealMarker> {
        Some(seals::mark)
    }

    fn read_whole(&self, call: &ProviderRequest, body: Bytes, ids: IdGenerator) -> Result<Chunk> {
        decode_response::read(call, &body, ids)
    }

    fn reader(&self, call: &ProviderRequest, ids: IdGenerator) -> Box<dyn StreamReader> {
        Box::new(stream_reader::ResponsesStreamReader::new(call, ids))
    }

    fn read_error(&self, reply: &ErrorReply<'_>) -> GatewayError {
        errors::read_reply(reply)
    }
}

#[cfg(test)]
pub(crate) mod tests;
