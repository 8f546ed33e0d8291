//! Headers that replies carry.

pub(crate) mod admission;
pub(crate) mod batch;
pub(crate) mod cost;
pub(crate) mod facts;
pub(crate) mod rate_limit;
