//! Attempts to call without a valid key, counted by address and over all addresses.
//!
//! An address that has used up its attempts is refused before its key is looked at: a guess cannot
//! succeed, however many are made. When the attempts of all addresses together are used up, as by
//! guesses from many places, only addresses that have shown a valid key before are listened to.

use crate::client_prefix;
use arc_swap::ArcSwap;
use foldhash::HashSet;
use gateway_core::{
    ErrorKind, GatewayError, Result,
    state::{
        Rate,
        gcra::{self, RateDebt},
    },
    sync,
};
use gateway_tasks::unix_time;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Attempts of an address in a minute.
const PER_ADDRESS: u64 = 20;

/// Attempts of all addresses in a minute.
const OVERALL: u64 = 1_000;

/// Maximum number of addresses with a count of their own; the others share one.
const ADDRESSES: usize = 10_000;

/// The attempts that failed, and the addresses that have succeeded.
#[derive(Debug, Default)]
pub struct FailedAttempts {
    /// Whether any attempt has failed: until then there is nothing to check.
    has_failures: AtomicBool,
    failures: Mutex<Failures>,
    /// Addresses that have shown a valid key. Replaced for each new one, so that the check of a known
    /// one writes nothing that threads share.
    proven: ArcSwap<HashSet<IpAddr>>,
}

#[derive(Debug, Default)]
struct Failures {
    by_address: HashMap<Option<IpAddr>, RateDebt>,
    overall: RateDebt,
}

impl FailedAttempts {
    /// Refuses an attempt of `peer` if too many have failed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::RateLimited`] until the next attempt is allowed.
    pub fn check(&self, peer: IpAddr) -> Result<()> {
        if !self.has_failures.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.check_at(now_us(), client_prefix(peer))
    }

    /// Counts an attempt of `peer` that failed.
    pub fn record(&self, peer: IpAddr) {
        self.record_at(now_us(), client_prefix(peer));
    }

    /// Remembers that `peer` has shown a valid key.
    pub fn record_success(&self, peer: IpAddr) {
        let address = client_prefix(peer);
        if self.proven.load().contains(&address) {
            return;
        }
        self.proven.rcu(|proven| {
            let is_full = proven.len() >= ADDRESSES;
            let mut proven = if is_full { HashSet::default() } else { HashSet::clone(proven) };
            proven.insert(address);
            proven
        });
    }

    fn check_at(&self, now_us: u64, address: IpAddr) -> Result<()> {
        let failures = sync::lock(&self.failures);
        let (own, all) = (rate(PER_ADDRESS), rate(OVERALL));
        let debt = failures.by_address.get(&Some(address)).copied();
        let debt = debt.or_else(|| {
            let is_crowded = failures.by_address.len() >= ADDRESSES;
            failures.by_address.get(&None).copied().filter(|_| is_crowded)
        });
        if let Some(debt) = debt.map(|it| it.at(now_us, own))
            && !debt.has_room(own, 1)
        {
            return Err(blocked(debt.wait(own, 1)));
        }
        let overall = failures.overall.at(now_us, all);
        drop(failures);
        if !overall.has_room(all, 1) && !self.proven.load().contains(&address) {
            return Err(blocked(overall.wait(all, 1)));
        }
        Ok(())
    }

    fn record_at(&self, now_us: u64, address: IpAddr) {
        self.has_failures.store(true, Ordering::Relaxed);
        let own = rate(PER_ADDRESS);
        let mut failures = sync::lock(&self.failures);
        let known = &mut failures.by_address;
        if known.len() >= ADDRESSES {
            known.retain(|_, debt| debt.at(now_us, own).left(own) < PER_ADDRESS);
        }
        let address = if known.len() < ADDRESSES { Some(address) } else { None };
        // Attempts at one moment may be more than there is room for: the count stays full.
        let _ = gcra::take(known.entry(address).or_default(), now_us, own, 1);
        let _ = gcra::take(&mut failures.overall, now_us, rate(OVERALL), 1);
    }
}

fn now_us() -> u64 {
    u64::try_from(unix_time().as_micros()).unwrap_or(u64::MAX)
}

fn rate(attempts: u64) -> Rate {
    Rate::new(attempts, attempts)
}

fn blocked(retry_after: Duration) -> GatewayError {
    let message = "too many attempts without a valid API key";
    GatewayError::new(ErrorKind::RateLimited, message)
        .with_code("too_many_failed_attempts")
        .with_limit("failed_attempts")
        .with_retry_after(Some(retry_after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    /// An attempt that fails, at this second: whether its key was looked at.
    fn fails(failures: &FailedAttempts, at: u64, peer: u32) -> bool {
        let (now, peer) = (at * 1_000_000 + 1, Ipv4Addr::from_bits(peer).into());
        let is_heard = failures.check_at(now, peer).is_ok();
        if is_heard {
            failures.record_at(now, peer);
        }
        is_heard
    }

    #[test]
    fn address_is_blocked_after_its_attempts() {
        let failures = FailedAttempts::default();
        for _ in 0..PER_ADDRESS {
            assert!(fails(&failures, 0, 1));
        }
        assert!(!fails(&failures, 0, 1));
        assert!(fails(&failures, 0, 2));
        assert!(fails(&failures, 3, 1));
        assert!(!fails(&failures, 3, 1));
    }

    #[test]
    fn guesses_from_many_addresses_block_all_but_proven_ones() {
        let failures = FailedAttempts::default();
        let proven: IpAddr = Ipv4Addr::from_bits(9).into();
        failures.record_success(proven);
        for peer in 0..1_000 {
            assert!(fails(&failures, 0, 100 + peer));
        }
        assert!(!fails(&failures, 0, 5));
        assert!(failures.check_at(1, proven).is_ok());
        assert!(fails(&failures, 1, 5));
    }

    #[test]
    fn remembered_addresses_are_bounded() {
        let failures = FailedAttempts::default();
        for n in 0..20_000_u32 {
            failures.record_at(1, Ipv4Addr::from_bits(n).into());
            failures.record_success(Ipv4Addr::from_bits(n).into());
        }
        assert!(sync::lock(&failures.failures).by_address.len() <= ADDRESSES + 1);
        assert!(failures.proven.load().len() <= ADDRESSES);
    }
}
