//! Attempts to call without a key that counts, by address.

use crate::{calendar, client_prefix};
use gateway_core::{
    ErrorKind, GatewayError,
    state::{
        Rate,
        gcra::{self, Debt},
    },
    sync,
};
use std::{collections::HashMap, net::IpAddr, sync::Mutex};

/// Failed attempts per minute and address.
const ATTEMPTS: u64 = 20;

/// Maximum number of remembered addresses; further ones share one count.
const ADDRESSES: usize = 10_000;

/// Counts attempts that fail. Those that succeed are not counted, and not hindered.
#[derive(Debug, Default)]
pub struct FailedAttempts {
    by_address: Mutex<HashMap<Option<IpAddr>, Debt>>,
}

impl FailedAttempts {
    /// Counts a failed attempt of `peer`; returns `error`, or the error for too many attempts.
    pub fn record(&self, peer: IpAddr, error: GatewayError) -> GatewayError {
        let now = u64::try_from(calendar::now().as_micros()).unwrap_or(u64::MAX);
        self.record_at(now, peer, error)
    }

    fn record_at(&self, now_us: u64, peer: IpAddr, error: GatewayError) -> GatewayError {
        let rate = Rate::new(ATTEMPTS, ATTEMPTS);
        let mut known = sync::lock(&self.by_address);
        if known.len() >= ADDRESSES {
            known.retain(|_, debt| debt.at(now_us, rate).left(rate) < ATTEMPTS);
        }
        let address = Some(client_prefix(peer));
        let address = if known.len() < ADDRESSES { address } else { None };
        let Err(retry_after) = gcra::take(known.entry(address).or_default(), now_us, rate, 1)
        else {
            return error;
        };
        let message = "too many attempts without a valid API key";
        GatewayError::new(ErrorKind::RateLimited, message)
            .with_code("too_many_failed_attempts")
            .with_retry_after(Some(retry_after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_attempts() {
        let failures = FailedAttempts::default();
        let attempt = |at: u64, peer: &str| {
            let error = GatewayError::new(ErrorKind::Unauthenticated, "no");
            failures.record_at(at * 1_000_000 + 1, peer.parse().unwrap(), error).kind()
        };
        for _ in 0..ATTEMPTS {
            assert_eq!(attempt(0, "192.0.2.1"), ErrorKind::Unauthenticated);
        }
        assert_eq!(attempt(0, "192.0.2.1"), ErrorKind::RateLimited);
        assert_eq!(attempt(0, "192.0.2.2"), ErrorKind::Unauthenticated);
        assert_eq!(attempt(3, "192.0.2.1"), ErrorKind::Unauthenticated);
        assert_eq!(attempt(3, "192.0.2.1"), ErrorKind::RateLimited);
    }

    #[test]
    fn remembered_addresses_are_bounded() {
        let failures = FailedAttempts::default();
        for n in 0..20_000_u32 {
            let peer = std::net::Ipv4Addr::from_bits(n).into();
            failures.record_at(1, peer, GatewayError::new(ErrorKind::Unauthenticated, "no"));
        }
        assert!(failures.by_address.lock().unwrap().len() <= ADDRESSES + 1);
    }
}
