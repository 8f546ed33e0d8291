//! What is known of a request before its body is read.

pub mod peer;
