//! Admission control: a limit on concurrent requests to models, with a short queue.
//!
//! ```text
//! a slot is free ---------------------------------------> admitted
//! none is ------> a short queue ---- one is released ---> admitted
//!                             \--- timeout, or queue full --> 503, at once
//! ```
//!
//! A slot is held until the response has ended. While the queue is more than half full, the newest
//! request is served first: the oldest has most likely timed out at its caller. Batch requests
//! (`x-priority: batch`) leave a fifth of the slots free. Health checks need no slot.

use super::memory_pressure::{MemoryPressure, PressureLevel};
use arc_swap::ArcSwap;
use foldhash::HashMap;
use gateway_core::{ErrorKind, GatewayError, Result, sync};
use metrics::counter;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::oneshot, time};

/// The priority of a request.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// A user waits for the response.
    #[default]
    Interactive,
    /// It may as well be done later.
    Batch,
}

/// The limit on concurrent requests to models. The default is unlimited.
#[derive(Clone, Default)]
pub struct Admission {
    inner: Option<Arc<Inner>>,
    /// The memory pressure of the process.
    pub pressure: Arc<MemoryPressure>,
}

/// The limits of admission control.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionSettings {
    /// Maximum number of concurrent requests.
    pub max_concurrent: usize,
    /// Of one tenant that has a name.
    pub max_per_tenant: usize,
    /// Maximum number of requests in the queue.
    pub queue: usize,
    /// Maximum wait in the queue.
    pub queue_timeout: Duration,
}

struct Inner {
    settings: ArcSwap<AdmissionSettings>,
    active: AtomicUsize,
    /// The number of queued requests; checked first when a slot is released.
    waiting: AtomicUsize,
    /// The number of rejected requests since the start.
    shed: AtomicU64,
    queue: Mutex<VecDeque<Waiter>>,
    tenants: Mutex<HashMap<Arc<str>, usize>>,
}

struct Waiter {
    ceiling: usize,
    wake: oneshot::Sender<SlotPermit>,
}

/// A place; given back when dropped.
struct SlotPermit(Arc<Inner>);

/// A tenant's share; given back when dropped.
struct TenantPermit(Arc<Inner>, Arc<str>);

/// Leave to run; given back when dropped.
pub struct AdmissionPermit {
    _place: SlotPermit,
    _share: Option<TenantPermit>,
}

/// The `retry-after` of rejected requests.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);

impl Admission {
    /// Creates admission control with the limits of `settings`.
    pub fn new(settings: AdmissionSettings, pressure: Arc<MemoryPressure>) -> Self {
        let inner = Inner {
            settings: ArcSwap::from_pointee(settings),
            active: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            shed: AtomicU64::new(0),
            queue: Mutex::default(),
            tenants: Mutex::default(),
        };
        Self { inner: Some(Arc::new(inner)), pressure }
    }

    /// The same, with other settings: those who are in stay, and count.
    #[must_use]
    pub fn with(&self, settings: AdmissionSettings) -> Self {
        match &self.inner {
            Some(inner) => {
                inner.settings.store(Arc::new(settings));
                self.clone()
            }
            None => Self::new(settings, Arc::clone(&self.pressure)),
        }
    }

    /// Admits a request of `tenant`, if tenants have a limit; waits in the queue for a slot.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Overloaded`] if no slot gets free in time; [`ErrorKind::RateLimited`] if the
    /// tenant is at its limit.
    pub async fn admit(
        &self,
        tenant: Option<&Arc<str>>,
        priority: Priority,
    ) -> Result<Option<AdmissionPermit>> {
        let Some(inner) = &self.inner else { return Ok(None) };
        let permit = self.admit_or_queue(inner, tenant, priority).await;
        if permit.is_err() {
            inner.shed.fetch_add(1, Ordering::Relaxed);
        }
        permit.map(Some)
    }

    async fn admit_or_queue(
        &self,
        inner: &Arc<Inner>,
        tenant: Option<&Arc<str>>,
        priority: Priority,
    ) -> Result<AdmissionPermit> {
        self.check_pressure(priority)?;
        let share = tenant.map(|tenant| inner.share(tenant)).transpose()?;
        let ceiling = inner.ceiling(priority);
        let place = match inner.take(ceiling) {
            Some(place) => place,
            None => inner.wait(ceiling).await?,
        };
        Ok(AdmissionPermit { _place: place, _share: share })
    }

    /// Checks whether there is memory for a request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Overloaded`] if the process has reached its memory limit.
    pub fn check_pressure(&self, priority: Priority) -> Result<()> {
        let is_too_much = match (self.pressure.level(), priority) {
            (PressureLevel::Normal, _) | (PressureLevel::Elevated, Priority::Interactive) => false,
            (PressureLevel::Elevated, Priority::Batch) | (PressureLevel::Critical, _) => true,
        };
        if is_too_much {
            Err(shed("memory", "server overloaded: memory limit reached"))
        } else {
            Ok(())
        }
    }

    /// Returns the number of running requests.
    pub fn active(&self) -> usize {
        self.inner.as_ref().map_or(0, |inner| inner.active.load(Ordering::Relaxed))
    }

