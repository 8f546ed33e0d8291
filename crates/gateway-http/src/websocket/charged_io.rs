//! The bytes of a connection, charged to its tenant while a message of the client arrives.

use gateway_core::{MemoryBudget, MemoryLease, UNCHARGED_BYTES, sync};
use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The memory that is taken at a time while a large message arrives, in bytes.
const STEP: usize = 64 << 10;

/// The memory of a connection: its tenant's part of the budget.
#[derive(Clone)]
pub(crate) struct ConnectionBudget {
    pub(crate) budget: Arc<MemoryBudget>,
    pub(crate) tenant: Arc<str>,
    /// Whether the tenant stands for all callers without a key.
    pub(crate) is_anonymous: bool,
}

impl ConnectionBudget {
    pub(super) fn lease(&self) -> MemoryLease {
        self.budget.lease(&self.tenant)
    }
}

impl fmt::Debug for ConnectionBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionBudget").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// The charge for the message that arrives. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct MessageCharge {
    budget: ConnectionBudget,
    state: Arc<Mutex<ChargeState>>,
}

#[derive(Debug)]
struct ChargeState {
    lease: MemoryLease,
    received: usize,
}

impl MessageCharge {
    pub(super) fn new(budget: ConnectionBudget) -> Self {
        let state = ChargeState { lease: budget.lease(), received: 0 };
        Self { budget, state: Arc::new(Mutex::new(state)) }
    }

    /// Returns the lease of the message that has arrived; the next one gets another.
    pub(super) fn take(&self) -> MemoryLease {
        let mut state = sync::lock(&self.state);
        state.received = 0;
        std::mem::replace(&mut state.lease, self.budget.lease())
    }

    /// Ready once there is memory for what is read next.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = sync::lock(&self.state);
        if state.received >= UNCHARGED_BYTES && state.lease.bytes() < state.received + STEP {
            ready!(state.lease.poll_grow(cx, STEP));
        }
        Poll::Ready(())
    }

    fn add(&self, bytes: usize) {
        let mut state = sync::lock(&self.state);
        state.received = state.received.saturating_add(bytes);
    }
}

/// A connection that is not read while its tenant has no memory for a message.
#[derive(Debug)]
pub(super) struct ChargedIo<T> {
    inner: T,
    charge: MessageCharge,
}

impl<T> ChargedIo<T> {
    pub(super) const fn new(inner: T, charge: MessageCharge) -> Self {
        Self { inner, charge }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ChargedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.charge.poll_room(cx));
        // No more than there is memory for.
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(buffer.remaining().min(STEP)));
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buffer.advance(read);
        this.charge.add(read);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ChargedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
