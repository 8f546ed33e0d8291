//! The rate limit headers of a reply.

use crate::names;
use gateway_limits::{RateLimitLevel, RateLimitStatus, now};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// Writes the rate limit headers, under OpenAI's names and under the platform's.
pub(crate) fn write_headers(status: &RateLimitStatus, headers: &mut HeaderMap) {
    if let Some(level) = &status.requests {
        add_level(level, headers, names::RATE_LIMIT_REQUESTS);
        let reset = (now() + level.left.reset).as_secs() + 1;
        for (name, value) in
            names::RATE_LIMIT.into_iter().zip([level.limit, level.left.units, reset])
        {
            headers.insert(name, value.into());
        }
    }
    if let Some(level) = &status.tokens {
        add_level(level, headers, names::RATE_LIMIT_TOKENS);
    }
}

fn add_level(
    level: &RateLimitLevel,
    headers: &mut HeaderMap,
    [limit, remaining, reset]: [HeaderName; 3],
) {
    headers.insert(limit, level.limit.into());
    headers.insert(remaining, level.left.units.into());
    if let Ok(value) = HeaderValue::try_from(duration(level.left.reset)) {
        headers.insert(reset, value);
    }
}

/// Formats a duration in OpenAI's style: `250ms`, `1.5s`, `6m0s`.
fn duration(it: Duration) -> String {
    let millis = it.as_nanos().div_ceil(1_000_000);
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    match (minutes, rest / 1_000, rest % 1_000) {
        (0, 0, millis) => format!("{millis}ms"),
        (0, seconds, 0) => format!("{seconds}s"),
        (0, seconds, millis) => {
            let fraction = format!("{millis:03}");
            format!("{seconds}.{}s", fraction.trim_end_matches('0'))
        }
        (minutes, seconds, _) => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(millis: u64, expected: &str) {
        assert_eq!(duration(Duration::from_millis(millis)), expected);
    }

    #[test]
    fn durations_are_written_as_openai_writes_them() {
        check(0, "0ms");
        check(250, "250ms");
        check(1_000, "1s");
        check(1_500, "1.5s");
        check(59_999, "59.999s");
        check(360_000, "6m0s");
        assert_eq!(duration(Duration::from_micros(1)), "1ms", "rounded up");
    }
}
