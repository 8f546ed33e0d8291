//! The endpoints of sessions.

mod endpoints;
mod parameters;
mod view;

pub(crate) use self::endpoints::serve;
pub(crate) use gateway_engine::tenant;
