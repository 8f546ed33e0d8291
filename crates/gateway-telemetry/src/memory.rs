//! The memory usage of the process and its container.

use serde_json::{Value, json};
use std::{fs, path::Path};

/// The memory usage of the process in bytes; zero where the system does not report it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ProcessMemory {
    /// The resident set size.
    pub resident: u64,
    /// The peak of the resident set size.
    pub peak: u64,
    /// The virtual size.
    pub virtual_size: u64,
}

impl ProcessMemory {
    /// Reads the current usage.
    pub fn current() -> Self {
        fs::read_to_string("/proc/self/status")
            .map_or_else(|_| Self::default(), |it| Self::parse(&it))
    }

    /// Parses `/proc/self/status`.
    fn parse(status: &str) -> Self {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
        };
        Self {
            resident: field("VmRSS:").unwrap_or_default(),
            peak: field("VmHWM:").unwrap_or_default(),
            virtual_size: field("VmSize:").unwrap_or_default(),
        }
    }

    /// Returns the usage in MiB.
    pub fn to_json(self) -> Value {
        json!({
            "rss_mb": mebibytes(self.resident),
            "peak_mb": mebibytes(self.peak),
            "vms_mb": mebibytes(self.virtual_size),
        })
    }
}

/// Converts bytes to MiB with one decimal.
#[expect(clippy::cast_precision_loss, reason = "nobody has that much memory")]
fn mebibytes(bytes: u64) -> f64 {
    (bytes as f64 / f64::from(1 << 20) * 10.0).round() / 10.0
}

/// Returns the used share of the container's memory limit; 0 without a limit.
pub fn container_usage(group: &Path) -> f64 {
    let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    let pairs = [
        ("memory.current", "memory.max", "memory.stat"),
        ("memory/memory.usage_in_bytes", "memory/memory.limit_in_bytes", "memory/memory.stat"),
    ];
    let mut known = pairs.iter().filter_map(|(used, most, stat)| {
        // The page cache is reclaimed under pressure and does not count.
        let stat = fs::read_to_string(group.join(stat)).unwrap_or_default();
        let cached = stat.lines().find_map(|line| {
            let (name, value) = line.split_once(' ')?;
            matches!(name, "inactive_file" | "total_inactive_file").then(|| value.parse().ok())?
        });
        Some(ratio(number(used)?.saturating_sub(cached.unwrap_or(0)), number(most)?))
    });
    known.next().unwrap_or(0.0)
}

/// Returns the ratio; a limit beyond a quarter of the address space counts as no limit.
#[expect(clippy::cast_precision_loss, reason = "a part needs no precision")]
fn ratio(used: u64, most: u64) -> f64 {
    if most == 0 || most > u64::MAX / 4 { 0.0 } else { used as f64 / most as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_status_is_parsed() {
        let memory = ProcessMemory::parse(
            "Name:\tx\nVmPeak:\t 9 kB\nVmSize:\t 4096 kB\nVmHWM:\t 2048 kB\nVmRSS:\t    1024 kB\n",
        );
        assert_eq!(
            memory,
            ProcessMemory { resident: 1 << 20, peak: 2 << 20, virtual_size: 4 << 20 }
        );
        assert_eq!(memory.to_json(), json!({ "rss_mb": 1.0, "peak_mb": 2.0, "vms_mb": 4.0 }));
        assert_eq!(ProcessMemory::parse("VmRSS: lots"), ProcessMemory::default());
    }

    #[test]
    fn missing_limit_has_ratio_zero() {
        assert!(ratio(1, 0).abs() < f64::EPSILON);
        assert!(ratio(1 << 40, u64::MAX / 2).abs() < f64::EPSILON);
        assert!((ratio(1, 2) - 0.5).abs() < f64::EPSILON);
        assert!(container_usage(Path::new("/nowhere")).abs() < f64::EPSILON);
    }
}
