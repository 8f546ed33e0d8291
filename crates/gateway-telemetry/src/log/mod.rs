//! The log: lines on the standard output, written by a thread of their own.
//!
//! ```text
//! event --> Dial: wanted? --> Storm: not again? --> Print: one line --> queue --> thread --> output
//! ```
//!
//! Whoever logs never waits. When the reader of the output is slow, lines are dropped and counted.

mod escaped_text;
mod level_handle;
mod line_formatter;
mod non_blocking_writer;
mod rate_limiter;
mod timestamp;

pub use self::{level_handle::Dial, non_blocking_writer::Losses};

use anyhow::Context;
use line_formatter::Print;
use non_blocking_writer::Lines;
use std::{
    io::{self, IsTerminal},
    sync::Arc,
};
use tracing::Level;
use tracing_subscriber::{Layer, layer::SubscriberExt, registry::Registry};

/// How many lines may wait to be written.
const QUEUE: usize = 8192;

/// How lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For eyes.
    Pretty,
}

/// The log of the process. Dropping it writes what waits, as far as somebody reads it.
#[derive(Debug)]
pub struct Telemetry {
    lines: Lines,
    /// Turns the log up and down.
    pub dial: Dial,
}

/// Begins to log; panics too.
///
/// # Errors
///
/// If something else logs already, or there can be no more threads.
pub fn start(level: Level, format: Option<Format>) -> anyhow::Result<Telemetry> {
    let terminal = io::stdout().is_terminal();
    let usual = if terminal { Format::Pretty } else { Format::Json };
    let telemetry =
        Telemetry { lines: Lines::writing_to(io::stdout(), QUEUE)?, dial: Dial::at(level) };
    let layer = layer(&telemetry, format.unwrap_or(usual), terminal);
    let subscriber = Registry::default().with(layer);
    tracing::subscriber::set_global_default(subscriber).context("the log is in use")?;
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        metrics::counter!("llm_gateway_panics_total").increment(1);
        tracing::error!(target: "panic", %panic, %backtrace, "a bug");
    }));
    Ok(telemetry)
}

fn layer(
    telemetry: &Telemetry,
    format: Format,
    colours: bool,
) -> impl Layer<Registry> + Send + Sync + use<> {
    let print = Print::new(format, colours, telemetry.lines.queue());
    print.with_filter(telemetry.dial.clone())
}

impl Telemetry {
    /// What was not logged.
    pub fn losses(&self) -> Arc<Losses> {
        self.lines.losses()
    }
}

#[cfg(test)]
mod tests;
