//! How much memory the process has, as the system tells it.

use serde_json::{Value, json};
use std::fs;

/// What the system tells of the process, in bytes; nothing where it does not tell.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Memory {
    /// What is in memory.
    pub(crate) resident: u64,
    /// What was at most.
    pub(crate) peak: u64,
    /// What is addressed.
    pub(crate) addressed: u64,
}

impl Memory {
    /// Now.
    pub(crate) fn now() -> Self {
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
    pub(crate) fn told(self) -> Value {
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
}
