//! Time, for tasks that wait for real processes. There is no runtime here whose clock could pause.

use std::time::Duration;

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

#[expect(clippy::disallowed_types, reason = "no tokio here, and nothing to pause")]
type Instant = std::time::Instant;

impl Stopwatch {
    /// Starts a stopwatch.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Sleeps for `duration`.
#[expect(clippy::disallowed_methods, reason = "a task has nothing else to do meanwhile")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
