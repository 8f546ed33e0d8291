//! Conversion between the bytes of provider APIs and the types of [`gateway_core`].
//!
//! The crate is sans-IO: every function maps bytes to types or back. None waits, connects or
//! panics, and every buffer has a bound, so each dialect is testable from a file and safe to fuzz.
//!
//! A dialect has up to two sides. The [`InboundDialect`] faces callers: it decodes requests and
//! encodes responses. The [`OutboundDialect`] faces upstreams: it encodes requests and decodes
//! responses.
//!
//! ```text
//!   caller                                                                     upstream
//!   bytes -> InboundDialect::decode -> ChatRequest -> OutboundDialect::encode -> bytes
//!   bytes <- StreamWriter           <- StreamEvent <- StreamReader            <- bytes
//! ```
//!
//! When both sides speak the same dialect and nothing needs an edit, the bytes pass through: the
//! request with only the model name replaced, the response in whole events, inspected no further
//! than metering needs.
//!
//! Every dialect folder has the same files: `decode_request`, `encode_request`, `decode_response`,
//! `encode_response`, `stream_reader`, `stream_writer`, `errors`, `usage`, `finish_reason`, `tools`
//! and `media`, as far as the dialect has that side.
//!
//! # Example
//!
//! A request in the dialect of Chat Completions, sent to Anthropic:
//!
//! ```
//! use gateway_core::{Payload, ProviderRequest};
//! use gateway_wire::{
//!     InboundDialect as _, OutboundDialect as _, chat::ChatInbound, messages::MessagesOutbound,
//! };
//!
//! let body = br#"{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hello"}]}"#;
//! let request = ChatInbound.decode()(body)?;
//! let encoded = MessagesOutbound.encode(&ProviderRequest::new(request))?;
//! let sent: serde_json::Value = serde_json::from_slice(&encoded.to_vec()).unwrap();
//! assert_eq!(sent["messages"][0]["role"], "user");
//! assert!(sent["max_tokens"].is_number());
//! # Ok::<(), gateway_core::GatewayError>(())
//! ```

pub mod chat;
mod client_tools;
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
pub mod relay;
pub mod responses;
pub mod seals;
pub mod splice;
pub mod sse;
pub mod tool_names;

mod conform_original;
mod error_status;
mod error_type;
mod ids;
mod inbound;
mod logprobs;
mod member_edits;
mod outbound;
mod provider_tools;
mod request_shape;
mod strict_schemas;
mod token_count;
mod tool_arguments;
#[cfg(test)]
mod tool_loop_tests;
mod translation_losses;
mod unknown_values;
mod upstream_error;

pub use self::{
    conform_original::{conform_original, original_effort},
    error_status::error_status,
    error_type::error_type,
    ids::IdGenerator,
    inbound::{InboundDialect, RequestPrompts, ResponseContext, StreamWriter},
    member_edits::{members_among, without_members},
    outbound::{
        EncodedRequest, ErrorReply, OutboundDialect, StreamFraming, StreamReader, TokenCounter,
    },
    provider_tools::without_unsupported_tools,
    strict_schemas::conform_schemas,
    translation_losses::report_translation_losses,
    upstream_error::{UpstreamErrorBody, unreadable},
};

/// The largest single event, or whole response, that an upstream may send, in bytes.
pub const MAX_ANSWER_BYTES: usize = 32 << 20;
