//! The restart of tasks that panic.

use crate::{failpoint::failpoint, registry::TaskEntry};
use futures_util::FutureExt as _;
use metrics::counter;
use std::{
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::time::{self, Instant};

/// The pause before the first restart.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause before a restart.
const LONGEST_PAUSE: Duration = Duration::from_millis(900);

/// The time without a panic after which the pauses begin anew.
const RECOVERY: Duration = Duration::from_secs(30);

/// Runs the task that `start` makes to its end; after a panic, one that it makes anew.
///
/// The pause before a restart grows from 50 ms to 0.9 s. Debug builds have a failpoint with the
/// name of the task in it.
pub async fn supervise<T, F>(name: &'static str, mut start: impl FnMut() -> F) -> T
where
    F: Future<Output = T>,
{
    let (entry, mut pauses) = (TaskEntry::new(name), RestartPauses::new());
    loop {
        let running = async {
            let mut task = pin!(start());
            poll_fn(|context| {
                failpoint(name);
                task.as_mut().poll(context)
            })
            .await
        };
        match AssertUnwindSafe(running).catch_unwind().await {
            Ok(done) => return done,
            Err(_) => time::sleep(restart(&entry, name, &mut pauses)).await,
        }
    }
}

/// Runs `work` on a thread of its own, and again after each panic, until it returns.
///
/// # Errors
///
/// If the system has no room for a thread.
pub fn supervise_thread(
    name: &'static str,
    mut work: impl FnMut() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.replace('_', "-")).spawn(move || {
        let (entry, mut pauses) = (TaskEntry::new(name), RestartPauses::new());
        while catch_unwind(AssertUnwindSafe(&mut work)).is_err() {
            thread::park_timeout(restart(&entry, name, &mut pauses));
        }
    })
}

/// Notes a panic; returns the pause before the restart.
fn restart(entry: &TaskEntry, name: &'static str, pauses: &mut RestartPauses) -> Duration {
    entry.failed();
    counter!("llm_gateway_task_restarts_total", "task" => name).increment(1);
    let pause = pauses.next(Instant::now());
    tracing::error!(task = name, ?pause, "a task panicked and is restarted");
    pause
}

/// The pauses before restarts.
struct RestartPauses {
    next: Duration,
    last: Option<Instant>,
}

impl RestartPauses {
    const fn new() -> Self {
        Self { next: FIRST_PAUSE, last: None }
    }

    /// The pause after a panic at `now`.
    fn next(&mut self, now: Instant) -> Duration {
        if self.last.is_some_and(|last| now - last > RECOVERY) {
            self.next = FIRST_PAUSE;
        }
        self.last = Some(now);
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks;
    use std::sync::mpsc;

    #[tokio::test(start_paused = true)]
    async fn panicked_task_is_restarted_within_a_second() {
        let mut starts = Vec::new();
        let task = supervise("restarted", || {
            starts.push(Instant::now());
            let is_last = starts.len() == 9;
            async move { assert!(is_last, "a bug") }
        });
        task.await;
        let pauses: Vec<_> = starts.windows(2).map(|it| it[1].duration_since(it[0])).collect();
        assert!(pauses.iter().all(|pause| *pause < Duration::from_secs(1)), "{pauses:?}");
        assert!(pauses.is_sorted() && pauses[0] < Duration::from_millis(100), "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn restarted_task_is_shown_until_it_has_run_for_a_while() {
        let status = || tasks().into_iter().find(|task| task.name == "shown");
        let mut has_panicked = false;
        let task = supervise("shown", || {
            let is_first = !std::mem::replace(&mut has_panicked, true);
            async move {
                assert!(!is_first, "a bug");
                std::future::pending::<()>().await;
            }
        });
        let looking = async {
            time::sleep(Duration::from_secs(1)).await;
            assert!(status().is_some_and(|task| task.restarts == 1 && task.is_failing));
            time::sleep(Duration::from_secs(20)).await;
            assert!(status().is_some_and(|task| task.restarts == 1 && !task.is_failing));
        };
        tokio::select! {
            () = task => {}
            () = looking => {}
        }
        assert_eq!(status(), None, "it is gone");
    }

    #[test]
    fn panicked_thread_is_restarted() {
        let (tell, told) = mpsc::channel();
        let mut number = 0;
        let thread = supervise_thread("thread", move || {
            number += 1;
            tell.send(number).unwrap();
            assert!(number > 1, "a bug");
        });
        thread.unwrap().join().unwrap();
        assert_eq!(told.iter().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn pauses_begin_anew_after_a_while() {
        let (mut pauses, now) = (RestartPauses::new(), Instant::now());
        assert_eq!(pauses.next(now), FIRST_PAUSE);
        assert_eq!(pauses.next(now), FIRST_PAUSE * 2);
        assert_eq!(pauses.next(now + 2 * RECOVERY), FIRST_PAUSE);
    }
}
