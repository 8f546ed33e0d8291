//! The task that removes expired records.

use super::{KvEngine, KvStore};
use std::{sync::Arc, time::Duration};
use tokio::time;

/// Interval of the sweep of expired records.
const SWEEP: Duration = Duration::from_secs(1);

/// Removes expired records, step by step, until the task is aborted.
pub(crate) async fn sweep_expired<E: KvEngine>(store: Arc<KvStore<E>>) {
    let mut ticks = time::interval(SWEEP);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A store in trouble is told of where it matters. What has ended is not shown meanwhile.
        while let Ok(true) = store.sweep().await {}
    }
}
