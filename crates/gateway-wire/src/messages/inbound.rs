//! The inbound side of the Messages API.

use super::{
    decode_request, encode_response, errors, stream_writer::MessagesStreamWriter, versions,
};
use crate::{InboundDialect, ResponseContext, StreamWriter};
use gateway_core::{ChatRequest, ChatResponse, Dialect, Envelope, GatewayError, Result};

/// The inbound side of the Messages API.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagesInbound;

impl InboundDialect for MessagesInbound {
    fn dialect(&self) -> Dialect {
        Dialect::Messages
    }

    fn check(&self, envelope: &Envelope) -> Result<()> {
        match &envelope.messages {
            Some(messages) if !messages.is_empty() => Ok(()),
            Some(_) => Err(GatewayError::invalid("messages", "messages is empty")),
            None => Err(GatewayError::invalid("messages", "messages is missing")),
        }
    }

    fn is_in_thread(&self, envelope: &Envelope) -> bool {
        envelope.present.and_then(|present| present.contains("thread")).unwrap_or(false)
    }

    fn check_version(&self, version: &str, body: &[u8]) -> Result<()> {
        versions::check(version, body)
    }

    fn decode(&self) -> fn(&[u8]) -> Result<ChatRequest> {
        decode_request::decode
    }

    fn write_whole(&self, answer: ChatResponse, reply: ResponseContext) -> Vec<u8> {
        encode_response::encode(&answer, reply)
    }

    fn writer(&self, reply: ResponseContext) -> Box<dyn StreamWriter> {
        Box::new(MessagesStreamWriter::new(reply))
    }

    fn write_error(&self, error: &GatewayError, request_id: &str) -> Vec<u8> {
        serde_json::to_vec(&errors::body(error, request_id)).unwrap_or_default()
    }
}

impl MessagesInbound {
    /// Returns the decoder of token-counting requests, in which `max_tokens` is optional.
    pub fn decode_count(&self) -> fn(&[u8]) -> Result<ChatRequest> {
        decode_request::decode_count
    }

    /// Writes a count of tokens.
    pub fn write_count(&self, tokens: u64) -> Vec<u8> {
        format!(r#"{{"input_tokens":{tokens}}}"#).into_bytes()
    }
}
