//! Both ends of a connection: [`server`] takes those of callers, [`client`] opens those to
//! upstreams.
//!
//! Every wait has a deadline and every buffer a bound. Settings come in as plain structs, and the
//! crate knows neither a dialect nor a configuration file.

pub mod client;
pub mod server;

/// Runs the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
