//! `OpenAI` Chat Completions, and the many dialects that are nearly the same.

mod decode;
mod decode_message;
mod decode_options;
mod decode_part;
mod decode_tools;
mod lenient;
mod object;
mod thought;
