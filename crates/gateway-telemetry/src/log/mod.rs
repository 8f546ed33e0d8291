//! The log: lines on the standard output, written by a thread of their own.
//!
//! ```text
//! event --> LevelHandle (filter) --> LogRateLimiter --> LineFormatter --> queue --> thread --> output
//! ```
//!
//! Logging never blocks: when the output is slow, lines are dropped and counted.

mod escaped_text;
mod level_handle;
mod line_formatter;
mod non_blocking_writer;
mod rate_limiter;
mod timestamp;

pub use self::{level_handle::LevelHandle, non_blocking_writer::DroppedLines};

use anyhow::Context;
use line_formatter::LineFormatter;
use non_blocking_writer::NonBlockingWriter;
use std::{
    io::{self, IsTerminal},
    sync::Arc,
};
use tracing::Level;
use tracing_subscriber::{Layer, layer::SubscriberExt, registry::Registry};

/// The number of lines that can be queued.
const QUEUE: usize = 8192;

/// The format of lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// A JSON object per line.
    Json,
    /// Readable text, for a terminal.
    Pretty,
}

/// The log of the process. Dropping it flushes the queue, within a second.
#[derive(Debug)]
pub struct LogHandle {
    lines: NonBlockingWriter,
    /// The handle to the level.
    pub level: LevelHandle,
}

/// Installs the log as the global subscriber and logs panics.
///
/// # Errors
///
/// If a subscriber is already installed, or no thread can be spawned.
pub fn start(level: Level, format: Option<LogFormat>) -> anyhow::Result<LogHandle> {
    let terminal = io::stdout().is_terminal();
    let usual = if terminal { LogFormat::Pretty } else { LogFormat::Json };
    let telemetry = LogHandle {
        lines: NonBlockingWriter::spawn(io::stdout(), QUEUE)?,
        level: LevelHandle::new(level),
    };
    let layer = layer(&telemetry, format.unwrap_or(usual), terminal);
    let subscriber = Registry::default().with(layer);
    tracing::subscriber::set_global_default(subscriber)
        .context("a tracing subscriber is already installed")?;
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        metrics::counter!("llm_gateway_panics_total").increment(1);
        tracing::error!(target: "panic", %panic, %backtrace, "a bug");
    }));
    Ok(telemetry)
}

fn layer(
    telemetry: &LogHandle,
    format: LogFormat,
    colours: bool,
) -> impl Layer<Registry> + Send + Sync + use<> {
    let print = LineFormatter::new(format, colours, telemetry.lines.queue());
    print.with_filter(telemetry.level.clone())
}

impl LogHandle {
    /// Returns the counts of lines that were not logged.
    pub fn dropped_lines(&self) -> Arc<DroppedLines> {
        self.lines.dropped_lines()
    }
}

#[cfg(test)]
mod tests;
