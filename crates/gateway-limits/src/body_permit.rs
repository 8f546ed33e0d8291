//! The check of a client's limits before the body of its request is read.

use crate::{
    Client, LimitError, Limiter, account::LimitAccount, charges::Charges,
    limit_refusal::refusal_error,
};
use std::{net::IpAddr, sync::Arc};
use tokio::time::Instant;

/// Permission to read the body of a request. Until it is dropped it counts against the concurrency
/// limits of its client and tenant.
#[derive(Debug, Default)]
pub struct BodyPermit(Vec<Arc<LimitAccount>>);

impl Limiter {
    /// Checks whether a client may send a request now. Nothing is charged: the size of the request
    /// is not known yet.
    ///
    /// # Errors
    ///
    /// If a limit by rate is reached, or as many requests run or are being read as the client or its
    /// tenant may have.
    pub fn permit_body(
        &self,
        client: &Client,
        peer: IpAddr,
    ) -> Result<Option<BodyPermit>, LimitError> {
        let Some(inner) = &self.inner else { return Ok(None) };
        let mut permit = BodyPermit::default();
        for party in inner.parties(client, peer) {
            let mut charges = Charges::default();
            party.own.charge_rates(None, &mut charges);
            party.own.charge_slot(&mut charges);
            let bodies = party.account.begin_body();
            permit.0.push(Arc::clone(&party.account));
            let now = Instant::now();
            let mut state = party.account.state();
            if let Err(refusal) = state.check_body(&charges, bodies, now) {
                let status = state.status(&charges, now);
                let error = refusal_error(&refusal, &charges, &state, party.is_tenant);
                return Err(LimitError { error, status });
            }
        }
        Ok(Some(permit))
    }
}

impl Drop for BodyPermit {
    fn drop(&mut self) {
        for account in &self.0 {
            account.end_body();
        }
    }
}
