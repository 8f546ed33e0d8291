//! Health checks of the gateway and its dependencies.
//!
//! However many probes arrive, each dependency is checked at most once a second, all of them
//! concurrently. The endpoint `/health` checks no dependency.

mod replies;

pub(crate) use self::replies::{detailed, ready};

use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::{Map, Value};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// The deadline of a dependency check.
const LIMIT: Duration = Duration::from_secs(1);
/// The time for which a check's result is reused.
const FRESH: Duration = Duration::from_secs(1);

/// The name under which the store is reported, for every backend.
pub const STORE: &str = "redis";

/// The name under which the supervised tasks of the process are reported; readiness names them only
/// while one of them is failing.
pub const TASKS: &str = "tasks";

/// A health check of a dependency.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Checks the dependency. The caller sets a deadline.
    async fn check(&self) -> CheckResult;
}

/// The result of a health check.
#[derive(Clone, Debug, Default)]
pub struct CheckResult {
    /// Whether it does its work.
    pub well: bool,
    /// Whether the gateway does not use it: it is reported as `null`, and degrades nothing.
    pub unused: bool,
    /// More, for operators; no secrets.
    pub details: Map<String, Value>,
}

impl CheckResult {
    /// The result for a dependency that the gateway does not use.
    pub fn of_unused() -> Self {
        Self { unused: true, ..Self::default() }
    }

    const fn is_failing(&self) -> bool {
        !self.well && !self.unused
    }
}

/// Something that the gateway depends on.
pub struct Dependency {
    /// Its name in `checks`.
    pub name: String,
    /// Whether the gateway is of no use without it.
    pub critical: bool,
    /// The check of the dependency.
    pub probe: Arc<dyn Probe>,
}

/// The source of further details for operators: memory, load and the like.
pub type HealthDetails = Arc<dyn Fn() -> Map<String, Value> + Send + Sync>;

/// The health checks of the gateway.
pub struct Health {
    dependencies: Vec<Dependency>,
    draining: CancellationToken,
    told: HealthDetails,
    seen: Mutex<Option<(Instant, Arc<HealthReport>)>>,
}

/// The results of all checks at one time.
#[derive(Debug)]
struct HealthReport {
    looks: Vec<CheckState>,
}

/// The result of one dependency's check.
#[derive(Debug)]
struct CheckState {
    name: String,
    critical: bool,
    finding: CheckResult,
    took: Duration,
}

/// Whether requests should be sent here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Readiness {
    Ready,
    /// Something is missing, but not to everybody.
    Degraded,
    NotReady,
    /// The gateway is about to stop.
    Draining,
}

impl Health {
    /// Watches `dependencies`; `draining` is cancelled when the gateway is about to stop.
    pub fn new(
        dependencies: Vec<Dependency>,
        draining: CancellationToken,
        told: HealthDetails,
    ) -> Self {
        Self { dependencies, draining, told, seen: Mutex::default() }
    }

    /// Returns the token that is cancelled when the gateway is about to stop.
    pub(crate) fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// Returns results less than a second old. Concurrent callers share one run of the checks.
    async fn report(&self) -> Arc<HealthReport> {
        let mut seen = self.seen.lock().await;
        if let Some((at, report)) = &*seen
            && at.elapsed() < FRESH
        {
            return Arc::clone(report);
        }
        let looks = join_all(self.dependencies.iter().map(Dependency::check)).await;
        let report = Arc::new(HealthReport { looks });
        *seen = Some((Instant::now(), Arc::clone(&report)));
        report
    }

    fn readiness(&self, report: &HealthReport) -> Readiness {
        let mut failing = report.looks.iter().filter(|look| look.finding.is_failing()).peekable();
        if self.draining.is_cancelled() {
            Readiness::Draining
        } else if failing.peek().is_none() {
            Readiness::Ready
        } else if failing.any(|look| look.critical) {
            Readiness::NotReady
        } else {
            Readiness::Degraded
        }
    }
}

impl Default for Health {
    /// Of a gateway that depends on nothing.
    fn default() -> Self {
        Self::new(Vec::new(), CancellationToken::new(), Arc::new(Map::new))
    }
}

impl Dependency {
    async fn check(&self) -> CheckState {
        let began = Instant::now();
        let finding = timeout(LIMIT, self.probe.check()).await.unwrap_or_else(|_| {
            let late = ("error".to_owned(), Value::from("timeout"));
            CheckResult { details: Map::from_iter([late]), ..CheckResult::default() }
        });
        let (name, critical) = (self.name.clone(), self.critical);
        CheckState { name, critical, finding, took: began.elapsed() }
    }
}

impl fmt::Debug for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependency")
            .field("name", &self.name)
            .field("critical", &self.critical)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("dependencies", &self.dependencies).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
