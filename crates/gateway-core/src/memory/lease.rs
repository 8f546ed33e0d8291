//! A lease of memory: it grows with a body, and is returned with its bytes.

use super::{BudgetState, MemoryBudget};
use crate::sync::lock;
use bytes::Bytes;
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

/// Bytes taken from a [`MemoryBudget`]; returned when dropped.
#[derive(Debug)]
pub struct MemoryLease {
    budget: Arc<MemoryBudget>,
    tenant: Arc<str>,
    bytes: usize,
    /// The number of its place in the queue of its tenant.
    waiter: Option<u64>,
    /// Whether it may exceed the limit.
    is_express: bool,
    /// Whether its body is whole.
    is_finished: bool,
    /// The bytes of a whole body that count as unfinished for as long as the lease does.
    reopened: usize,
}

/// Bytes that hold their lease.
struct LeasedBytes<T> {
    data: T,
    _lease: MemoryLease,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for LeasedBytes<T> {
    fn as_ref(&self) -> &[u8] {
        self.data.as_ref()
    }
}

impl MemoryLease {
    pub(super) const fn new(budget: Arc<MemoryBudget>, tenant: Arc<str>) -> Self {
        let (bytes, reopened) = (0, 0);
        Self {
            budget,
            tenant,
            bytes,
            waiter: None,
            is_express: false,
            is_finished: false,
            reopened,
        }
    }

    /// Lets a whole body of `bytes` count as unfinished for as long as the lease does.
    pub(super) fn reopen(&mut self, bytes: usize) {
        let budget = Arc::clone(&self.budget);
        let mut state = lock(&budget.state);
        if let Some(it) = state.tenants.get_mut(&self.tenant) {
            self.reopened = it.finished.min(bytes);
            it.finished -= self.reopened;
        }
    }

    /// Returns the size of the lease, in bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes `bytes` more, once there is room for them. Leases of a tenant are served in order.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is taken; the place in the queue is kept until the lease is
    /// dropped.
    pub async fn grow(&mut self, bytes: usize) {
        poll_fn(|cx| self.poll_grow(cx, bytes)).await;
    }

    /// Polls for `bytes` more. Until it is ready, nothing is taken.
    pub fn poll_grow(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<()> {
        let (budget, tenant) = (Arc::clone(&self.budget), Arc::clone(&self.tenant));
        let mut state = lock(&budget.state);
        let known = state.tenants.get(&tenant);
        let front = known.and_then(|it| it.waiters.front());
        let is_next = front.is_none_or(|(waiter, _)| Some(*waiter) == self.waiter);
        let may_exceed = !state.has_express
            && state.held <= budget.limit
            && known.is_none_or(|it| it.finished == 0);
        let fits = self.is_express || (is_next && state.fits(budget.limit, &tenant, bytes));
        if !fits && is_next && self.waiter.is_some() && may_exceed {
            (state.has_express, self.is_express) = (true, true);
        }
        if !fits && !self.is_express {
            self.wait(&mut state, cx);
            return Poll::Pending;
        }
        state.add(&tenant, bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        self.leave_queue(&mut state);
        Poll::Ready(())
    }

    /// Takes `bytes` more if there is room for them now, and no other lease of the tenant waits.
    /// Returns whether it did.
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        let budget = Arc::clone(&self.budget);
        let mut state = lock(&budget.state);
        let has_waiters = state.tenants.get(&self.tenant).is_some_and(|it| !it.waiters.is_empty());
        if has_waiters || !state.fits(budget.limit, &self.tenant, bytes) {
            return false;
        }
        state.add(&self.tenant, bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        true
    }

    /// Takes `bytes` more, whether there is room for them or not: for what is there already.
    pub fn charge(&mut self, bytes: usize) {
        lock(&self.budget.state).add(&self.tenant, bytes);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Returns `data`, which is a whole body, with this lease, which ends with the last of its bytes.
    pub fn attach(mut self, data: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        let budget = Arc::clone(&self.budget);
        let mut state = lock(&budget.state);
        self.is_finished = true;
        state.tenant(&self.tenant).finished += self.bytes + std::mem::take(&mut self.reopened);
        self.end_express(&mut state);
        drop(state);
        Bytes::from_owner(LeasedBytes { data, _lease: self })
    }

    /// Queues the lease, or renews its waker.
    fn wait(&mut self, state: &mut BudgetState, cx: &Context<'_>) {
        let waker = cx.waker().clone();
        let number = self.waiter.unwrap_or(state.last_waiter + 1);
        state.last_waiter = state.last_waiter.max(number);
        let waiters = &mut state.tenant(&self.tenant).waiters;
        match waiters.iter_mut().find(|(waiter, _)| *waiter == number) {
            Some(place) => place.1 = waker,
            None => waiters.push_back((number, waker)),
        }
        if self.waiter.is_none() {
            self.waiter = Some(number);
            // Only one that waits may exceed the limit: it is asked again at once.
            cx.waker().wake_by_ref();
        }
    }

    fn leave_queue(&mut self, state: &mut BudgetState) {
        if let Some(number) = self.waiter.take() {
            state.tenant(&self.tenant).waiters.retain(|(waiter, _)| *waiter != number);
            // There may be room for the next one too.
            state.wake();
        }
    }

    fn end_express(&mut self, state: &mut BudgetState) {
        if std::mem::take(&mut self.is_express) {
            state.has_express = false;
            state.wake();
        }
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        let budget = Arc::clone(&self.budget);
        let mut state = lock(&budget.state);
        self.leave_queue(&mut state);
        if self.reopened > 0 {
            state.tenant(&self.tenant).finished += self.reopened;
        }
        if self.is_finished {
            let tenant = state.tenant(&self.tenant);
            tenant.finished = tenant.finished.saturating_sub(self.bytes);
        }
        state.subtract(&self.tenant, self.bytes);
        self.end_express(&mut state);
        state.wake();
    }
}
