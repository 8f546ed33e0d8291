//! The log: lines on the standard output, written by a thread of its own.
//!
//! Whoever logs never waits. When the reader of the output is slow, lines are dropped and counted.

use crate::config::{Format, Level, Log};
use anyhow::Context;
use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry::Registry,
};

/// How many lines may wait to be written.
const QUEUE: usize = 8192;
/// How long lines are gathered before they are written together.
const NAP: Duration = Duration::from_millis(5);

/// The log of the process. Dropping it writes what waits.
#[derive(Debug)]
pub struct Telemetry {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

/// Where lines go. Clones share the queue.
#[derive(Clone, Debug)]
struct Lines {
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

enum Message {
    Line(Vec<u8>),
    End,
}

/// Begins to log; panics too.
///
/// # Errors
///
/// If something else logs already, or there can be no more threads.
pub fn start(log: &Log) -> anyhow::Result<Telemetry> {
    let pretty = if io::stdout().is_terminal() { Format::Pretty } else { Format::Json };
    let telemetry = Telemetry::writing_to(io::stdout(), QUEUE)?;
    let layer = layer(log.format.unwrap_or(pretty), log.level, telemetry.lines.clone());
    let subscriber = Registry::default().with(layer);
    tracing::subscriber::set_global_default(subscriber).context("the log is in use")?;
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(target: "panic", %panic, %backtrace, "a bug");
    }));
    Ok(telemetry)
}

fn layer(format: Format, level: Level, lines: Lines) -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = fmt::layer().with_writer(lines);
    match format {
        Format::Json => {
            let json = layer.json().flatten_event(true).with_current_span(false);
            json.with_span_list(false).with_filter(targets(level)).boxed()
        }
        Format::Pretty => layer.with_filter(targets(level)).boxed(),
    }
}

/// What others log is rarely for us, and HTTP libraries log headers, which hold keys.
fn targets(level: Level) -> Targets {
    let ours = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        .with_target("gateway", ours)
        .with_target("panic", ours)
}

impl Telemetry {
    fn writing_to(output: impl Write + Send + 'static, most: usize) -> io::Result<Self> {
        let (queue, received) = sync_channel(most);
        let dropped = Arc::new(AtomicU64::new(0));
        let thread = std::thread::Builder::new().name("log".to_owned());
        let thread = thread.spawn(move || write_all(output, &received))?;
        Ok(Self { lines: Lines { queue, dropped }, thread: Some(thread) })
    }

    /// How many lines were dropped because the output was too slow.
    pub fn dropped(&self) -> u64 {
        self.lines.dropped.load(Relaxed)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // Waits until there is room: the last lines matter most.
        let _ = self.lines.queue.send(Message::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Writes until the end, in as few pieces as come at once.
fn write_all(output: impl Write, lines: &Receiver<Message>) {
    let mut output = io::BufWriter::with_capacity(64 << 10, output);
    while let Ok(mut message) = lines.recv() {
        loop {
            match message {
                // An output that is closed cannot be told of.
                Message::Line(line) => drop(output.write_all(&line)),
                Message::End => {
                    let _ = output.flush();
                    return;
                }
            }
            let Ok(next) = lines.try_recv() else { break };
            message = next;
        }
        let _ = output.flush();
        // Whoever logs need not wake this thread for each line: under load most find it awake soon.
        std::thread::park_timeout(NAP);
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { lines: self, bytes: Vec::new() }
    }
}

/// One line, sent when it is dropped.
#[derive(Debug)]
struct Line<'a> {
    lines: &'a Lines,
    bytes: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let line = Message::Line(std::mem::take(&mut self.bytes));
        if let Err(TrySendError::Full(_)) = self.lines.queue.try_send(line) {
            self.lines.dropped.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written when `log` logs.
    fn written(format: Format, level: Level, log: impl FnOnce()) -> String {
        let memory = Memory::default();
        let telemetry = Telemetry::writing_to(memory.clone(), QUEUE).unwrap();
        let layer = layer(format, level, telemetry.lines.clone());
        tracing::subscriber::with_default(Registry::default().with(layer), log);
        drop(telemetry);
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_is_one_object_with_its_fields() {
        let line = written(Format::Json, Level::Info, || {
            tracing::info!(target: "gateway_http", model = "m", "two\nlines");
        });
        assert_eq!(line.lines().count(), 1, "{line}");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "two\nlines");
        assert_eq!(line["model"], "m");
        assert_eq!(line["target"], "gateway_http");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[track_caller]
    fn check(level: Level, expected: usize) {
        let lines = written(Format::Pretty, level, || {
            tracing::error!(target: "hyper", "1");
            tracing::debug!(target: "hyper", "never");
            tracing::warn!(target: "gateway_core", "2");
            tracing::info!(target: "gateway_core", "3");
            tracing::trace!(target: "gateway_core", "4");
        });
        assert_eq!(lines.lines().count(), expected, "{lines}");
        assert!(!lines.contains("never"));
    }

    #[test]
    fn a_level_is_for_our_own_lines() {
        check(Level::Error, 1);
        check(Level::Warn, 2);
        check(Level::Info, 3);
        check(Level::Debug, 3);
        check(Level::Trace, 4);
    }

    /// An output that is stuck until it is let go.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_logs_never_waits() {
        let (free, stuck) = sync_channel(0);
        let telemetry = Telemetry::writing_to(Stuck(stuck), 4).unwrap();
        for _ in 0..1000 {
            telemetry.lines.make_writer().write_all(&[b'x'; 4096]).unwrap();
        }
        assert!(telemetry.dropped() > 900, "{}", telemetry.dropped());
        drop(free);
    }
}
