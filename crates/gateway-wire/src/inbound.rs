//! The side of a dialect that faces a caller.

use crate::IdGenerator;
use bytes::Bytes;
use gateway_core::{
    ChatRequest, ChatResponse, Chunk, Dialect, DroppedParams, Envelope, GatewayError, Payload,
    RawRequest, Result,
};
use std::sync::Arc;

/// The side of a dialect that decodes requests of callers and encodes responses for them.
pub trait InboundDialect: Send + Sync {
    /// The dialect that this implementation reads and writes.
    fn dialect(&self) -> Dialect;

    /// Validates the envelope of a request that may never be decoded.
    ///
    /// # Errors
    ///
    /// If something is missing without which no upstream could response.
    fn check(&self, envelope: &Envelope) -> Result<()> {
        let _ = envelope;
        Ok(())
    }

    /// Adds to `envelope` what a request of this dialect says in members of its own: the bound of
    /// its response, and its service tier.
    fn complete_envelope(&self, body: &[u8], envelope: &mut Envelope) {
        let _ = (body, envelope);
    }

    /// Whether the request continues, or begins, a conversation that the server is to hold.
    fn is_in_thread(&self, envelope: &Envelope) -> bool {
        let _ = envelope;
        false
    }

    /// Checks a request against the version of the API that its caller asks for in a header.
    ///
    /// # Errors
    ///
    /// If that version refuses it.
    fn check_version(&self, version: &str, body: &[u8]) -> Result<()> {
        let _ = (version, body);
        Ok(())
    }

    /// Reads a request: one valid JSON object.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it, and names the parameter.
    fn decode(&self) -> fn(&[u8]) -> Result<ChatRequest>;

    /// Says what to ask of a model for a request: `body`, of which `envelope` was read.
    ///
    /// # Errors
    ///
    /// If the request must be decoded for that, and cannot be.
    fn prepare(&self, body: Bytes, envelope: Envelope) -> Result<RequestPrompts> {
        let original = RawRequest::new(self.dialect(), body, envelope, self.decode());
        Ok(RequestPrompts {
            prompts: Vec::new(),
            original: Payload::Raw(Arc::new(original)),
            dropped: DroppedParams::default(),
        })
    }

    /// Says what to ask of a model that has a completions endpoint: the same, except for the dialect
    /// of that endpoint.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare).
    fn prepare_completion(&self, body: Bytes, envelope: Envelope) -> Result<RequestPrompts> {
        self.prepare(body, envelope)
    }

    /// Writes a whole response.
    fn write_whole(&self, answer: ChatResponse, reply: ResponseContext) -> Vec<u8>;

    /// Begins to write a streamed response.
    fn writer(&self, reply: ResponseContext) -> Box<dyn StreamWriter>;

    /// Writes an error: the body of a response with a status of failure.
    fn write_error(&self, error: &GatewayError, request_id: &str) -> Vec<u8>;
}

/// The provider requests that a caller's request turns into.
#[derive(Clone, Debug)]
pub struct RequestPrompts {
    /// The request, as the response must know it.
    pub original: Payload,
    /// The prompts to generate for; empty if the request is the one prompt. Each has its own
    /// response; their choices are numbered consecutively.
    pub prompts: Vec<Payload>,
    /// The parameters that no upstream will see.
    pub dropped: DroppedParams,
}

/// The request and metadata that a response refers to.
#[derive(Clone, Debug)]
pub struct ResponseContext {
    /// The request that is answered.
    pub payload: Payload,
    /// The model as the caller named it, written where the upstream names none.
    pub model: String,
    /// Now, in seconds since 1970.
    pub created: u64,
    /// Ids for what the upstream left nameless.
    pub ids: IdGenerator,
}

/// An encoder of a streamed response, as server-sent events.
pub trait StreamWriter: Send {
    /// Appends `chunk` to `out`. Verbatim bytes are appended as they are.
    fn write(&mut self, chunk: Chunk, out: &mut Vec<u8>);

    /// Takes the chunk's verbatim bytes out to be written as they are, where that needs no edit.
    ///
    /// Like [`write`](Self::write), without the copy.
    fn pass(&mut self, chunk: &mut Chunk) -> Option<Bytes>;

    /// Appends what ends a complete response.
    fn end(&mut self, out: &mut Vec<u8>);

    /// Appends an error as the last event: no finish is invented and nothing says that the response
    /// was complete.
    fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>);
}
