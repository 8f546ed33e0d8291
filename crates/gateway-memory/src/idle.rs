//! The times at which a service gives its code back: after its start, and while it is idle.

use crate::{processor_time, release_code_pages};
use std::{convert::Infallible, time::Duration};
use tokio::time;

/// The time from the start to the first release: tasks of the start have run.
const AFTER_START: Duration = Duration::from_secs(1);

/// The interval in which a service must be idle.
const INTERVAL: Duration = Duration::from_secs(30);

/// The processor time of an interval up to which a service counts as idle: 0.5 % of a core. Its own
/// periodic tasks take less.
const IDLE: Duration = Duration::from_millis(150);

/// Releases pages of code a second after the start, and after each interval of 30 s with less than 0.5 %
/// of a core used. Never returns; dropping it ends the releases. Needs a runtime with time.
pub async fn release_while_idle() -> Infallible {
    time::sleep(AFTER_START).await;
    loop {
        if let Err(error) = release_code_pages() {
            // It costs memory only.
            tracing::debug!(%error, "failed to release code pages");
        }
        let mut used = processor_time();
        let mut is_idle = false;
        while !is_idle {
            time::sleep(INTERVAL).await;
            let now = processor_time();
            is_idle = now.saturating_sub(used) <= IDLE;
            used = now;
        }
    }
}
