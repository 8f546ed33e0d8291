//! What keeps one provider's trouble from becoming everybody's.
//!
//! Each of these is a [`Provider`](gateway_core::Provider) around a provider, so that they compose
//! in any order.

mod deadlines;

pub use self::deadlines::{Deadlines, Limits};
