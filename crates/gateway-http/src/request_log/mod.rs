//! The request log over HTTP: one request, a search, and an export.

mod csv;
mod endpoints;
mod export;
mod query;
mod reader;
mod refusal;
mod view;

pub(crate) use self::{
    endpoints::serve,
    reader::LogReader,
    refusal::{RefusalReply, RefusedRequest, record},
};
