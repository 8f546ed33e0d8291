//! `OpenAI` Completions, the older API for the continuation of a text.
//!
//! A model with a completions endpoint is asked there, in the caller's own words. For every other
//! model, each prompt becomes the only message of a chat, and the text of the response is the
//! completion.
//!
//! ```text
//!   "prompt": ["a", "b"], "n": 2  ->  two chats, of two answers each
//!   choices 0 1 of the first chat, 0 1 of the second  ->  choices 0 1 2 3
//! ```

mod chat_form;
mod decode_request;
mod encode_response;
mod finish_reason;
mod logprobs;
mod outbound;
mod stream_writer;

#[cfg(test)]
mod tests;

pub use self::outbound::CompletionsOutbound;

use self::stream_writer::CompletionStreamWriter;
use crate::{InboundDialect, RequestPrompts, ResponseContext, StreamWriter, chat::ChatInbound};
use bytes::Bytes;
use gateway_core::{
    ChatRequest, ChatResponse, Dialect, DroppedParams, Envelope, GatewayError, Message, Payload,
    Result,
};
use std::sync::Arc;

/// The inbound side of the Completions API.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompletionsInbound;

impl InboundDialect for CompletionsInbound {
    /// Chat Completions: shared members follow that dialect.
    fn dialect(&self) -> Dialect {
        Dialect::Chat
    }

    fn decode(&self) -> fn(&[u8]) -> Result<ChatRequest> {
        |body| decode_request::decode(body).map(|decoded| decoded.request)
    }

    fn prepare(&self, body: Bytes, _: Envelope) -> Result<RequestPrompts> {
        decode_request::decode(&body).map(decode_request::CompletionRequest::open)
    }

    fn prepare_completion(&self, body: Bytes, _: Envelope) -> Result<RequestPrompts> {
        let payload = Payload::Parsed(Arc::new(decode_request::decode_native(body)?));
        Ok(RequestPrompts {
            prompts: vec![payload.clone()],
            original: payload,
            dropped: DroppedParams::default(),
        })
    }

    fn write_whole(&self, answer: ChatResponse, reply: ResponseContext) -> Vec<u8> {
        encode_response::encode(&answer, reply)
    }

    fn writer(&self, reply: ResponseContext) -> Box<dyn StreamWriter> {
        Box::new(CompletionStreamWriter::new(reply))
    }

    fn write_error(&self, error: &GatewayError, request_id: &str) -> Vec<u8> {
        ChatInbound.write_error(error, request_id)
    }
}

/// The member of a decoded request by which the response knows that it begins with the prompt.
const ECHO: &str = "echo";

/// The prompt that the completion at `index` starts with, if the caller set `echo`.
fn echo(payload: &Payload, index: usize) -> String {
    let Payload::Parsed(request) = payload else { return String::new() };
    if request.extra.get(ECHO).is_none() {
        return String::new();
    }
    let each = usize::try_from(request.options.n.unwrap_or(1)).unwrap_or(1).max(1);
    request.messages.get(index / each).map(Message::plain_text).unwrap_or_default()
}
