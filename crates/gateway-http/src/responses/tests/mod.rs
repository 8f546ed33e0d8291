//! Answers that are kept, from request to reply: a file a story.

mod background;
mod bench;
mod continued;
mod conversations;
mod kept;
mod streamed;
