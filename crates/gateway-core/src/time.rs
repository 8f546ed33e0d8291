//! Points in time and durations as numbers. The time is always an argument: nothing here reads a
//! clock.

use std::time::{Duration, SystemTime};

/// Returns the time since 1970-01-01 in UTC; zero for an earlier `time`.
///
/// ```
/// use gateway_core::time::{millis, since_epoch};
/// use std::time::{Duration, SystemTime};
///
/// let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_500);
/// assert_eq!(millis(since_epoch(time)), 1);
/// ```
pub fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Returns whole milliseconds, rounded down; `u64::MAX` for a longer duration.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns whole milliseconds, rounded up, so that no duration but zero becomes 0.
pub fn millis_rounded_up(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_and_saturate() {
        let check = |nanos: u64, down: u64, up: u64| {
            let duration = Duration::from_nanos(nanos);
            assert_eq!((millis(duration), millis_rounded_up(duration)), (down, up), "{nanos}");
        };
        check(0, 0, 0);
        check(1, 0, 1);
        check(1_000_000, 1, 1);
        check(1_999_999, 1, 2);
        assert_eq!(millis(Duration::MAX), u64::MAX);
        assert_eq!(millis_rounded_up(Duration::MAX), u64::MAX);
    }

    #[test]
    fn time_before_epoch_is_zero() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(since_epoch(before), Duration::ZERO);
    }
}
