use super::*;
use crate::LimitPolicy;
use gateway_core::state::{Key, LeaseReply, LeaseRequest, Quotas, SharedLimits};
use std::sync::Mutex;

/// A store in this process.
#[derive(Default)]
struct LocalQuotas {
    limits: Mutex<SharedLimits>,
    calls: std::sync::atomic::AtomicUsize,
}

#[async_trait::async_trait]
impl Quotas for LocalQuotas {
    async fn exchange(
        &self,
        _: &Key,
        request: &LeaseRequest,
    ) -> std::result::Result<LeaseReply, StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let now_us = u64::try_from(gateway_tasks::unix_time().as_micros()).unwrap();
        Ok(self.limits.lock().unwrap().exchange(now_us, request))
    }

    async fn replicas(&self, _: &str) -> std::result::Result<u64, StoreError> {
        Ok(1)
    }

    async fn reset_budget(
        &self,
        _: &Key,
        name: &str,
    ) -> std::result::Result<NanoDollars, StoreError> {
        Ok(self.limits.lock().unwrap().reset_budget(name))
    }
}

/// Whether the tokens of a request are counted that meets `policy`.
async fn is_counted(policy: &LimitPolicy) -> bool {
    let settings = LimiterSettings {
        anonymous: LimitPolicy::default(),
        assumed_output: 10,
        unpriced: UnpricedPolicy::Allow,
        tenants: Vec::new(),
    };
    let accounts = LimitAccounts::new(Arc::new(LocalQuotas::default()));
    let limiter = Limiter::new(accounts.clone(), &settings);
    let client = Client::new("c", "t").limited(policy, &accounts);
    let size = TokenEstimate::of("{}".into());
    let want = QuotaDemand {
        models: ["m", "m"],
        input: &size,
        output: None,
        units: BilledUnits::NONE,
        price: None,
        tier: None,
    };
    let peer = IpAddr::from([127, 0, 0, 1]);
    let taken = limiter.reserve(&client, peer, &want).await;
    assert!(taken.is_ok());
    size.is_counted()
}

#[tokio::test]
async fn tokens_are_counted_where_a_limit_needs_them() {
    let some = Some(100);
    let nothing = LimitPolicy::default();
    assert!(!is_counted(&nothing).await);
    assert!(!is_counted(&LimitPolicy { requests_per_minute: some, ..nothing.clone() }).await);
    assert!(!is_counted(&LimitPolicy { concurrent: some, ..nothing.clone() }).await);
    assert!(is_counted(&LimitPolicy { tokens_per_minute: some, ..nothing.clone() }).await);
    let money = Some(NanoDollars(1));
    assert!(is_counted(&LimitPolicy { daily_budget: money, ..nothing.clone() }).await);
    assert!(is_counted(&LimitPolicy { monthly_budget: money, ..nothing.clone() }).await);
    let of_model = |model: &str, it: LimitPolicy| LimitPolicy {
        models: vec![(model.to_owned(), it)],
        ..LimitPolicy::default()
    };
    let tokens = LimitPolicy { tokens_per_minute: some, ..nothing.clone() };
    assert!(is_counted(&of_model("m", tokens.clone())).await);
    assert!(!is_counted(&of_model("other", tokens)).await);
}
