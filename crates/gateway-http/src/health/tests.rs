use super::*;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Is well or not, or does not say; counts how often it is asked.
struct Fixed {
    well: Option<bool>,
    asked: Arc<AtomicU32>,
}

#[async_trait]
impl Probe for Fixed {
    async fn check(&self) -> CheckResult {
        self.asked.fetch_add(1, Relaxed);
        match self.well {
            Some(well) => CheckResult { well, ..CheckResult::default() },
            None => std::future::pending().await,
        }
    }
}

fn dependency(name: &str, well: Option<bool>, asked: &Arc<AtomicU32>) -> Dependency {
    let probe = Arc::new(Fixed { well, asked: Arc::clone(asked) });
    Dependency { name: name.to_owned(), critical: name == STORE, probe }
}

/// A store and a service, each up, down (`false`) or silent.
async fn check(store: Option<bool>, service: Option<bool>, expected: Readiness) {
    let asked = Arc::default();
    let dependencies =
        vec![dependency(STORE, store, &asked), dependency("semantic_search", service, &asked)];
    let draining = CancellationToken::new();
    let health = Health::new(dependencies, draining.clone(), Arc::new(Map::new));
    let began = Instant::now();
    let report = health.report().await;
    assert_eq!(health.readiness(&report), expected, "{store:?} {service:?}");
    assert!(began.elapsed() <= LIMIT, "they are asked at the same time");
    draining.cancel();
    assert_eq!(health.readiness(&report), Readiness::Draining);
}

#[tokio::test(start_paused = true)]
async fn only_the_store_is_critical() {
    check(Some(true), Some(true), Readiness::Ready).await;
    check(Some(true), Some(false), Readiness::Degraded).await;
    check(Some(true), None, Readiness::Degraded).await;
    check(Some(false), Some(true), Readiness::NotReady).await;
    check(Some(false), Some(false), Readiness::NotReady).await;
    check(None, None, Readiness::NotReady).await;
}

#[tokio::test(start_paused = true)]
async fn health_probes_are_coalesced_per_second() {
    let asked = Arc::default();
    let dependencies = vec![dependency("a", Some(true), &asked), dependency("b", None, &asked)];
    let health = Health::new(dependencies, CancellationToken::new(), Arc::new(Map::new));
    join_all((0..1000).map(|_| health.report())).await;
    health.report().await;
    assert_eq!(asked.load(Relaxed), 2);
    tokio::time::advance(FRESH).await;
    health.report().await;
    assert_eq!(asked.load(Relaxed), 4);
}

#[tokio::test]
async fn unused_dependency_is_null_and_degrades_nothing() {
    struct Unused;
    #[async_trait]
    impl Probe for Unused {
        async fn check(&self) -> CheckResult {
            CheckResult::of_unused()
        }
    }
    let asked = Arc::default();
    let unused = Dependency { name: "cms".to_owned(), critical: true, probe: Arc::new(Unused) };
    let dependencies = vec![dependency(STORE, Some(true), &asked), unused];
    let health = Health::new(dependencies, CancellationToken::new(), Arc::new(Map::new));
    let report = health.report().await;
    assert_eq!(health.readiness(&report), Readiness::Ready);
    let checks = serde_json::json!({ "redis": true, "semantic_search": null, "cms": null });
    assert_eq!(Value::Object(replies::checks(&report)), checks);
}
