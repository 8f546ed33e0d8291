//! The testkit: what the end-to-end tests in `it` are written with.
//!
//! ```text
//!   RawConnection  -- bytes -->  Gateway (the real binary)  -- HTTP -->  Upstream (scripted)
//! ```
//!
//! [`RawConnection`] says exactly the bytes that a test wants said and sees exactly what comes back.
//! [`Upstream`] answers from a [`Script`] that may stall, cut and hang up, and keeps a record of
//! every request and of how its peer left. [`Gateway`] is a process of its own, on its own port,
//! with its own directory: tests run beside each other, in any order.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

mod balancer;
mod binary;
mod exchange;
mod fault_injection;
mod gateway;
mod http;
pub mod openai;
mod operated;
pub mod platform;
pub mod port;
mod postgres;
mod raw;
mod redis;
mod script;
mod scripted_answer;
mod setup;
mod upstream;
mod upstream_dialect;

pub use self::{
    balancer::Balancer,
    binary::path as program,
    exchange::{Exchange, ExchangeEnd},
    fault_injection::FaultInjection,
    gateway::Gateway,
    http::MessageHead,
    operated::OperatedGateway,
    port::free as free_port,
    postgres::{PASSWORD as POSTGRES_PASSWORD, Postgres},
    raw::{BodyEnd, RawConnection, Reply, StreamingReply, request},
    redis::Redis,
    script::{Script, cuts},
    scripted_answer::{Dialect, ScriptedAnswer},
    setup::{DataDirectory, Setup},
    upstream::Upstream,
    upstream_dialect::{CallRow, UpstreamDialect},
};

use std::{io::Write as _, process::Command, time::Duration};

/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A caller that leaves, or a deadline, closes the upstream's connection within this time.
pub const PROMPTLY: Duration = Duration::from_millis(250);

/// Prints a measurement to the output of the test.
pub fn print_measurement(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("a standard output");
}

/// A number that a variable of the environment says, for those who want more of a test.
pub fn number(variable: &str) -> Option<u64> {
    std::env::var_os(variable)?.to_str()?.parse().ok()
}

/// Sends a signal to a process that the tests have started.
pub(crate) fn signal(pid: u32, name: &str) {
    let kill = format!("kill -s {name} {pid}");
    let status = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
    assert!(status.success(), "it has stopped already");
}
