//! The outbound side of the Completions API: the caller's own request, and responses read as those of
//! a chat.

use super::chat_form;
use crate::{
    EncodedRequest, ErrorReply, IdGenerator, OutboundDialect, StreamReader,
    chat::{ChatOutbound, Quirks, edit_request},
    envelope,
    json::JsonLimits,
};
use bytes::Bytes;
use gateway_core::{
    Chunk, Dialect, DroppedParams, ErrorKind, GatewayError, ProviderRequest, RawRequest, Result,
};

/// The outbound side: upstreams that continue a text at an endpoint of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompletionsOutbound {
    /// The upstream's deviations from `OpenAI`.
    pub quirks: Quirks,
}

/// It was sound when it came in.
const ANY_DEPTH: JsonLimits = JsonLimits { depth: usize::MAX };

impl CompletionsOutbound {
    const fn chat(&self) -> ChatOutbound {
        ChatOutbound { quirks: self.quirks }
    }
}

impl OutboundDialect for CompletionsOutbound {
    /// Chat Completions: errors, usage and most parameters are the same.
    fn dialect(&self) -> Dialect {
        Dialect::Chat
    }

    fn encode(&self, call: &ProviderRequest) -> Result<EncodedRequest> {
        let request = call.request()?;
        let body = request.completion.as_ref().map(|completion| completion.body.clone());
        let body = body.unwrap_or_default();
        let envelope = envelope::read(&body, &ANY_DEPTH)?;
        let original = RawRequest::new(Dialect::Chat, body, envelope, |_| {
            Err(GatewayError::new(ErrorKind::Internal, "a completion is not read as a chat"))
        });
        let mut dropped = DroppedParams::default();
        let body = edit_request(&self.quirks, &original, &call.target, &mut dropped);
        Ok(EncodedRequest { body, dropped })
    }

    fn read_whole(&self, call: &ProviderRequest, body: Bytes, ids: IdGenerator) -> Result<Chunk> {
        let body = chat_form::whole(&body)?;
        self.chat().read_whole(call, body, ids)
    }

    fn reader(&self, call: &ProviderRequest, ids: IdGenerator) -> Box<dyn StreamReader> {
        Box::new(CompletionStreamReader(self.chat().reader(call, ids)))
    }

    fn read_error(&self, reply: &ErrorReply<'_>) -> GatewayError {
        self.chat().read_error(reply)
    }
}

/// Reads events of a completion as those of a chat.
struct CompletionStreamReader(Box<dyn StreamReader>);

impl StreamReader for CompletionStreamReader {
    fn read(&mut self, block: Bytes, chunk: &mut Chunk) -> Result<()> {
        self.0.read(chat_form::events(&block)?, chunk)
    }

    fn end(&mut self, chunk: &mut Chunk) -> Result<()> {
        self.0.end(chunk)
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    fn is_complete(&self) -> bool {
        self.0.is_complete()
    }
}
