//! Wire formats, without the wire.
//!
//! Everything here is a function from bytes to [`gateway_core`] types or back. Nothing waits,
//! nothing connects, nothing panics, every buffer has a bound: that makes each dialect testable
//! from a file and safe to fuzz.
//!
//! A dialect has up to two sides. Towards an upstream it is an [`OutboundDialect`]: it writes
//! requests and reads responses. Towards a caller it is a [`InboundDialect`]: it reads requests and
//! writes responses.
//!
//! ```text
//!   caller's bytes -> Caller::decode -> ChatRequest -> Upstream::encode -> upstream's bytes
//!   caller's bytes <- StreamWriter   <- StreamEvent <- StreamReader     <- upstream's bytes
//! ```
//!
//! When both sides speak the same dialect and nothing was edited, the bytes themselves travel: the
//! request with only the model's name replaced, the response as whole events, read no closer than
//! metering needs.

pub mod chat;
pub mod completions;
pub mod embeddings;
pub mod envelope;
pub mod feature_matrix;
pub mod framing;
pub mod gemini;
pub mod json;
pub mod messages;
pub mod ollama;
pub mod reasoning;
pub mod responses;
pub mod splice;
pub mod sse;
pub mod tool_names;

mod error_type;
mod ids;
mod inbound;
mod logprobs;
mod outbound;
mod provider_tools;
mod token_count;
mod tool_arguments;
#[cfg(test)]
mod tool_loop_tests;
mod upstream_error;

pub use self::{
    error_type::error_type,
    ids::IdGenerator,
    inbound::{InboundDialect, RequestPrompts, ResponseContext, StreamWriter},
    outbound::{
        EncodedRequest, ErrorReply, OutboundDialect, StreamFraming, StreamReader, TokenCounter,
    },
    provider_tools::without_unsupported_tools,
    upstream_error::{UpstreamErrorBody, unreadable},
};

/// The largest single event, or whole response, that an upstream may send.
pub const MAX_ANSWER_BYTES: usize = 32 << 20;
