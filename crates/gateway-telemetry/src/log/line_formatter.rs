//! Formatting of events as lines: JSON or readable text.

use super::{
    LogFormat,
    escaped_text::{EscapedText, MAX_FIELD_BYTES, escape, is_plain},
    non_blocking_writer::LineQueue,
    rate_limiter::LogRateLimiter,
    timestamp,
};
use std::{
    cell::Cell,
    error::Error,
    fmt::{self, Write as _},
    sync::atomic::Ordering::Relaxed,
};
use tokio::time::Instant;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

thread_local! {
    /// The memory of the line that the thread formats; as long as its longest line.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A layer that formats every enabled event and queues the line.
#[derive(Debug)]
pub(super) struct LineFormatter {
    format: LogFormat,
    colours: bool,
    queue: LineQueue,
    limiter: LogRateLimiter,
}

impl LineFormatter {
    pub(super) fn new(format: LogFormat, colours: bool, queue: LineQueue) -> Self {
        Self { format, colours, queue, limiter: LogRateLimiter::default() }
    }

    fn object(event: &Event<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"timestamp\":\"");
        timestamp::write(out);
        out.extend_from_slice(b"\",\"level\":\"");
        out.extend_from_slice(event.metadata().level().as_str().as_bytes());
        out.extend_from_slice(b"\",\"target\":\"");
        escape(event.metadata().target(), out);
        out.push(b'"');
        event.record(&mut JsonFields(out));
        out.extend_from_slice(b"}\n");
    }

    fn pretty(&self, event: &Event<'_>, out: &mut Vec<u8>) {
        timestamp::write(out);
        let level = event.metadata().level();
        let (on, off) = if self.colours { (colour(*level), "\u{1b}[0m") } else { ("", "") };
        let mut text = String::new();
        let _ = write!(text, " {on}{level:>5}{off} ");
        out.extend_from_slice(text.as_bytes());
        escape(event.metadata().target(), out);
        out.push(b':');
        event.record(&mut PrettyFields(out));
        out.push(b'\n');
    }
}

const fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}

impl<S: Subscriber> Layer<S> for LineFormatter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !self.limiter.admits(event.metadata(), Instant::now) {
            self.queue.dropped_lines.repeated.fetch_add(1, Relaxed);
            return;
        }
        // Taken, so that a value which logs while it is formatted finds another one.
        let mut line = LINE.try_with(Cell::take).unwrap_or_default();
        match self.format {
            LogFormat::Json => Self::object(event, &mut line),
            LogFormat::Pretty => self.pretty(event, &mut line),
        }
        self.queue.send(&line);
        line.clear();
        // A thread that ends has none to keep it in.
        let _ = LINE.try_with(|kept| kept.set(line));
    }
}

/// A visitor that writes fields as members of a JSON object.
struct JsonFields<'a>(&'a mut Vec<u8>);

impl JsonFields<'_> {
    fn name(&mut self, field: &Field) {
        let name = field.name();
        self.0.reserve(name.len() + 5);
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn bare(&mut self, field: &Field, value: &str) {
        self.name(field);
        self.0.extend_from_slice(value.as_bytes());
    }

    /// A text that is written as it is, with its quotes.
    fn plain(&mut self, field: &Field, value: &str) {
        let name = field.name();
        self.0.reserve(name.len() + value.len() + 6);
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":\"");
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'"');
    }

    fn quoted(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.name(field);
        self.0.push(b'"');
        let _ = EscapedText::into(self.0).write_fmt(value);
        self.0.push(b'"');
    }
}

impl Visit for JsonFields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field, &value.to_string());
        } else {
            self.quoted(field, format_args!("{value}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, itoa::Buffer::new().format(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, if value { "true" } else { "false" });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if value.len() <= MAX_FIELD_BYTES && is_plain(value) {
            self.plain(field, value);
        } else {
            self.quoted(field, format_args!("{value}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.quoted(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.quoted(field, format_args!("{value:?}"));
    }
}

/// A visitor that writes the message as it is and other fields as `name=value`.
struct PrettyFields<'a>(&'a mut Vec<u8>);

impl Visit for PrettyFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push(b' ');
        if field.name() != "message" {
            self.0.extend_from_slice(field.name().as_bytes());
            self.0.push(b'=');
        }
        let _ = write!(EscapedText::into(self.0), "{value:?}");
    }
}
