//! The reservation of a request, until its response has ended.

use crate::{LimitAccounts, account::LimitAccount, charges::Charges};
use gateway_core::NanoDollars;
use std::{mem, sync::Arc};

/// The amounts that a request has reserved of its client's limits. If it is dropped, the request
/// has used nothing.
pub struct QuotaReservation {
    accounts: LimitAccounts,
    account: Arc<LimitAccount>,
    charges: Box<Charges>,
    /// The store was away, and this replica's share was taken.
    in_outage: bool,
    is_settled: bool,
    /// The reservation of the same request against its tenant's limits.
    of_tenant: Option<Box<Self>>,
}

impl QuotaReservation {
    pub(crate) const fn new(
        accounts: LimitAccounts,
        account: Arc<LimitAccount>,
        charges: Box<Charges>,
        in_outage: bool,
    ) -> Self {
        Self { accounts, account, charges, in_outage, is_settled: false, of_tenant: None }
    }

    /// Adds what the same request has reserved of another account.
    #[must_use]
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.of_tenant = Some(Box::new(other));
        self
    }

    /// Ends the reservation of a request that used `tokens` and cost `cost`.
    pub fn settle(mut self, tokens: u64, cost: NanoDollars) {
        if let Some(of_tenant) = self.of_tenant.take() {
            of_tenant.settle(tokens, cost);
        }
        self.end(tokens, cost);
    }

    fn end(&mut self, tokens: u64, cost: NanoDollars) {
        if mem::replace(&mut self.is_settled, true) {
            return;
        }
        self.account.settle(&self.charges, self.in_outage, tokens, cost);
        self.accounts.list(&self.account);
    }
}

impl Drop for QuotaReservation {
    fn drop(&mut self) {
        self.end(0, NanoDollars(0));
    }
}

impl std::fmt::Debug for QuotaReservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuotaReservation").field("charges", &self.charges).finish_non_exhaustive()
    }
}
