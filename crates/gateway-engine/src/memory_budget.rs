//! The memory that bodies of requests may take, over all requests.

use gateway_core::{ErrorKind, GatewayError, Result};
use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The bytes that may be held at the same time.
#[derive(Debug)]
pub struct MemoryBudget {
    limit: usize,
    held: AtomicUsize,
}

/// Bytes taken from a [`MemoryBudget`]; returned when dropped.
#[derive(Debug)]
pub struct MemoryLease {
    budget: Arc<MemoryBudget>,
    bytes: usize,
}

impl MemoryBudget {
    /// A budget of `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit, held: AtomicUsize::new(0) }
    }

    /// Takes `bytes`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Overloaded`] if there are not so many left.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Result<MemoryLease> {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        let lease = MemoryLease { budget: Arc::clone(self), bytes };
        if before + bytes <= self.limit {
            return Ok(lease);
        }
        Err(GatewayError::new(ErrorKind::Overloaded, "too many large requests at the same time")
            .with_retry_after(Some(Duration::from_secs(1))))
    }
}

impl MemoryLease {
    /// Returns the size of the reservation, in bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    ///
    /// As [`MemoryBudget::take`].
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        let mut more = self.budget.take(bytes)?;
        self.bytes += mem::take(&mut more.bytes);
        Ok(())
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_lease_returns_its_bytes() {
        let budget = Arc::new(MemoryBudget::new(10));
        let first = budget.take(6).unwrap();
        assert_eq!(budget.take(5).unwrap_err().kind(), ErrorKind::Overloaded);
        drop(first);
        assert!(budget.take(10).is_ok());
    }
}
