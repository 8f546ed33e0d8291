//! The `retry-after` of upstream responses.

use crate::reset;
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// Returns the retry delay in `headers`, in any spelling; at most ten minutes.
///
/// `retry-after-ms` (OpenAI, Azure) is more precise than `retry-after` and has precedence. Seconds
/// may have a fraction. A date is relative to the reply's own `date` header, so that clock
/// differences do no harm.
pub fn of(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = text("retry-after-ms").and_then(|it| it.parse().ok()).map(|ms: f64| ms / 1000.0);
    let seconds = || text("retry-after").and_then(|it| it.parse::<f64>().ok());
    let date = || until(text("retry-after")?, text("date")?);
    bounded(millis.or_else(seconds).or_else(date)?)
}

/// Returns the retry delay of a reply with this status. A rate-limited reply may carry, instead,
/// the reset time of the limit: see [`reset`].
pub(crate) fn of_reply(headers: &HeaderMap, status: StatusCode) -> Option<Duration> {
    let is_limit = status == StatusCode::TOO_MANY_REQUESTS;
    of(headers).or_else(|| bounded(is_limit.then(|| reset::of(headers)).flatten()?))
}

fn bounded(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().map(|delay| delay.min(LONGEST))
}

const LONGEST: Duration = Duration::from_mins(10);

fn until(then: &str, now: &str) -> Option<f64> {
    let then = httpdate::parse_http_date(then).ok()?;
    let now = httpdate::parse_http_date(now).ok()?;
    Some(then.duration_since(now).unwrap_or_default().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], seconds: Option<f64>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>();
        assert_eq!(
            of_reply(&headers, StatusCode::TOO_MANY_REQUESTS).map(|delay| delay.as_secs_f64()),
            seconds
        );
    }

    #[test]
    fn every_spelling_is_read() {
        check(&[("retry-after", "7")], Some(7.0));
        check(&[("retry-after", "0.5")], Some(0.5));
        check(&[("retry-after", "9"), ("retry-after-ms", "1500")], Some(1.5));
        let now = ("date", "Mon, 23 Nov 2026 10:00:00 GMT");
        check(&[("retry-after", "Mon, 23 Nov 2026 10:00:30 GMT"), now], Some(30.0));
        check(&[("retry-after", "Mon, 23 Nov 2026 09:00:00 GMT"), now], Some(0.0));
        check(&[("x-ratelimit-reset-requests", "1m")], Some(60.0));
        check(&[("x-ratelimit-reset-requests", "1m"), ("retry-after", "7")], Some(7.0));
    }

    #[test]
    fn implausible_retry_after_is_bounded_or_ignored() {
        check(&[("retry-after", "1000000000")], Some(600.0));
        for nonsense in ["-1", "soon", "", "NaN", "inf"] {
            check(&[("retry-after", nonsense)], None);
        }
        check(&[("retry-after", "Mon, 23 Nov 2026 10:00:30 GMT")], None);
    }
}