    /// Returns the number of running, queued and rejected requests for operators; `None` if there
    /// is no limit.
    pub fn status(&self) -> Option<Value> {
        let inner = self.inner.as_ref()?;
        let settings = inner.settings.load();
        Some(json!({
            "active": self.active(),
            "places": settings.max_concurrent,
            "waiting": inner.waiting.load(Ordering::Relaxed),
            "queue": settings.queue,
            "shed": inner.shed.load(Ordering::Relaxed),
            "memory": {
                "pressure": self.pressure.level().as_str(),
                "used_mb": self.pressure.used_mb(),
                "threshold_mb": self.pressure.threshold_mb(),
            },
        }))
    }

    /// Returns the maximum number of concurrent requests, if there is a limit.
    pub fn max_concurrent(&self) -> Option<usize> {
        Some(self.inner.as_ref()?.settings.load().max_concurrent)
    }
}

impl Inner {
    /// Returns the number of running requests below which one of this priority is admitted.
    fn ceiling(&self, priority: Priority) -> usize {
        let max_concurrent = self.settings.load().max_concurrent;
        match priority {
            Priority::Interactive => max_concurrent,
            Priority::Batch => (max_concurrent * 4).div_ceil(5),
        }
    }

    fn take(self: &Arc<Self>, ceiling: usize) -> Option<SlotPermit> {
        let room = |active: usize| (active < ceiling).then_some(active + 1);
        self.active.fetch_update(Ordering::SeqCst, Ordering::SeqCst, room).ok()?;
        Some(SlotPermit(Arc::clone(self)))
    }

    async fn wait(self: &Arc<Self>, ceiling: usize) -> Result<SlotPermit> {
        let full = || shed("places", "server overloaded: all request slots are in use");
        let (wake, call) = oneshot::channel();
        let Some(call) = self.enqueue(Waiter { ceiling, wake }, call) else {
            return Err(full());
        };
        // A place may have been given back just before.
        self.wake_next();
        match time::timeout(self.settings.load().queue_timeout, call).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(full()),
        }
    }

    fn enqueue(
        &self,
        waiter: Waiter,
        call: oneshot::Receiver<SlotPermit>,
    ) -> Option<oneshot::Receiver<SlotPermit>> {
        let limit = self.settings.load().queue;
        let mut queue = self.queue();
        if queue.len() >= limit {
            queue.retain(|waiter| !waiter.wake.is_closed());
        }
        let has_room = queue.len() < limit;
        if has_room {
            queue.push_back(waiter);
        }
        self.waiting.store(queue.len(), Ordering::SeqCst);
        has_room.then_some(call)
    }

    /// Gives free places to those who wait.
    fn wake_next(self: &Arc<Self>) {
        while self.waiting.load(Ordering::SeqCst) > 0 {
            let Some((waiter, place)) = self.next() else { return };
            // One that has gone gives it back, and another is called.
            drop(waiter.wake.send(place));
        }
    }

    /// Returns the next queued request with its slot, if there are both.
    fn next(self: &Arc<Self>) -> Option<(Waiter, SlotPermit)> {
        let mut queue = self.queue();
        queue.retain(|waiter| !waiter.wake.is_closed());
        let is_long = queue.len() > self.settings.load().queue / 2;
        let waiter = if is_long { queue.back() } else { queue.front() };
        let place = waiter.and_then(|waiter| self.take(waiter.ceiling));
        let next = place.and_then(|place| {
            let waiter = if is_long { queue.pop_back() } else { queue.pop_front() };
            waiter.map(|waiter| (waiter, place))
        });
        self.waiting.store(queue.len(), Ordering::SeqCst);
        next
    }

    fn share(self: &Arc<Self>, tenant: &Arc<str>) -> Result<TenantPermit> {
        let mut tenants = sync::lock(&self.tenants);
        let taken = tenants.entry(Arc::clone(tenant)).or_default();
        if *taken >= self.settings.load().max_per_tenant {
            drop(tenants);
            counter!("llm_gateway_requests_shed_total", "reason" => "tenant").increment(1);
            let message = "too many concurrent requests of this tenant";
            return Err(GatewayError::new(ErrorKind::RateLimited, message)
                .with_code("tenant_overloaded")
                .with_limit("admission.max_per_tenant")
                .with_retry_after(Some(RETRY_AFTER)));
        }
        *taken += 1;
        Ok(TenantPermit(Arc::clone(self), Arc::clone(tenant)))
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Waiter>> {
        sync::lock(&self.queue)
    }
}

impl Drop for SlotPermit {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
        self.0.wake_next();
    }
}

impl Drop for TenantPermit {
    fn drop(&mut self) {
        let mut tenants = sync::lock(&self.0.tenants);
        if let Some(taken) = tenants.get_mut(&self.1) {
            *taken -= 1;
            if *taken == 0 {
                tenants.remove(&self.1);
            }
        }
    }
}

fn shed(reason: &'static str, message: &'static str) -> GatewayError {
    counter!("llm_gateway_requests_shed_total", "reason" => reason).increment(1);
    GatewayError::new(ErrorKind::Overloaded, message)
        .with_limit("admission.max_concurrent_requests")
        .with_retry_after(Some(RETRY_AFTER))
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("active", &self.active()).finish_non_exhaustive()
    }
}

impl fmt::Debug for AdmissionPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
