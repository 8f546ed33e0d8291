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

mod answer;
mod body;
mod decode;
mod decode_content;
mod decode_input;
mod emit;
mod encode;
mod encode_extra;
mod encode_input;
mod encode_options;
mod errors;
mod item;
mod notes;
mod object;
mod output;
mod output_end;
mod output_item;
mod reader;
mod response;
mod seals;
mod state;
mod tools;
mod usage;
mod whole;
mod writer;

pub use self::{
    object::Stage,
    state::{StateFields, events_after, final_response, input_tokens},
    writer::response_object,
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
        decode::decode
    }

    fn write_whole(&self, answer: ChatResponse, reply: Reply) -> Vec<u8> {
        writer::write_whole(answer, reply)
    }

    fn writer(&self, reply: Reply) -> Box<dyn StreamWriter> {
        Box::new(writer::Writer::new(reply))
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
        encode::encode(call)
    }

    fn read_whole(&self, call: &ProviderRequest, body: Bytes, ids: Ids) -> Result<Chunk> {
        whole::read(call, &body, ids)
    }

    fn reader(&self, call: &ProviderRequest, ids: Ids) -> Box<dyn StreamReader> {
        Box::new(reader::Reader::new(call, ids))
    }

    fn read_error(&self, reply: &ErrorReply<'_>) -> GatewayError {
        errors::read_reply(reply)
    }
}

#[cfg(test)]
pub(crate) mod tests;
