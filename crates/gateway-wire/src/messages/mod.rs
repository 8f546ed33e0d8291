//! Anthropic Messages.
//!
//! Roles alternate here, the results of tools stand first in the user's turn, arguments are objects
//! and not text, and a bound on the answer's length must be given. Most of [`MessagesUpstream`] is
//! about bringing a conversation of any other shape into that one.

mod answer;
mod base64;
mod block;
mod body;
mod cache;
mod caller;
mod counts;
mod failure;
mod ids;
mod incoming;
mod offered;
mod pieces;
mod reader;
mod request;
mod sampling;
mod schema;
mod steps;
mod stop;
mod thinking;
mod tools;
mod turns;
mod upstream;
mod whole;
mod writer;

#[cfg(test)]
mod tests;

pub use self::{caller::MessagesCaller, upstream::MessagesUpstream};
