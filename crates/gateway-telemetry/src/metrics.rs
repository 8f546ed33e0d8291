//! The Prometheus recorder and its rendering.

use crate::{log::DroppedLines, memory::ProcessMemory};
use anyhow::Context as _;
use gateway_tasks::unix_time;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

/// The description of a metric.
#[derive(Clone, Copy, Debug)]
pub struct MetricDescription {
    /// The name.
    pub name: &'static str,
    /// The kind.
    pub kind: MetricKind,
    /// The help text.
    pub meaning: &'static str,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug)]
pub enum MetricKind {
    /// A value that only grows.
    Counter,
    /// A value that rises and falls.
    Gauge,
    /// A histogram with these bucket bounds.
    Histogram(&'static [f64]),
}

/// A function that renders all metrics in the Prometheus text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// The interval at which histogram samples are folded into buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder of the process and returns its renderer.
///
/// # Errors
///
/// If a recorder is already installed.
pub fn install(
    all: &[MetricDescription],
    version: &'static str,
    dropped: Arc<DroppedLines>,
) -> anyhow::Result<RenderMetrics> {
    let mut recorder = PrometheusBuilder::new();
    for metric in all {
        if let MetricKind::Histogram(bounds) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            recorder = recorder.set_buckets_for_metric(name, bounds)?;
        }
    }
    let recorder = recorder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("a metrics recorder is already installed")?;
    describe(all, version);
    let kept = handle.clone();
    // Samples accumulate until upkeep runs, and the endpoint may never be scraped.
    gateway_tasks::supervise_thread("metrics", move || {
        loop {
            gateway_tasks::failpoint("metrics");
            std::thread::park_timeout(UPKEEP);
            kept.run_upkeep();
        }
    })?;
    Ok(Arc::new(move || {
        handle.run_upkeep();
        update_process_metrics(&dropped);
        handle.render()
    }))
}

/// Registers the help texts and the constant gauges.
fn describe(all: &[MetricDescription], version: &'static str) {
    for metric in all {
        match metric.kind {
            MetricKind::Counter => describe_counter!(metric.name, Unit::Count, metric.meaning),
            MetricKind::Gauge => describe_gauge!(metric.name, Unit::Count, metric.meaning),
            MetricKind::Histogram(_) => {
                describe_histogram!(metric.name, Unit::Count, metric.meaning);
            }
        }
    }
    gauge!("llm_gateway_build_info", "version" => version).set(1.0);
    gauge!("llm_gateway_config_epoch").set(1.0);
    gauge!("process_start_time_seconds").set(unix_time().as_secs_f64());
}

/// Updates the metrics that are read rather than counted.
#[expect(clippy::cast_precision_loss, reason = "nobody has that much memory")]
fn update_process_metrics(dropped: &DroppedLines) {
    for (reason, lost) in [("full", &dropped.dropped), ("repeated", &dropped.repeated)] {
        counter!("llm_gateway_log_lines_lost_total", "reason" => reason)
            .absolute(lost.load(Relaxed));
    }
    gauge!("process_resident_memory_bytes").set(ProcessMemory::current().resident as f64);
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        gauge!("process_open_fds").set(open.count() as f64);
    }
}
