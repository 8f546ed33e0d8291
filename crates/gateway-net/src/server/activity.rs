//! The state that a connection's socket, its service and its bodies share.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use tokio_util::sync::CancellationToken;

/// The state shared by the socket, the service and the bodies of one connection. No part waits for
/// another.
#[derive(Debug, Default)]
pub(super) struct ConnectionActivity {
    active: AtomicU32,
    started: AtomicU32,
    multiplexed: AtomicBool,
    unread: AtomicBool,
    offered: AtomicU32,
    frames: AtomicU32,
    /// Cancelled when the connection is to end.
    closing: CancellationToken,
}

impl ConnectionActivity {
    /// The state of a new connection, which is to end when `closing` is cancelled.
    pub(super) fn new(closing: CancellationToken) -> Self {
        Self { closing, ..Self::default() }
    }

    /// Ends the connection after the requests that it has.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// Whether the connection is to end.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Records the start of a request.
    pub(super) fn begin(&self, multiplexed: bool) {
        if multiplexed {
            self.multiplexed.store(true, Relaxed);
        }
        self.active.fetch_add(1, Relaxed);
        self.started.fetch_add(1, Relaxed);
    }

    /// Its answer ended, or was given up.
    pub(super) fn end(&self) {
        self.active.fetch_sub(1, Relaxed);
    }

    /// Part of an answer was handed over, to be sent when the caller takes it.
    pub(super) fn offer(&self) {
        self.offered.fetch_add(1, Relaxed);
        self.frames.fetch_add(1, Relaxed);
    }

    /// The caller took it.
    pub(super) fn take(&self) {
        self.offered.fetch_sub(1, Relaxed);
    }

    /// A body was left unread.
    pub(super) fn mark_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    /// Whether a request is being served.
    pub(super) fn is_busy(&self) -> bool {
        self.active.load(Relaxed) > 0
    }

    /// Returns the number of requests so far.
    pub(super) fn started(&self) -> u32 {
        self.started.load(Relaxed)
    }

    /// Whether requests share the connection (HTTP/2).
    pub(super) fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Relaxed)
    }

    /// Whether a body was left unread.
    pub(super) fn has_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// Returns the number of response parts handed over, if the caller has not taken them all.
    pub(super) fn untaken(&self) -> Option<u32> {
        (self.offered.load(Relaxed) > 0).then(|| self.frames.load(Relaxed))
    }
}
