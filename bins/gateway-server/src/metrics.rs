//! Where counts go, and how they are rendered.

use crate::{memory::Memory, telemetry::Losses};
use anyhow::Context as _;
use gateway_http::Render;
use metrics::{counter, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

/// Answers of models take up to minutes.
const SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0,
    600.0,
];
/// How often samples are summed up.
const UPKEEP: Duration = Duration::from_secs(5);
const DOLLARS: &[f64] = &[0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Begins to count, for the whole process; returns what renders the counts.
///
/// # Errors
///
/// If something else counts already.
pub fn start(losses: Arc<Losses>) -> anyhow::Result<Render> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_dollars".to_owned()), DOLLARS)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("something else counts already")?;
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

/// Takes up what is not counted where it happens.
#[expect(clippy::cast_precision_loss, reason = "nobody has that much memory")]
fn look_around(losses: &Losses) {
    for (reason, lost) in [("full", &losses.dropped), ("repeated", &losses.repeated)] {
        counter!("llm_gateway_log_lines_lost_total", "reason" => reason)
            .absolute(lost.load(Relaxed));
    }
    gauge!("process_resident_memory_bytes").set(Memory::now().resident as f64);
}
