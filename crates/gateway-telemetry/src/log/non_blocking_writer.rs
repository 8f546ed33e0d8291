//! The way of lines to the output: a queue, and a thread that writes.

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

/// How long lines are gathered before they are written together.
const NAP: Duration = Duration::from_millis(5);
/// How long the last lines may take: an output that nobody reads keeps no process alive.
const LAST: Duration = Duration::from_secs(1);
/// How often losses are told of.
const OFTEN: Duration = Duration::from_secs(1);

/// What was not logged, by why.
#[derive(Debug, Default)]
pub struct Losses {
    /// The output was too slow.
    pub dropped: AtomicU64,
    /// The same was logged too often.
    pub repeated: AtomicU64,
}

/// The thread that writes, and the way to it. Dropping it writes what waits.
#[derive(Debug)]
pub(super) struct Lines {
    queue: Queue,
    ended: Receiver<()>,
}

/// Where lines go. Clones share the queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    sender: SyncSender<Message>,
    pub(super) losses: Arc<Losses>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    End,
}

impl Lines {
    /// Writes lines to `output`; at most `most` wait.
    pub(super) fn writing_to(output: impl Write + Send + 'static, most: usize) -> io::Result<Self> {
        let (sender, received) = sync_channel(most);
        let losses = Arc::new(Losses::default());
        let (end, ended) = sync_channel(1);
        let told = Arc::clone(&losses);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            write_all(output, &received, &told);
            drop(end);
        })?;
        Ok(Self { queue: Queue { sender, losses }, ended })
    }

    pub(super) fn queue(&self) -> Queue {
        self.queue.clone()
    }

    pub(super) fn losses(&self) -> Arc<Losses> {
        Arc::clone(&self.queue.losses)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let began = Instant::now();
        let mut end = Message::End;
        while let Err(TrySendError::Full(again)) = self.queue.sender.try_send(end) {
            if began.elapsed() > LAST {
                return;
            }
            end = again;
            std::thread::park_timeout(NAP);
        }
        let _ = self.ended.recv_timeout(LAST);
    }
}

impl Queue {
    /// Sends a line, or counts it if there is no room.
    pub(super) fn send(&self, line: Vec<u8>) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Message::Line(line)) {
            self.losses.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// Writes until the end, in as few pieces as come at once.
fn write_all(output: impl Write, lines: &Receiver<Message>, losses: &Losses) {
    let mut output = io::BufWriter::with_capacity(64 << 10, output);
    let mut told = Told { at: Instant::now(), dropped: 0, repeated: 0 };
    loop {
        let mut message = match lines.recv_timeout(OFTEN) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => {
                told.tell(losses);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
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
        told.tell(losses);
        // Whoever logs need not wake this thread for each line: under load most find it awake soon.
        std::thread::park_timeout(NAP);
    }
}

/// What was told of losses so far.
struct Told {
    at: Instant,
    dropped: u64,
    repeated: u64,
}

impl Told {
    /// Logs what was lost since the last time, if that is a second ago.
    fn tell(&mut self, losses: &Losses) {
        if self.at.elapsed() < OFTEN {
            return;
        }
        let (dropped, repeated) = (losses.dropped.load(Relaxed), losses.repeated.load(Relaxed));
        if (dropped, repeated) != (self.dropped, self.repeated) {
            tracing::warn!(
                target: "gateway::log",
                dropped = dropped - self.dropped,
                repeated = repeated - self.repeated,
                "lines were left out"
            );
        }
        *self = Self { at: Instant::now(), dropped, repeated };
    }
}
