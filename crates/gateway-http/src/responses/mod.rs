//! The endpoints of answers that are kept.

mod background;
mod endpoints;

pub(crate) use self::{
    background::{Work, start},
    endpoints::{cancel, delete, input_items, input_tokens, parameters, retrieve},
};
pub(crate) use gateway_sessions::responses::plan;

#[cfg(test)]
mod tests;
