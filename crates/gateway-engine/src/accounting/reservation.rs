//! The usage that a request owes if the gateway crashes: it stands in the ledger before an upstream
//! is asked.

use super::usage::AccountedUsage;
use crate::{Engine, RequestContext};
use gateway_core::{CallObserver, CallUsage, ServiceTier, Usage, state::ReservedUsage};
use gateway_limits::UsageRecord;
use std::{fmt, sync::Arc};

/// The longest output that is reserved for a model whose own maximum is not known, in tokens.
const LONGEST_OUTPUT: u64 = 1_000_000;

/// Revises the reservation of a request whenever another upstream call is made for it.
pub(super) struct ReservationObserver {
    pub(super) engine: Arc<Engine>,
    pub(super) row: Arc<UsageRecord>,
    /// Maximum number of output tokens of a call.
    pub(super) output: u64,
    /// The service tier that the request asks for.
    pub(super) tier: Option<ServiceTier>,
}

impl RequestContext {
    /// The usage that the first upstream call of the request owes at most.
    pub(super) fn reserved_usage(&self) -> ReservedUsage {
        let (input, output) = (self.input.tokens(), self.reserved_output());
        let (tier, units) = (self.tier, self.units);
        let usage = Usage { input, output, tier, units, ..Usage::default() };
        ReservedUsage { usage, cost: self.price.as_ref().map(|price| price.cost(&usage)) }
    }

    /// The number of output tokens that an upstream call of the request is expected to have at most.
    pub(super) fn reserved_output(&self) -> u64 {
        let longest = self.target.card.as_deref().and_then(|card| card.max_output);
        let output = self.max_output.unwrap_or(self.engine.limits.assumed_output);
        output.min(longest.unwrap_or(LONGEST_OUTPUT))
    }
}

impl CallObserver for ReservationObserver {
    fn call_planned(&self, owed: &[CallUsage]) {
        let mut sum = AccountedUsage::none();
        for (place, call) in (1..).zip(owed) {
            let mut call = call.clone();
            if place == owed.len() {
                call.usage.output = call.usage.output.saturating_add(self.output);
            }
            sum.add(&self.engine.limits, call, self.tier);
        }
        let AccountedUsage { usage, cost, .. } = sum;
        self.engine.limits.usage.revise(&self.row, ReservedUsage { usage, cost });
    }
}

impl fmt::Debug for ReservationObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReservationObserver").field("output", &self.output).finish_non_exhaustive()
    }
}
