//! What is left of a caller's limits by rate.

use crate::QuotaReservation;
use crate::{charges::RateCharge, policy::LimitKind};
use gateway_core::{GatewayError, state::Remaining};
use std::{error::Error, fmt};

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

/// The result of a reservation that was granted.
#[derive(Debug, Default)]
pub struct GrantedQuota {
    /// The amounts that are held until the request ends; absent if nothing is held.
    pub reservation: Option<QuotaReservation>,
    /// What is left of the limits by rate.
    pub status: RateLimitStatus,
}

/// A refusal by a limit, with what is left of the limits by rate.
#[derive(Debug)]
pub struct LimitError {
    /// The error for the caller.
    pub error: GatewayError,
    /// What is left of the limits by rate.
    pub status: RateLimitStatus,
}

impl From<GatewayError> for LimitError {
    fn from(error: GatewayError) -> Self {
        Self { error, status: RateLimitStatus::default() }
    }
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for LimitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl RateLimitStatus {
    /// Learns what is left of a limit. Of two, the one with less counts.
    pub(crate) fn record(&mut self, charge: &RateCharge, left: Remaining) {
        let level = match charge.kind {
            LimitKind::Requests => &mut self.requests,
            LimitKind::Tokens => &mut self.tokens,
        };
        if level.is_none_or(|known| left.units < known.left.units) {
            *level = Some(RateLimitLevel { limit: charge.rate.per_minute(), left });
        }
    }
}
