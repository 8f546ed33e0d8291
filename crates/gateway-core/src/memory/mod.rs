//! The memory for bodies of requests and of responses, shared by all tenants.
//!
//! ```text
//! 0 ------------------------------- 3/4 of the limit --------------- limit
//!   any tenant                      |   tenants within their share   |   one unfinished body
//! ```
//!
//! The share of a tenant is the limit, divided by the tenants that hold memory and one more. A tenant
//! may exceed its share only while a quarter of the memory stays free for others. What does not fit
//! waits, so that the sender of a body is not read any further. If all that a tenant holds is
//! unfinished bodies, which could wait for each other, one of them may exceed the limit.

mod lease;

pub use self::lease::MemoryLease;

use crate::sync::lock;
use foldhash::HashMap;
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex},
    task::Waker,
};

/// The size up to which a body is not charged, in bytes. The number of requests bounds these.
pub const UNCHARGED_BYTES: usize = 16 << 10;

/// The bytes that bodies may take at one time.
pub struct MemoryBudget {
    limit: usize,
    state: Mutex<BudgetState>,
}

#[derive(Debug, Default)]
struct BudgetState {
    held: usize,
    tenants: HashMap<Arc<str>, TenantMemory>,
    last_waiter: u64,
    /// Whether a lease may exceed the limit at the moment.
    has_express: bool,
}

/// The memory of one tenant.
#[derive(Debug, Default)]
struct TenantMemory {
    held: usize,
    /// The part of it that is whole bodies.
    finished: usize,
    /// The leases that wait, the oldest first.
    waiters: VecDeque<(u64, Waker)>,
}

impl MemoryBudget {
    /// Creates a budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// Creates a budget that is never exhausted.
    pub fn unlimited() -> Self {
        Self::new(usize::MAX)
    }

    /// Returns an empty lease of `tenant`.
    pub fn lease(self: &Arc<Self>, tenant: &Arc<str>) -> MemoryLease {
        MemoryLease::new(Arc::clone(self), Arc::clone(tenant))
    }

    /// Returns an empty lease of `tenant` for a request whose whole body, of `body` bytes, has a
    /// lease of its own. Until it is attached, the body counts as unfinished: it waits too.
    pub fn lease_beside(self: &Arc<Self>, tenant: &Arc<str>, body: usize) -> MemoryLease {
        let mut lease = self.lease(tenant);
        lease.reopen(body);
        lease
    }

    /// Returns the number of bytes that are held.
    pub fn held(&self) -> usize {
        lock(&self.state).held
    }

    /// Returns the limit, in bytes.
    pub const fn limit(&self) -> usize {
        self.limit
    }
}

impl BudgetState {
    fn tenant(&mut self, tenant: &Arc<str>) -> &mut TenantMemory {
        self.tenants.entry(Arc::clone(tenant)).or_default()
    }

    /// Whether `tenant` may have `bytes` more.
    fn fits(&self, limit: usize, tenant: &Arc<str>, bytes: usize) -> bool {
        let held = self.tenants.get(tenant).map_or(0, |it| it.held);
        let total = self.held.saturating_add(bytes);
        // A body that is larger than the limit has to be alone.
        if self.held == 0 || (held == 0 && total <= limit) {
            return true;
        }
        let is_counted = self.tenants.contains_key(tenant);
        let others = self.tenants.len() + usize::from(!is_counted);
        let share = limit / others.saturating_add(1);
        let is_within_share = held.saturating_add(bytes) <= share;
        total <= if is_within_share { limit } else { limit - limit / 4 }
    }

    fn add(&mut self, tenant: &Arc<str>, bytes: usize) {
        self.held = self.held.saturating_add(bytes);
        let it = self.tenant(tenant);
        it.held = it.held.saturating_add(bytes);
    }

    fn subtract(&mut self, tenant: &Arc<str>, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
        let it = self.tenant(tenant);
        it.held = it.held.saturating_sub(bytes);
        self.forget_idle(tenant);
    }

    fn forget_idle(&mut self, tenant: &Arc<str>) {
        let is_idle = |it: &TenantMemory| it.held == 0 && it.waiters.is_empty();
        if self.tenants.get(tenant).is_some_and(is_idle) {
            self.tenants.remove(tenant);
        }
    }

    /// Wakes the oldest waiter of each tenant.
    fn wake(&self) {
        for (_, waker) in self.tenants.values().filter_map(|it| it.waiters.front()) {
            waker.wake_by_ref();
        }
    }
}

/// The settings only: what is held changes all the time.
impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBudget").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
