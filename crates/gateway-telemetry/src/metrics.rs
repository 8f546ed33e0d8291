//! Where counts go, and how they are rendered.

use crate::{log::Losses, memory::Memory};
use anyhow::Context as _;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime},
};

/// A metric of the process.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Its name.
    pub name: &'static str,
    /// What it counts.
    pub kind: Kind,
    /// What it means.
    pub meaning: &'static str,
}

/// What a metric counts.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Only upward.
    Counter,
    /// Up and down.
    Gauge,
    /// Samples, in buckets of these bounds.
    Histogram(&'static [f64]),
}

/// Renders the counts as Prometheus reads them.
pub type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// How often samples are summed up.
const UPKEEP: Duration = Duration::from_secs(5);

/// Begins to count, for the whole process; returns what renders the counts.
///
/// # Errors
///
/// If something else counts already.
pub fn start(
    all: &[Description],
    version: &'static str,
    losses: Arc<Losses>,
) -> anyhow::Result<Render> {
    let mut recorder = PrometheusBuilder::new();
    for metric in all {
        if let Kind::Histogram(bounds) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            recorder = recorder.set_buckets_for_metric(name, bounds)?;
        }
    }
    let recorder = recorder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("something else counts already")?;
    describe(all, version);
    let kept = handle.clone();
    // Samples are kept one by one until somebody sums them up, and perhaps nobody scrapes.
    std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        loop {
            std::thread::park_timeout(UPKEEP);
            kept.run_upkeep();
        }
    })?;
    Ok(Arc::new(move || {
        handle.run_upkeep();
        look_around(&losses);
        handle.render()
    }))
}

/// Says what each metric means, and what never changes.
fn describe(all: &[Description], version: &'static str) {
    for metric in all {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, Unit::Count, metric.meaning),
            Kind::Gauge => describe_gauge!(metric.name, Unit::Count, metric.meaning),
            Kind::Histogram(_) => describe_histogram!(metric.name, Unit::Count, metric.meaning),
        }
    }
    gauge!("llm_gateway_build_info", "version" => version).set(1.0);
    gauge!("llm_gateway_config_epoch").set(1.0);
    #[expect(clippy::disallowed_methods, reason = "the time of day is what is told")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    gauge!("process_start_time_seconds").set(now.unwrap_or_default().as_secs_f64());
}

/// Takes up what is not counted where it happens.
#[expect(clippy::cast_precision_loss, reason = "nobody has that much memory")]
fn look_around(losses: &Losses) {
    for (reason, lost) in [("full", &losses.dropped), ("repeated", &losses.repeated)] {
        counter!("llm_gateway_log_lines_lost_total", "reason" => reason)
            .absolute(lost.load(Relaxed));
    }
    gauge!("process_resident_memory_bytes").set(Memory::now().resident as f64);
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        gauge!("process_open_fds").set(open.count() as f64);
    }
}
