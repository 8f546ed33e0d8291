//! The memory pressure of the process.

use bytes::Bytes;
use gateway_core::sync;
use std::sync::{
    RwLock,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

/// The level of memory pressure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PressureLevel {
    /// Below the soft limit: everything is admitted.
    Normal,
    /// Above the soft limit: batch requests are rejected.
    Elevated,
    /// Above the hard limit: all requests to models are rejected.
    Critical,
}

/// The last measurement of the memory in use. Without limits, the level is always normal.
#[derive(Debug)]
pub struct MemoryPressure {
    used: AtomicU64,
    threshold: AtomicU64,
    soft: AtomicU64,
    level: AtomicU8,
    /// The memory in use in MiB, formatted for headers.
    used_text: RwLock<Bytes>,
}

impl Default for MemoryPressure {
    fn default() -> Self {
        Self {
            used: AtomicU64::new(0),
            threshold: AtomicU64::new(u64::MAX),
            soft: AtomicU64::new(u64::MAX),
            level: AtomicU8::new(0),
            used_text: RwLock::new(Bytes::from_static(b"0.0")),
        }
    }
}

impl PressureLevel {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Elevated => "elevated",
            Self::Critical => "critical",
        }
    }
}

impl MemoryPressure {
    /// From `threshold` bytes on it is critical, from this part of them on elevated.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a threshold needs no precision"
    )]
    pub fn set_limits(&self, threshold: u64, soft: f64) {
        self.threshold.store(threshold, Ordering::Relaxed);
        self.soft.store((threshold as f64 * soft) as u64, Ordering::Relaxed);
    }

    /// Records the memory in use, and its part of the container's limit.
    pub fn record(&self, used: u64, of_container: f64) {
        self.used.store(used, Ordering::Relaxed);
        let level = if used >= self.threshold.load(Ordering::Relaxed) || of_container >= 0.95 {
            2
        } else {
            u8::from(used >= self.soft.load(Ordering::Relaxed) || of_container >= 0.8)
        };
        self.level.store(level, Ordering::Relaxed);
        let used_text = format!("{:.1}", megabytes(used)).into();
        *sync::write(&self.used_text) = used_text;
    }

    /// Returns the current level.
    pub fn level(&self) -> PressureLevel {
        match self.level.load(Ordering::Relaxed) {
            0 => PressureLevel::Normal,
            1 => PressureLevel::Elevated,
            _ => PressureLevel::Critical,
        }
    }

    /// The memory in use, in MiB, as text.
    pub fn used_text(&self) -> Bytes {
        sync::read(&self.used_text).clone()
    }

    /// The memory in use, in MiB.
    pub fn used_mb(&self) -> f64 {
        (megabytes(self.used.load(Ordering::Relaxed)) * 10.0).round() / 10.0
    }

    /// From how many MiB on it is critical, if there is a limit.
    pub fn threshold_mb(&self) -> Option<u64> {
        let threshold = self.threshold.load(Ordering::Relaxed);
        (threshold != u64::MAX).then_some(threshold >> 20)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display only")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
