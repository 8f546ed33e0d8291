//! The rate limit headers of a reply.

use super::batch::HeaderBatch;
use crate::names;
use gateway_engine::write_dollars;
use gateway_limits::{RateLimitLevel, RateLimitStatus};
use gateway_tasks::unix_time;
use http::HeaderName;
use std::time::Duration;

/// Adds the rate limit headers, under OpenAI's names and under the platform's.
pub(crate) fn write_headers(status: &RateLimitStatus, batch: &mut HeaderBatch) {
    if let Some(level) = &status.requests {
        add_level(level, batch, names::RATE_LIMIT_REQUESTS);
        let reset = (unix_time() + level.left.reset).as_secs() + 1;
        for (name, value) in
            names::RATE_LIMIT.into_iter().zip([level.limit, level.left.units, reset])
        {
            batch.number(name, value);
        }
    }
    if let Some(level) = &status.tokens {
        add_level(level, batch, names::RATE_LIMIT_TOKENS);
    }
    if let Some(left) = status.budget {
        batch.write(names::BUDGET_REMAINING, |out| write_dollars(left, out));
    }
}

fn add_level(
    level: &RateLimitLevel,
    batch: &mut HeaderBatch,
    [limit, remaining, reset]: [HeaderName; 3],
) {
    batch.number(limit, level.limit);
    batch.number(remaining, level.left.units);
    batch.write(reset, |out| write_duration(level.left.reset, out));
}

/// Appends a duration as OpenAI writes it: `250ms`, `1.5s`, `6m0s`.
fn write_duration(it: Duration, out: &mut Vec<u8>) {
    let mut add = |number: u64, unit: &str| {
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        out.extend_from_slice(unit.as_bytes());
    };
    let whole = it.as_secs().saturating_mul(1_000);
    let millis = whole.saturating_add(u64::from(it.subsec_nanos().div_ceil(1_000_000)));
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let (seconds, fraction) = (rest / 1_000, rest % 1_000);
    if minutes == 0 && seconds == 0 {
        return add(fraction, "ms");
    }
    if minutes > 0 {
        add(minutes, "m");
        return add(seconds, "s");
    }
    add(seconds, "");
    if fraction > 0 {
        let text = format!(".{fraction:03}");
        out.extend_from_slice(text.trim_end_matches('0').as_bytes());
    }
    out.push(b's');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duration(it: Duration) -> String {
        let mut out = Vec::new();
        write_duration(it, &mut out);
        String::from_utf8(out).unwrap()
    }

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
