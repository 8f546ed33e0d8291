//! The queue of lines and the thread that writes them.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
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
    sender: SyncSender<WriterMessage>,
    pub(super) dropped_lines: Arc<DroppedLines>,
}

#[derive(Debug)]
enum WriterMessage {
    Line(Vec<u8>),
    End,
}

impl NonBlockingWriter {
    /// Spawns the thread that writes to `output`; at most `most` lines are queued.
    pub(super) fn spawn(mut output: impl Write + Send + 'static, most: usize) -> io::Result<Self> {
        let (sender, received) = sync_channel(most);
        let dropped_lines = Arc::new(DroppedLines::default());
        let (end, ended) = sync_channel(1);
        let counts = Arc::clone(&dropped_lines);
        let mut end = Some(end);
        gateway_tasks::supervise_thread("log", move || {
            write_all(&mut output, &received, &counts);
            drop(end.take());
        })?;
        Ok(Self { queue: LineQueue { sender, dropped_lines }, ended })
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
        let began = Instant::now();
        let mut end = WriterMessage::End;
        while let Err(TrySendError::Full(again)) = self.queue.sender.try_send(end) {
            if began.elapsed() > SHUTDOWN_TIMEOUT {
                return;
            }
            end = again;
            std::thread::park_timeout(BATCH_WINDOW);
        }
        let _ = self.ended.recv_timeout(SHUTDOWN_TIMEOUT);
    }
}

impl LineQueue {
    /// Queues a line, or counts it as dropped if the queue is full.
    pub(super) fn send(&self, line: Vec<u8>) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(WriterMessage::Line(line)) {
            self.dropped_lines.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// Writes lines in batches until the end.
fn write_all(output: impl Write, lines: &Receiver<WriterMessage>, dropped_lines: &DroppedLines) {
    let mut output = io::BufWriter::with_capacity(64 << 10, output);
    let mut report = DropReport { at: Instant::now(), dropped: 0, repeated: 0 };
    loop {
        gateway_tasks::failpoint("log");
        let mut message = match lines.recv_timeout(REPORT_INTERVAL) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => {
                report.log_if_due(dropped_lines);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        loop {
            match message {
                // A closed output cannot be reported anywhere.
                WriterMessage::Line(line) => drop(output.write_all(&line)),
                WriterMessage::End => {
                    let _ = output.flush();
                    return;
                }
            }
            let Ok(next) = lines.try_recv() else { break };
            message = next;
        }
        let _ = output.flush();
        report.log_if_due(dropped_lines);
        // A short pause saves waking this thread for each line under load.
        std::thread::park_timeout(BATCH_WINDOW);
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
