//! The endpoints of sessions, and what headers say of them.

mod asked;
mod endpoints;
mod headers;
mod view;

pub(crate) use self::{
    endpoints::serve,
    headers::{add_facts, open, tenant},
};
