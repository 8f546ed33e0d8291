//! The memory that the bodies of requests take, and what they become when they are decoded.

use crate::Engine;
use bytes::Bytes;
use gateway_core::{ErrorKind, GatewayError, MemoryLease, Result};
use std::{sync::Arc, time::Duration};
use tokio::time;

/// The time limit for waiting for memory.
const MEMORY_WAIT: Duration = Duration::from_secs(10);

/// Takes `bytes` more for the body of a request.
///
/// # Errors
///
/// If there is no memory for it in time.
pub async fn grow_body_lease(lease: &mut MemoryLease, bytes: usize) -> Result<()> {
    if time::timeout(MEMORY_WAIT, lease.grow(bytes)).await.is_err() {
        metrics::counter!("llm_gateway_requests_shed_total", "reason" => "bodies").increment(1);
        return Err(no_memory());
    }
    Ok(())
}

/// Returns the memory to charge for decoding a body of `length` bytes that takes `footprint` more.
pub const fn charged_footprint(limit: usize, length: usize, footprint: usize) -> usize {
    // No more than half of the memory: the rest is for other tenants.
    let most = (limit / 2).saturating_sub(length);
    if footprint < most { footprint } else { most }
}

impl Engine {
    /// Takes memory for what `body` becomes when it is decoded, `footprint` bytes beyond its own.
    /// Returns the body, which holds that memory from now on.
    ///
    /// # Errors
    ///
    /// If there is no memory for it in time.
    pub async fn charge_decoded(
        &self,
        tenant: &Arc<str>,
        body: Bytes,
        footprint: usize,
    ) -> Result<Bytes> {
        if footprint == 0 {
            return Ok(body);
        }
        let bytes = charged_footprint(self.memory.limit(), body.len(), footprint);
        let mut lease = self.memory.lease_beside(tenant, body.len());
        grow_body_lease(&mut lease, bytes).await?;
        Ok(lease.attach(body))
    }
}

fn no_memory() -> GatewayError {
    GatewayError::new(ErrorKind::Overloaded, "too many large requests at the same time")
        .with_retry_after(Some(Duration::from_secs(1)))
}
