//! How much memory the process has, as the system tells it.

use serde_json::{Value, json};
use std::{fs, path::Path};

/// What the system tells of the process, in bytes; nothing where it does not tell.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Memory {
    /// What is in memory.
    pub resident: u64,
    /// What was at most.
    pub peak: u64,
    /// What is addressed.
    pub addressed: u64,
}

impl Memory {
    /// Now.
    pub fn now() -> Self {
        fs::read_to_string("/proc/self/status").map_or_else(|_| Self::default(), |it| Self::of(&it))
    }

    /// Reads what Linux tells in `/proc/self/status`.
    fn of(status: &str) -> Self {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
        };
        Self {
            resident: field("VmRSS:").unwrap_or_default(),
            peak: field("VmHWM:").unwrap_or_default(),
            addressed: field("VmSize:").unwrap_or_default(),
        }
    }

    /// In MiB, for operators.
    pub fn told(self) -> Value {
        json!({
            "rss_mb": mebibytes(self.resident),
            "peak_mb": mebibytes(self.peak),
            "vms_mb": mebibytes(self.addressed),
        })
    }
}

/// With one decimal.
#[expect(clippy::cast_precision_loss, reason = "nobody has that much memory")]
fn mebibytes(bytes: u64) -> f64 {
    (bytes as f64 / f64::from(1 << 20) * 10.0).round() / 10.0
}

/// What part of the memory that its container may use is used; nothing without a limit.
pub fn of_container(group: &Path) -> f64 {
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
    fn what_linux_tells_is_read() {
        let memory = Memory::of(
            "Name:\tx\nVmPeak:\t 9 kB\nVmSize:\t 4096 kB\nVmHWM:\t 2048 kB\nVmRSS:\t    1024 kB\n",
        );
        assert_eq!(memory, Memory { resident: 1 << 20, peak: 2 << 20, addressed: 4 << 20 });
        assert_eq!(memory.told(), json!({ "rss_mb": 1.0, "peak_mb": 2.0, "vms_mb": 4.0 }));
        assert_eq!(Memory::of("VmRSS: lots"), Memory::default());
    }

    #[test]
    fn a_limit_that_is_none_presses_nobody() {
        assert!(part(1, 0).abs() < f64::EPSILON);
        assert!(part(1 << 40, u64::MAX / 2).abs() < f64::EPSILON);
        assert!((part(1, 2) - 0.5).abs() < f64::EPSILON);
        assert!(of_container(Path::new("/nowhere")).abs() < f64::EPSILON);
    }
}
