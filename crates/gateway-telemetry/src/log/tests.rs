use super::{non_blocking_writer::Lines, *};
use std::io::Write;
use std::sync::{
    Mutex,
    atomic::Ordering::Relaxed,
    mpsc::{Receiver, sync_channel},
};

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
fn written(format: Format, level: Level, log: impl FnOnce(&Dial)) -> String {
    let memory = Memory::default();
    let lines = Lines::writing_to(memory.clone(), QUEUE).unwrap();
    let telemetry = Telemetry { lines, dial: Dial::at(level) };
    let subscriber = Registry::default().with(layer(&telemetry, format, false));
    tracing::subscriber::with_default(subscriber, || log(&telemetry.dial));
    drop(telemetry);
    let bytes = memory.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_line_is_one_object_with_its_fields() {
    let line = written(Format::Json, Level::INFO, |_| {
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
fn nothing_in_a_field_breaks_a_line() {
    for evil in ["\u{1b}[31mred", "\"}{\"level\":\"ERROR", "a\r\nb", &"x".repeat(1 << 20)] {
        let log = |_: &Dial| tracing::info!(target: "gateway", evil, debug = ?evil, shown = %evil);
        let line = written(Format::Json, Level::INFO, log);
        assert_eq!(line.lines().count(), 1);
        assert!(line.len() < 4096 && !line.contains('\u{1b}'));
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
        let line = written(Format::Pretty, Level::INFO, log);
        assert_eq!(line.lines().count(), 1);
        assert!(line.len() < 4096 && !line.contains('\u{1b}'));
    }
}

#[track_caller]
fn check(level: Level, expected: usize) {
    let lines = written(Format::Pretty, level, |_| {
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
    check(Level::ERROR, 1);
    check(Level::WARN, 2);
    check(Level::INFO, 3);
    check(Level::DEBUG, 3);
    check(Level::TRACE, 4);
}

#[test]
fn the_level_may_change() {
    let lines = written(Format::Pretty, Level::INFO, |dial| {
        let log = |what: &str| tracing::debug!(target: "gateway_core", "{what}");
        log("before");
        dial.turn_to(Level::DEBUG);
        log("between");
        dial.turn_to(Level::INFO);
        log("after");
    });
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(lines.contains("between"));
}

#[test]
fn the_same_again_and_again_is_left_out() {
    let lines = written(Format::Pretty, Level::INFO, |_| {
        for number in 0..1000 {
            tracing::warn!(target: "gateway_core", number, "the same");
            tracing::info!(target: "gateway_core", number, "of each request");
        }
    });
    let warnings = lines.lines().filter(|line| line.contains("the same")).count();
    assert!((20..25).contains(&warnings), "{warnings}");
    assert_eq!(lines.matches("of each request").count(), 1000);
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
fn who_logs_never_waits_and_the_end_is_bounded() {
    let (free, stuck) = sync_channel(0);
    let lines = Lines::writing_to(Stuck(stuck), 4).unwrap();
    for _ in 0..1000 {
        lines.queue().send(vec![b'x'; 70_000]);
    }
    let losses = lines.losses();
    assert!(losses.dropped.load(Relaxed) > 900, "{losses:?}");
    let began = tokio::time::Instant::now();
    drop(lines);
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
    drop(free);
}
