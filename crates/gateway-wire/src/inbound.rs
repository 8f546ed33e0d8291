//! The side of a dialect that faces a caller.

use crate::Ids;
use bytes::Bytes;
use gateway_core::{
    ChatRequest, ChatResponse, Chunk, Dialect, DroppedParams, Envelope, GatewayError, Payload,
    RawRequest, Result,
};
use std::sync::Arc;

/// Reads requests of callers and writes answers to them.
pub trait Caller: Send + Sync {
    /// Which dialect this is.
    fn dialect(&self) -> Dialect;

    /// Checks what can be told from outside, of a request that may never be decoded.
    ///
    /// # Errors
    ///
    /// If something is missing without which no upstream could answer.
    fn check(&self, envelope: &Envelope) -> Result<()> {
        let _ = envelope;
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
    fn open(&self, body: Bytes, envelope: Envelope) -> Result<Opened> {
        let original = RawRequest::new(self.dialect(), body, envelope, self.decode());
        let payload = Payload::Raw(Arc::new(original));
        Ok(Opened { asks: vec![payload.clone()], told: payload, dropped: DroppedParams::default() })
    }

    /// Writes a whole answer.
    fn write_whole(&self, answer: ChatResponse, reply: Reply) -> Vec<u8>;

    /// Begins to write a streamed answer.
    fn writer(&self, reply: Reply) -> Box<dyn StreamWriter>;

    /// Writes an error: the body of a reply with a status of failure.
    fn write_error(&self, error: &GatewayError, request_id: &str) -> Vec<u8>;
}

/// What to ask of a model.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The request, as the answer must know it.
    pub told: Payload,
    /// What to put to the model: as a rule one question. Of several each has its own answer, and
    /// the answers are counted through.
    pub asks: Vec<Payload>,
    /// What the request says in vain.
    pub dropped: DroppedParams,
}

/// What an answer must know of the request it answers, and of itself.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The request.
    pub payload: Payload,
    /// The model, as the caller named it; told where the upstream names none.
    pub model: String,
    /// Now, in seconds since 1970.
    pub created: u64,
    /// Ids for what the upstream left nameless.
    pub ids: Ids,
}

/// Writes a streamed answer as server-sent events.
pub trait StreamWriter: Send {
    /// Appends `chunk` to `out`. Verbatim bytes are appended as they are.
    fn write(&mut self, chunk: Chunk, out: &mut Vec<u8>);

    /// Takes the chunk's verbatim bytes out to be written as they are, where that needs no edit.
    ///
    /// Like [`write`](Self::write), without the copy.
    fn pass(&mut self, chunk: &mut Chunk) -> Option<Bytes>;

    /// Appends what ends a complete answer.
    fn end(&mut self, out: &mut Vec<u8>);

    /// Appends an error as the last event: no finish is invented and nothing says that the answer
    /// was complete.
    fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>);
}
