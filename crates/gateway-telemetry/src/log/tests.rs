use super::{non_blocking_writer::NonBlockingWriter, *};
use std::io::Write;
use std::sync::{
    Mutex,
    atomic::Ordering::Relaxed,
    mpsc::{Receiver, sync_channel},
};

#[derive(Clone, Default)]
struct MemoryOutput(Arc<Mutex<Vec<u8>>>);

impl Write for MemoryOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the lines written while `log` runs.
fn logged_text(format: LogFormat, level: Level, log: impl FnOnce(&LevelHandle)) -> String {
    let memory = MemoryOutput::default();
    let lines = NonBlockingWriter::spawn(memory.clone(), QUEUE).unwrap();
    let telemetry = LogHandle { lines, level: LevelHandle::new(level) };
    let subscriber = Registry::default().with(layer(&telemetry, format, false));
    tracing::subscriber::with_default(subscriber, || log(&telemetry.level));
    drop(telemetry);
    let bytes = memory.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn event_is_one_json_object() {
    let line = logged_text(LogFormat::Json, Level::INFO, |_| {
        let none: Option<&str> = None;
        let (error, nan) = (io::Error::other("broken\r\npipe"), f64::NAN);
        tracing::info!(target: "gateway_http", model = "m", n = 3, f = 0.5, yes = true, none, nan,
            error = %error, dyn_error = &error as &dyn std::error::Error, "two\nlines");
    });
    assert_eq!(line.lines().count(), 1, "{line}");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    let mut line = line.as_object().unwrap().clone();
    line.remove("timestamp");
    let expected = serde_json::json!({
        "level": "INFO", "message": "two\nlines", "model": "m", "target": "gateway_http",
        "n": 3, "f": 0.5, "yes": true, "nan": "NaN",
        "error": "broken\r\npipe", "dyn_error": "broken\r\npipe",
    });
    assert_eq!(serde_json::Value::Object(line), expected);
}

#[test]
fn field_cannot_break_the_line() {
    for evil in ["\u{1b}[31mred", "\"}{\"level\":\"ERROR", "a\r\nb", &"x".repeat(1 << 20)] {
        let log =
            |_: &LevelHandle| tracing::info!(target: "gateway", evil, debug = ?evil, shown = %evil);
        let line = logged_text(LogFormat::Json, Level::INFO, log);
        assert_eq!(line.lines().count(), 1);
        assert!(line.len() < 4096 && !line.contains('\u{1b}'));
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
        let line = logged_text(LogFormat::Pretty, Level::INFO, log);
        assert_eq!(line.lines().count(), 1);
        assert!(line.len() < 4096 && !line.contains('\u{1b}'));
    }
}

#[track_caller]
fn check(level: Level, expected: usize) {
    let lines = logged_text(LogFormat::Pretty, level, |_| {
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
fn level_applies_to_own_targets() {
    check(Level::ERROR, 1);
    check(Level::WARN, 2);
    check(Level::INFO, 3);
    check(Level::DEBUG, 3);
    check(Level::TRACE, 4);
}

#[test]
fn level_changes_at_run_time() {
    let lines = logged_text(LogFormat::Pretty, Level::INFO, |level| {
        let log = |what: &str| tracing::debug!(target: "gateway_core", "{what}");
        log("before");
        level.set(Level::DEBUG);
        log("between");
        level.set(Level::INFO);
        log("after");
    });
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(lines.contains("between"));
}

#[test]
fn repeated_warning_is_rate_limited() {
    let lines = logged_text(LogFormat::Pretty, Level::INFO, |_| {
        for number in 0..1000 {
            tracing::warn!(target: "gateway_core", number, "the same");
            tracing::info!(target: "gateway_core", number, "of each request");
        }
    });
    let warnings = lines.lines().filter(|line| line.contains("the same")).count();
    assert!((20..25).contains(&warnings), "{warnings}");
    assert_eq!(lines.matches("of each request").count(), 1000);
}

/// An output that blocks until its sender is dropped.
struct StuckOutput(Receiver<()>);

impl Write for StuckOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn stuck_output_blocks_neither_logging_nor_shutdown() {
    let (free, stuck) = sync_channel(0);
    let lines = NonBlockingWriter::spawn(StuckOutput(stuck), 4).unwrap();
    for _ in 0..1000 {
        lines.queue().send(&vec![b'x'; 70_000]);
    }
    let dropped_lines = lines.dropped_lines();
    assert!(dropped_lines.dropped.load(Relaxed) > 900, "{dropped_lines:?}");
    let began = tokio::time::Instant::now();
    drop(lines);
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
    drop(free);
}
