//! The queue of lines and the thread that writes them.

use gateway_core::sync::lock;
use std::{
    io::{self, Write},
    mem,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};
use tokio::time::Instant;

/// The time for which lines are batched into one write.
const BATCH_WINDOW: Duration = Duration::from_millis(5);
/// The time limit for the last lines: an unread output must not keep the process alive.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// The interval at which dropped lines are reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// The memory of a batch that is kept for the next one, in bytes.
const KEPT_BYTES: usize = 256 << 10;

/// The counts of lines that were not logged, by reason.
#[derive(Debug, Default)]
pub struct DroppedLines {
    /// Lines dropped because the queue was full.
    pub dropped: AtomicU64,
    /// Lines suppressed by the rate limiter.
    pub repeated: AtomicU64,
}

/// The writer thread and its queue. Dropping it flushes the queue.
#[derive(Debug)]
pub(super) struct NonBlockingWriter {
    queue: LineQueue,
    ended: Receiver<()>,
}

/// A sender of lines. Clones share the queue.
#[derive(Clone, Debug)]
pub(super) struct LineQueue {
    shared: Arc<SharedLines>,
    pub(super) dropped_lines: Arc<DroppedLines>,
}

/// The lines on their way to the thread that writes them: one text, to which each line is copied, and
/// which is written as a whole.
#[derive(Debug)]
struct SharedLines {
    queued: Mutex<QueuedLines>,
    /// Notified when the thread waits and has something to do.
    arrived: Condvar,
    /// Maximum number of queued lines.
    most: usize,
}

#[derive(Debug, Default)]
struct QueuedLines {
    text: Vec<u8>,
    count: usize,
    /// Set when the last line was queued.
    is_ending: bool,
    /// Set while the thread waits for lines.
    is_waited_for: bool,
}

/// The next step of the writer thread.
enum Work {
    /// The text is to be written.
    Write,
    /// Nothing was logged for a while.
    Report,
    /// The text is to be written, and is the last.
    End,
}

impl NonBlockingWriter {
    /// Spawns the thread that writes to `output`; at most `most` lines are queued.
    pub(super) fn spawn(mut output: impl Write + Send + 'static, most: usize) -> io::Result<Self> {
        let (queued, arrived) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(SharedLines { queued, arrived, most });
        let dropped_lines = Arc::new(DroppedLines::default());
        let (end, ended) = sync_channel(1);
        let (lines, counts) = (Arc::clone(&shared), Arc::clone(&dropped_lines));
        let mut end = Some(end);
        gateway_tasks::supervise_thread("log", move || {
            write_all(&mut output, &lines, &counts);
            drop(end.take());
        })?;
        Ok(Self { queue: LineQueue { shared, dropped_lines }, ended })
    }

    pub(super) fn queue(&self) -> LineQueue {
        self.queue.clone()
    }

    pub(super) fn dropped_lines(&self) -> Arc<DroppedLines> {
        Arc::clone(&self.queue.dropped_lines)
    }
}

impl Drop for NonBlockingWriter {
    fn drop(&mut self) {
        lock(&self.queue.shared.queued).is_ending = true;
        self.queue.shared.arrived.notify_one();
        let _ = self.ended.recv_timeout(SHUTDOWN_TIMEOUT);
    }
}

impl LineQueue {
    /// Queues a line, or counts it as dropped if the queue is full.
    pub(super) fn send(&self, line: &[u8]) {
        let mut queued = lock(&self.shared.queued);
        if queued.count >= self.shared.most {
            drop(queued);
            self.dropped_lines.dropped.fetch_add(1, Relaxed);
            return;
        }
        queued.text.extend_from_slice(line);
        queued.count += 1;
        let is_waited_for = mem::take(&mut queued.is_waited_for);
        drop(queued);
        if is_waited_for {
            self.shared.arrived.notify_one();
        }
    }
}

impl SharedLines {
    /// Waits for lines, at most for [`REPORT_INTERVAL`], and exchanges their text for `text`, which
    /// is empty.
    fn receive(&self, text: &mut Vec<u8>) -> Work {
        let mut queued = lock(&self.queued);
        if queued.count == 0 && !queued.is_ending {
            queued.is_waited_for = true;
            let waited = self.arrived.wait_timeout(queued, REPORT_INTERVAL);
            queued = waited.unwrap_or_else(PoisonError::into_inner).0;
            queued.is_waited_for = false;
        }
        mem::swap(&mut queued.text, text);
        let count = mem::take(&mut queued.count);
        match (queued.is_ending, count) {
            (true, _) => Work::End,
            (false, 0) => Work::Report,
            (false, _) => Work::Write,
        }
    }
}

/// Writes lines in batches until the end.
fn write_all(mut output: impl Write, lines: &SharedLines, dropped_lines: &DroppedLines) {
    let mut text = Vec::new();
    let mut report = DropReport { at: Instant::now(), dropped: 0, repeated: 0 };
    loop {
        gateway_tasks::failpoint("log");
        let work = lines.receive(&mut text);
        if !text.is_empty() {
            // A closed output cannot be reported anywhere.
            drop(output.write_all(&text));
            let _ = output.flush();
            text.clear();
            text.shrink_to(KEPT_BYTES);
        }
        match work {
            Work::End => return,
            Work::Report => report.log_if_due(dropped_lines),
            Work::Write => {
                report.log_if_due(dropped_lines);
                // A short pause saves waking this thread for each line under load.
                std::thread::park_timeout(BATCH_WINDOW);
            }
        }
    }
}

/// The counts that were reported last.
struct DropReport {
    at: Instant,
    dropped: u64,
    repeated: u64,
}

impl DropReport {
    /// Logs the lines dropped since the last report, at most once a second.
    fn log_if_due(&mut self, dropped_lines: &DroppedLines) {
        if self.at.elapsed() < REPORT_INTERVAL {
            return;
        }
        let (dropped, repeated) =
            (dropped_lines.dropped.load(Relaxed), dropped_lines.repeated.load(Relaxed));
        if (dropped, repeated) != (self.dropped, self.repeated) {
            tracing::warn!(
                target: "gateway::log",
                dropped = dropped - self.dropped,
                repeated = repeated - self.repeated,
                "log lines dropped"
            );
        }
        *self = Self { at: Instant::now(), dropped, repeated };
    }
}
