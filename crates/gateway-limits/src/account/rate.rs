//! The lease of a limit by rate.

use super::OutageShare;
use crate::{charges::RateCharge, policy::LimitKind};
use gateway_core::state::{
    Rate, RateGrant, RateLease, RateRemaining, Refusal,
    gcra::{self, RateDebt},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The maximum time whose worth of a limit is leased ahead of use.
const LEASE: Duration = Duration::from_millis(50);

/// The longest time for which a refusal of the store is repeated without asking again.
const HOLD_OFF: Duration = Duration::from_millis(50);

/// The units that this replica has taken and not used.
#[derive(Clone, Debug)]
pub(super) struct RateState {
    pub(super) name: Arc<str>,
    /// The models that it is for; absent if it is for all.
    pub(super) models: Option<Arc<str>>,
    rate: Option<Rate>,
    available: u64,
    /// The units that were used beyond those taken.
    owed: u64,
    /// The units used since the last renewal, and between the two before it.
    used: u64,
    used_before: u64,
    /// The time until all units are back, as last reported by the store.
    reset: Duration,
    reset_at: Option<Instant>,
    refused: Option<CachedRefusal>,
    /// The debt of this replica's share while the store is unavailable.
    share: RateDebt,
}

/// A refusal of the store.
#[derive(Clone, Copy, Debug)]
struct CachedRefusal {
    cost: u64,
    /// The time at which the request would fit.
    room_at: Instant,
    /// The time of the next call to the store.
    ask_at: Instant,
}

impl RateState {
    pub(super) fn new(name: Arc<str>, models: Option<&str>) -> Self {
        Self {
            name,
            models: models.map(Into::into),
            rate: None,
            available: 0,
            owed: 0,
            used: 0,
            used_before: 0,
            reset: Duration::ZERO,
            reset_at: None,
            refused: None,
            share: RateDebt::default(),
        }
    }

    /// Whether the lease reaches for `charge`; an error if it is known that there is no room.
    pub(super) fn check(&mut self, charge: &RateCharge, now: Instant) -> Result<bool, Refusal> {
        self.rate = Some(charge.rate);
        if charge.cost <= self.available {
            return Ok(true);
        }
        let name = || Arc::clone(&self.name);
        if charge.cost > charge.rate.burst() {
            return Err(Refusal::TooLarge { name: name() });
        }
        match self.refused {
            Some(refused) if charge.cost >= refused.cost && now < refused.ask_at => {
                let least = Duration::from_micros(1);
                let retry_after = refused.room_at.saturating_duration_since(now).max(least);
                Err(Refusal::Rate { name: name(), retry_after })
            }
            Some(_) | None => Ok(false),
        }
    }

    pub(super) fn take(&mut self, cost: u64) {
        self.available = self.available.saturating_sub(cost);
        self.used = self.used.saturating_add(cost);
    }

    /// Settles a request: books the actual amount instead of the estimate. Only tokens are
    /// estimated.
    pub(super) fn settle(&mut self, charge: &RateCharge, in_outage: bool, tokens: u64) {
        if charge.kind != LimitKind::Tokens {
            return;
        }
        if in_outage {
            let signed = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
            self.share = self.share.with(signed(tokens).saturating_sub(signed(charge.cost)));
        } else if tokens <= charge.cost {
            self.available = self.available.saturating_add(charge.cost - tokens);
            self.refused = None;
        } else {
            let more = tokens - charge.cost;
            let at_hand = more.min(self.available);
            self.available -= at_hand;
            self.owed = self.owed.saturating_add(more - at_hand);
        }
    }

    /// Returns the units that are available now, and the time until all are back.
    pub(super) fn remaining(&self, rate: Rate, now: Instant) -> RateRemaining {
        const MINUTE_US: u64 = 60_000_000;
        let elapsed = self.reset_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let us = u64::try_from(self.reset.saturating_sub(elapsed).as_micros()).unwrap_or(u64::MAX);
        let owed = us.saturating_mul(rate.per_minute());
        let owed = owed.saturating_sub(self.available.saturating_mul(MINUTE_US));
        let units = rate.burst().saturating_sub(owed.div_ceil(MINUTE_US));
        RateRemaining { units, reset: Duration::from_micros(owed / rate.per_minute()) }
    }

    /// The report and the need for `charge`; nothing if there is neither.
    pub(super) fn lease(&mut self, charge: Option<&RateCharge>) -> Option<RateLease> {
        let rate = self.rate?;
        let ahead = rate.units_in(LEASE);
        let recent = self.used.max(self.used_before).saturating_mul(2);
        let (need, wanted) = match charge {
            Some(charge) => {
                let need = charge.cost.saturating_sub(self.available);
                (need, ahead.min(recent.max(charge.cost.saturating_mul(2))))
            }
            None => (0, ahead.min(recent)),
        };
        let mut settle = i64::try_from(self.owed).unwrap_or(i64::MAX);
        self.owed = 0;
        if charge.is_none() && self.available > wanted {
            settle = settle.saturating_sub_unsigned(self.available - wanted);
            self.available = wanted;
        }
        let extra = if need > 0 { wanted } else { wanted.saturating_sub(self.available) };
        let is_idle = need == 0 && settle == 0 && (charge.is_some() || extra == 0);
        let name = Arc::clone(&self.name);
        (!is_idle).then_some(RateLease { name, rate, settle, need, extra })
    }

    /// Returns a report without a demand, to learn the remaining units.
    pub(super) fn preview(&mut self, charge: &RateCharge) -> RateLease {
        self.rate = Some(charge.rate);
        let name = Arc::clone(&self.name);
        RateLease { name, rate: charge.rate, settle: 0, need: 0, extra: 0 }
    }

    /// The report that gives back everything.
    pub(super) fn close(&mut self) -> Option<RateLease> {
        (self.used, self.used_before) = (0, 0);
        self.lease(None)
    }

    /// Starts a new count of used units after a renewal.
    pub(super) fn roll(&mut self) {
        self.used_before = self.used;
        self.used = 0;
    }

    pub(super) fn apply(&mut self, lease: &RateLease, grant: RateGrant, now: Instant) {
        self.available = self.available.saturating_add(grant.granted);
        self.reset = grant.reset;
        self.reset_at = Some(now);
        self.share = RateDebt::default();
        if grant.granted >= lease.need {
            self.refused = None;
        }
    }

    /// The store has refused `lease`.
    pub(super) fn refuse(&mut self, lease: &RateLease, retry_after: Duration, now: Instant) {
        let quarter = lease.rate.time_of((lease.rate.burst() / 4).max(1));
        let ask_at = now + HOLD_OFF.min(quarter).min(retry_after);
        let cost = lease.need.saturating_add(self.available);
        self.refused = Some(CachedRefusal { cost, room_at: now + retry_after, ask_at });
    }

    /// Records that it is unknown whether the store has seen `lease`: its usage is reported again.
    pub(super) fn lost(&mut self, lease: &RateLease) {
        self.owed = self.owed.saturating_add(u64::try_from(lease.settle).unwrap_or(0));
    }

    pub(super) fn check_share(
        &mut self,
        charge: &RateCharge,
        share: OutageShare,
    ) -> Result<(), Refusal> {
        if charge.cost <= self.available {
            return Ok(());
        }
        let rate = charge.rate.share(share.replicas);
        self.share = self.share.at(share.now_us, rate).capped(rate);
        let cost = charge.cost.min(rate.burst());
        if self.share.has_room(rate, cost) {
            return Ok(());
        }
        let retry_after = self.share.wait(rate, cost);
        Err(Refusal::Rate { name: Arc::clone(&self.name), retry_after })
    }

    pub(super) fn take_share(&mut self, charge: &RateCharge, share: OutageShare) {
        if charge.cost <= self.available {
            self.take(charge.cost);
            return;
        }
        let rate = charge.rate.share(share.replicas);
        // It was checked that there is room.
        let _ = gcra::take(&mut self.share, share.now_us, rate, charge.cost.min(rate.burst()));
        self.reset = self.share.reset(rate);
        self.reset_at = Some(Instant::now());
    }

    pub(super) fn is_idle(&self) -> bool {
        self.available == 0 && self.owed == 0 && self.used == 0 && self.used_before == 0
    }
}
