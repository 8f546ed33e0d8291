//! What a request holds, until it has ended.

use super::limiter::Inner;
use futures_util::FutureExt as _;
use gateway_core::{
    NanoDollars,
    state::{Key, RateAsk, Settle},
};
use std::{mem, sync::Arc};

/// What a request has taken of its limits. If it is dropped, the request has taken nothing.
#[derive(Debug)]
pub struct QuotaReservation {
    inner: Arc<Inner>,
    key: Key,
    request: Arc<str>,
    /// The tokens that were reserved, of each limit.
    tokens: Vec<RateAsk>,
    settled: bool,
}

impl QuotaReservation {
    pub(super) fn new(
        inner: Arc<Inner>,
        key: Key,
        request: Arc<str>,
        tokens: Vec<RateAsk>,
    ) -> Self {
        Self { inner, key, request, tokens, settled: false }
    }

    /// Nothing was taken after all.
    pub(super) fn disarm(mut self) {
        self.settled = true;
    }

    /// The request has ended, and took this.
    pub fn settle(mut self, tokens: u64, cost: NanoDollars) {
        self.end(tokens, cost);
    }

    fn end(&mut self, tokens: u64, cost: NanoDollars) {
        if mem::replace(&mut self.settled, true) {
            return;
        }
        let correction = |it: &RateAsk| {
            let signed = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
            (Arc::clone(&it.name), it.rate, signed(tokens).saturating_sub(signed(it.cost)))
        };
        let corrections = self.tokens.iter().map(correction).filter(|it| it.2 != 0).collect();
        let settle = Settle { request: Arc::clone(&self.request), cost, corrections };
        let (quotas, key) = (Arc::clone(&self.inner.quotas), self.key.clone());
        let mut settling = Box::pin(async move {
            if let Err(error) = quotas.settle(&key, &settle).await {
                tracing::warn!(%error, "what a request has taken of its limits is not settled");
            }
        });
        // A store in this process has done it by now.
        if (&mut settling).now_or_never().is_none() {
            self.inner.tasks.spawn(settling);
        }
    }
}

impl Drop for QuotaReservation {
    fn drop(&mut self) {
        self.end(0, NanoDollars(0));
    }
}
