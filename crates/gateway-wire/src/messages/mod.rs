//! Anthropic Messages.
//!
//! Roles alternate here, the results of tools stand first in the user's turn, arguments are objects
//! and not text, and a bound on the response's length must be given. Most of [`MessagesOutbound`]
//! is about bringing a conversation of any other shape into that one.

mod cache_control;
mod decode_request;
mod decode_request_messages;
mod decode_response;
mod decode_response_blocks;
mod encode_request;
mod encode_request_blocks;
mod encode_request_sampling;
mod encode_request_thinking;
mod encode_request_turns;
mod encode_response;
mod errors;
mod finish_reason;
mod inbound;
mod json_schema;
mod media;
mod outbound;
mod request_shape;
mod seals;
mod stream_reader;
mod stream_writer;
mod stream_writer_blocks;
mod streamed_message;
mod thread;
mod tool_call_ids;
mod tools;
mod usage;
mod versions;

#[cfg(test)]
mod tests;

pub use self::{
    inbound::MessagesInbound,
    outbound::MessagesOutbound,
    streamed_message::StreamedMessage,
    thread::{
        THREADS_BETA, ThreadDirective, ThreadHistory, thread_not_found, thread_unsupported,
        without_thread,
    },
    versions::{BETA_HEADER, VERSION_HEADER},
};
