//! The lease of a concurrency limit.

use super::OutageShare;
use crate::charges::SlotCharge;
use gateway_core::state::{Refusal, SlotGrant, SlotLease};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The time for which a refusal of the store is repeated without asking again.
const HOLD_OFF: Duration = Duration::from_millis(25);

/// The most slots that are taken ahead of use.
const MAX_AHEAD: u64 = 8;

/// The slots that this replica has taken.
#[derive(Clone, Debug)]
pub(super) struct SlotState {
    pub(super) name: Arc<str>,
    /// The models that it is for; absent if it is for all.
    pub(super) models: Option<Arc<str>>,
    limit: u64,
    held: u64,
    in_use: u64,
    /// The most that were in use since the last renewal.
    peak: u64,
    /// The free slots, as last reported by the store.
    pub(super) left: u64,
    reported: u64,
    refused_until: Option<Instant>,
}

impl SlotState {
    pub(super) fn new(name: Arc<str>, models: Option<&str>) -> Self {
        Self {
            name,
            models: models.map(Into::into),
            limit: 0,
            held: 0,
            in_use: 0,
            peak: 0,
            left: 0,
            reported: 0,
            refused_until: None,
        }
    }

    pub(super) fn check(&mut self, charge: &SlotCharge, now: Instant) -> Result<bool, Refusal> {
        self.limit = charge.limit;
        // A limit that was lowered counts at once.
        if self.in_use >= charge.limit {
            return Err(Refusal::Slots { name: Arc::clone(&self.name) });
        }
        if self.in_use < self.held {
            return Ok(true);
        }
        if self.refused_until.is_some_and(|until| now < until) {
            return Err(Refusal::Slots { name: Arc::clone(&self.name) });
        }
        Ok(false)
    }

    /// Checks whether `bodies` more requests may run.
    pub(super) fn check_body(&self, charge: &SlotCharge, bodies: u64) -> Result<(), Refusal> {
        if self.in_use.saturating_add(bodies) <= charge.limit {
            return Ok(());
        }
        Err(Refusal::Slots { name: Arc::clone(&self.name) })
    }

    pub(super) fn take(&mut self) {
        self.in_use += 1;
        self.peak = self.peak.max(self.in_use);
    }

    pub(super) fn release(&mut self) {
        self.in_use = self.in_use.saturating_sub(1);
        self.refused_until = None;
    }

    pub(super) fn lease(&mut self, charge: Option<&SlotCharge>, renew: bool) -> Option<SlotLease> {
        let ahead = (self.limit / 16).min(MAX_AHEAD);
        let mut need = 0;
        if charge.is_some() {
            need = u64::from(self.in_use >= self.held);
        } else {
            let wanted = if self.peak > 0 { self.in_use + ahead } else { self.in_use };
            self.held = self.held.min(wanted);
            self.peak = self.in_use;
        }
        // Beyond what the store gave, in an outage.
        self.held = self.held.max(self.in_use);
        if need == 0 && self.held == self.reported && !(renew && self.held > 0) {
            return None;
        }
        let (name, limit, held) = (Arc::clone(&self.name), self.limit, self.held);
        let extra = if need > 0 { ahead } else { 0 };
        Some(SlotLease { name, limit, held, need, extra })
    }

    /// Returns a report without a demand, to learn the free slots.
    pub(super) fn preview(&mut self, charge: &SlotCharge) -> SlotLease {
        (self.limit, self.held) = (charge.limit, self.held.max(self.in_use));
        let (name, limit, held) = (Arc::clone(&self.name), charge.limit, self.held);
        SlotLease { name, limit, held, need: 0, extra: 0 }
    }

    pub(super) fn apply(&mut self, lease: &SlotLease, grant: SlotGrant) {
        self.held = self.held.max(lease.held).saturating_add(grant.granted);
        self.reported = lease.held + grant.granted;
        self.left = grant.left;
        self.refused_until = None;
    }

    pub(super) fn refuse(&mut self, now: Instant) {
        self.refused_until = Some(now + HOLD_OFF);
    }

    /// Records that the store's state is unknown.
    pub(super) fn lost(&mut self) {
        self.reported = u64::MAX;
    }

    pub(super) fn check_share(
        &self,
        charge: &SlotCharge,
        share: OutageShare,
    ) -> Result<(), Refusal> {
        let own = (charge.limit / share.replicas.max(1)).max(charge.limit.min(1));
        if self.in_use < self.held || self.in_use < own {
            return Ok(());
        }
        Err(Refusal::Slots { name: Arc::clone(&self.name) })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_use == 0 && self.held == 0 && self.reported == 0
    }

    /// The slots of the lease that are not in use, which count as free.
    pub(super) fn available(&self) -> u64 {
        self.held.saturating_sub(self.in_use)
    }
}
