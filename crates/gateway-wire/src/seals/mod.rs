//! Reasoning seals on their way: each is marked with its owner when it leaves an upstream, and only
//! its owner gets it back.
//!
//! ```text
//!   caller   <- gw2x0123456789ab01234567EqQB.. <- mark    <- EqQB..  the upstream
//!   caller   -> gw2x0123456789ab01234567EqQB.. -> release -> EqQB..  the upstream, if it is its own
//! ```
//!
//! Each dialect has a file `seals` that knows where seals stand in its bytes; the neutral request
//! is treated here.

pub(crate) mod filter;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod mark;
pub(crate) mod release;

pub use self::filter::{SealFilter, SealMarker, is_refusal};
