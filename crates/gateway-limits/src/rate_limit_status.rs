//! The remaining units of a caller's rate limits.

use crate::QuotaReservation;
use crate::{charges::RateCharge, policy::LimitKind};
use gateway_core::{GatewayError, NanoDollars, state::RateRemaining};
use std::{error::Error, fmt};

/// The remaining units of a caller's rate limits, sent as headers of every response.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RateLimitStatus {
    /// The limit on requests, if there is one.
    pub requests: Option<RateLimitLevel>,
    /// The limit on tokens, if there is one.
    pub tokens: Option<RateLimitLevel>,
    /// The remainder of the smallest budget, less the reservation of the request.
    pub budget: Option<NanoDollars>,
}

/// The remaining units of one limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimitLevel {
    /// The size of the limit, in units per minute.
    pub limit: u64,
    /// The remaining units, and the time until all are back.
    pub left: RateRemaining,
}

/// The result of a reservation that was granted.
#[derive(Debug, Default)]
pub struct GrantedQuota {
    /// The amounts that are held until the request ends; absent if nothing is held.
    pub reservation: Option<QuotaReservation>,
    /// The remaining units of the rate limits.
    pub status: RateLimitStatus,
}

/// A rejection by a limit, with the state of the rate limits.
#[derive(Debug)]
pub struct LimitError {
    /// The error for the caller.
    pub error: GatewayError,
    /// The remaining units of the rate limits.
    pub status: RateLimitStatus,
}

impl From<LimitError> for GatewayError {
    fn from(refused: LimitError) -> Self {
        refused.error
    }
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

impl GrantedQuota {
    /// Adds what was granted of the limits of another party.
    pub(crate) fn add(&mut self, other: Self) {
        self.status = self.status.merged(&other.status);
        self.reservation = match (self.reservation.take(), other.reservation) {
            (Some(own), Some(others)) => Some(own.with(others)),
            (own, others) => own.or(others),
        };
    }
}

impl RateLimitStatus {
    /// Returns, of each limit of both, the one with less left.
    pub(crate) fn merged(&self, other: &Self) -> Self {
        let lower = |own: Option<RateLimitLevel>, others: Option<RateLimitLevel>| {
            let both = own.into_iter().chain(others);
            both.min_by_key(|level| level.left.units)
        };
        Self {
            requests: lower(self.requests, other.requests),
            tokens: lower(self.tokens, other.tokens),
            budget: self.budget.into_iter().chain(other.budget).min(),
        }
    }

    /// Records the rest of a limit. Of two limits, the one with less left is reported.
    pub(crate) fn record(&mut self, charge: &RateCharge, left: RateRemaining) {
        let level = match charge.kind {
            LimitKind::Requests => &mut self.requests,
            LimitKind::Tokens => &mut self.tokens,
        };
        if level.is_none_or(|known| left.units < known.left.units) {
            *level = Some(RateLimitLevel { limit: charge.rate.per_minute(), left });
        }
    }
}
