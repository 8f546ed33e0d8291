//! The tokens and the cost of a request: the sum over the upstream calls made for it.

use super::RequestAccounting;
use gateway_core::{CacheStatus, CallUsage, NanoDollars, ServiceTier, StreamEnd, Usage};
use gateway_limits::Limits;

/// The tokens of a request, as far as they are known.
#[derive(Clone, Copy)]
pub(super) struct AccountedUsage {
    pub(super) usage: Usage,
    /// The provider did not report it.
    pub(super) is_estimated: bool,
    /// The cost, if the price is known. A cached response costs nothing.
    pub(super) cost: Option<NanoDollars>,
}

impl AccountedUsage {
    /// The sum over no calls.
    pub(super) fn none() -> Self {
        Self { usage: Usage::default(), is_estimated: false, cost: None }
    }

    /// Adds an upstream call, at the price of the model that it went to and of the tier that served
    /// it. What is estimated has no report of that: it was served in the tier `requested`.
    pub(super) fn add(
        &mut self,
        limits: &Limits,
        mut call: CallUsage,
        requested: Option<ServiceTier>,
    ) {
        if call.is_estimated {
            call.usage.tier = call.usage.tier.or(requested);
        }
        self.usage += call.usage;
        self.is_estimated |= call.is_estimated;
        if let Some(price) = limits.price(&call.provider, call.card.as_deref()) {
            let mut cost = self.cost.unwrap_or_default();
            cost += price.cost(&call.usage);
            self.cost = Some(cost);
        }
    }
}

impl RequestAccounting {
    /// The tokens as the upstream calls used them, and their cost.
    pub(super) fn accounted_usage(&self, end: StreamEnd<'_>) -> AccountedUsage {
        if let Some(CacheStatus::Hit { .. }) = self.cache {
            let usage = self.usage.unwrap_or_default();
            return AccountedUsage { usage, is_estimated: false, cost: Some(NanoDollars(0)) };
        }
        let (mut sum, limits) = (None, &self.engine.limits);
        self.meter.each_usage(|call| {
            sum.get_or_insert_with(AccountedUsage::none).add(limits, call, self.tier);
        });
        if let Some(sum) = sum {
            return sum;
        }
        if self.has_unmetered_output() {
            return self.unmetered_usage(end);
        }
        let price = self.engine.limits.price(&self.provider, self.card.as_deref());
        let cost = price.map(|_| NanoDollars(0));
        AccountedUsage { usage: Usage::default(), is_estimated: false, cost }
    }

    /// Whether a response has begun without a call in the meter: by a provider that does not meter,
    /// or shared with another request that has.
    fn has_unmetered_output(&self) -> bool {
        !self.meter.is_used() && self.has_started
    }

    /// The tokens of a response as the provider reported them, or as far as they were seen.
    fn unmetered_usage(&self, end: StreamEnd<'_>) -> AccountedUsage {
        let is_complete = matches!(end, StreamEnd::Complete);
        // A report of no tokens at all reports nothing.
        let reported = self.usage.filter(Usage::is_reported);
        let is_estimated = !is_complete || reported.is_none();
        let usage = match reported {
            Some(usage) if is_complete => usage,
            // What the provider reported before the end is what it knew then.
            Some(usage) => {
                let unreported = self.outputs.saturating_sub(usage.completion());
                Usage { output: usage.output.saturating_add(unreported), ..usage }
            }
            None => Usage { input: self.input.tokens(), output: self.outputs, ..Usage::default() },
        };
        let tier = usage.tier.or(self.tier.filter(|_| is_estimated));
        let usage = Usage { tier, ..usage };
        let price = self.engine.limits.price(&self.provider, self.card.as_deref());
        AccountedUsage { usage, is_estimated, cost: price.map(|price| price.cost(&usage)) }
    }
}
