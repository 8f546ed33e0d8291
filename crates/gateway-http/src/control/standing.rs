//! How a caller stands with its limits, in headers.

use super::{
    allowance::{Levy, What},
    calendar,
};
use gateway_core::state::Remaining;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// What is left of a caller's limits by rate, told with every reply.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Standing {
    requests: Option<Level>,
    tokens: Option<Level>,
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Level {
    limit: u64,
    left: Remaining,
}

impl Standing {
    /// Learns what is left of a limit. Of two, the one with less counts.
    pub(crate) fn note(&mut self, levy: &Levy, left: Remaining) {
        let level = match levy.what {
            What::Requests => &mut self.requests,
            What::Tokens => &mut self.tokens,
        };
        if level.is_none_or(|known| left.units < known.left.units) {
            *level = Some(Level { limit: levy.per_minute, left });
        }
    }

    /// Tells it in the names that OpenAI's clients know, and in those that the platform's do.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        if let Some(level) = &self.requests {
            level.add_to(headers, REQUESTS);
            let reset = (calendar::now() + level.left.reset).as_secs() + 1;
            headers.insert(LIMIT, level.limit.into());
            headers.insert(REMAINING, level.left.units.into());
            headers.insert(RESET, reset.into());
        }
        if let Some(level) = &self.tokens {
            level.add_to(headers, TOKENS);
        }
    }
}

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

impl Level {
    fn add_to(&self, headers: &mut HeaderMap, [limit, remaining, reset]: [HeaderName; 3]) {
        headers.insert(limit, self.limit.into());
        headers.insert(remaining, self.left.units.into());
        if let Ok(value) = HeaderValue::try_from(duration(self.left.reset)) {
            headers.insert(reset, value);
        }
    }
}

/// As OpenAI writes durations: `250ms`, `1.5s`, `6m0s`.
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
        assert_eq!(duration(Duration::from_micros(1)), "1ms", "nobody is asked back too early");
    }
}
