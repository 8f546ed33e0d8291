//! What is left of a caller's limits by rate.

use crate::policy::{LimitCharge, LimitKind};
use gateway_core::state::Remaining;

/// What is left of a caller's limits by rate, told with every reply.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RateLimitStatus {
    /// Of requests.
    pub requests: Option<RateLimitLevel>,
    /// Of tokens.
    pub tokens: Option<RateLimitLevel>,
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimitLevel {
    /// How many units there are in a minute.
    pub limit: u64,
    /// What is left of them.
    pub left: Remaining,
}

impl RateLimitStatus {
    /// Learns what is left of a limit. Of two, the one with less counts.
    pub(crate) fn note(&mut self, charge: &LimitCharge, left: Remaining) {
        let level = match charge.what {
            LimitKind::Requests => &mut self.requests,
            LimitKind::Tokens => &mut self.tokens,
        };
        if level.is_none_or(|known| left.units < known.left.units) {
            *level = Some(RateLimitLevel { limit: charge.per_minute, left });
        }
    }
}
