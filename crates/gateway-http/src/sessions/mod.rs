//! The endpoints of sessions.

mod asked;
mod endpoints;
mod view;

pub(crate) use self::endpoints::serve;
pub(crate) use gateway_engine::tenant;
