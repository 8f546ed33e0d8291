//! The endpoints of answers that are kept.

mod endpoints;
pub(crate) mod first_message;

pub(crate) use self::endpoints::{cancel, compact, delete, input_items, input_tokens, retrieve};

#[cfg(test)]
mod tests;
