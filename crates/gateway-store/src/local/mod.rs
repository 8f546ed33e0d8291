//! State that lives and dies with this process.
//!
//! What memory and the file share: both belong to one process, so that what need not survive it
//! need not be written down.

mod cache;
mod session_claims;

pub(crate) use self::{cache::LocalCache, session_claims::SessionClaims};
