//! OpenAI Responses: items in, items out, and a stream that numbers its events.
//!
//! ```text
//!   request   input: items     -> decode  -> ChatRequest -> encode -> input: items
//!   answer    output: items    <- writer  <- StreamEvent <- reader <- output: items
//! ```
//!
//! An item is a message, a call, a call's result, a piece of thinking, or something that a tool at
//! the provider did. The gateway's own words for these are parts of messages: adjacent items of the
//! model become one message, and each part becomes an item again.

mod annotations;
mod body;
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
mod reasoning_seals;
mod stored_response;
mod stream_reader;
mod stream_writer;
mod stream_writer_events;
mod stream_writer_items;
mod stream_writer_items_end;
mod tools;
mod usage;

pub use self::{
    encode_response::Stage,
    stored_response::{StateFields, events_after, final_response, input_tokens},
    stream_writer::response_object,
};

use crate::{Caller, Encoded, ErrorReply, Ids, Reply, StreamReader, StreamWriter, Upstream};
use bytes::Bytes;
use gateway_core::{
    ChatRequest, ChatResponse, Chunk, Dialect, GatewayError, ProviderRequest, Result,
};

/// Callers that speak Responses.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponsesCaller;

impl Caller for ResponsesCaller {
    fn dialect(&self) -> Dialect {
        Dialect::Responses
    }

    fn decode(&self) -> fn(&[u8]) -> Result<ChatRequest> {
        decode_request::decode
    }

    fn write_whole(&self, answer: ChatResponse, reply: Reply) -> Vec<u8> {
        stream_writer::write_whole(answer, reply)
    }

    fn writer(&self, reply: Reply) -> Box<dyn StreamWriter> {
        Box::new(stream_writer::Writer::new(reply))
    }

    fn write_error(&self, error: &GatewayError, _: &str) -> Vec<u8> {
        errors::write(error)
    }
}

/// An upstream that speaks Responses.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponsesUpstream;

impl Upstream for ResponsesUpstream {
    fn dialect(&self) -> Dialect {
        Dialect::Responses
    }

    fn encode(&self, call: &ProviderRequest) -> Result<Encoded> {
        encode_request::encode(call)
    }

    fn read_whole(&self, call: &ProviderRequest, body: Bytes, ids: Ids) -> Result<Chunk> {
        decode_response::read(call, &body, ids)
    }

    fn reader(&self, call: &ProviderRequest, ids: Ids) -> Box<dyn StreamReader> {
        Box::new(stream_reader::Reader::new(call, ids))
    }

    fn read_error(&self, reply: &ErrorReply<'_>) -> GatewayError {
        errors::read_reply(reply)
    }
}

#[cfg(test)]
pub(crate) mod tests;
