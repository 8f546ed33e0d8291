//! Measures how much memory the process uses, a few times a second, off every request's path.

use crate::memory::Memory;
use gateway_limits::MemoryPressure;
use std::{fs, path::Path, sync::Arc, time::Duration};
use tokio::time;

/// How often.
const PERIOD: Duration = Duration::from_millis(250);

/// Measures until it is dropped.
pub(crate) async fn watch(pressure: Arc<MemoryPressure>) {
    let mut ticks = time::interval(PERIOD);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // These files are not on a disk: reading them takes microseconds.
        pressure.record(Memory::now().resident, of_container(Path::new("/sys/fs/cgroup")));
    }
}

/// What part of the memory that its container may use is used; nothing without a limit.
fn of_container(group: &Path) -> f64 {
    let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    let pairs = [
        ("memory.current", "memory.max", "memory.stat"),
        ("memory/memory.usage_in_bytes", "memory/memory.limit_in_bytes", "memory/memory.stat"),
    ];
    let mut known = pairs.iter().filter_map(|(used, most, stat)| {
        // What is only cached is given back when it is needed.
        let stat = fs::read_to_string(group.join(stat)).unwrap_or_default();
        let cached = stat.lines().find_map(|line| {
            let (name, value) = line.split_once(' ')?;
            matches!(name, "inactive_file" | "total_inactive_file").then(|| value.parse().ok())?
        });
        Some(part(number(used)?.saturating_sub(cached.unwrap_or(0)), number(most)?))
    });
    known.next().unwrap_or(0.0)
}

/// A limit of half of all addresses is none.
#[expect(clippy::cast_precision_loss, reason = "a part needs no precision")]
fn part(used: u64, most: u64) -> f64 {
    if most == 0 || most > u64::MAX / 4 { 0.0 } else { used as f64 / most as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_none_presses_nobody() {
        assert!(part(1, 0).abs() < f64::EPSILON);
        assert!(part(1 << 40, u64::MAX / 2).abs() < f64::EPSILON);
        assert!((part(1, 2) - 0.5).abs() < f64::EPSILON);
        assert!(of_container(Path::new("/nowhere")).abs() < f64::EPSILON);
    }
}
