//! The measurement of memory pressure, off the path of requests.

use gateway_limits::MemoryPressure;
use gateway_telemetry::memory::{ProcessMemory, container_usage};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::time;

/// The interval between measurements.
const INTERVAL: Duration = Duration::from_millis(250);

/// Measures until it is dropped.
pub(crate) async fn measure(pressure: Arc<MemoryPressure>) {
    let mut ticks = time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // These files are not on a disk: reading them takes microseconds.
        let container = container_usage(Path::new("/sys/fs/cgroup"));
        pressure.record(ProcessMemory::current().resident, container);
    }
}
