//! The endpoints of stored responses.

mod endpoints;
pub(crate) mod first_message;

pub(crate) use self::endpoints::{cancel, compact, delete, input_items, input_tokens, retrieve};

#[cfg(test)]
mod tests;
