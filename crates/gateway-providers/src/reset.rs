//! Reset times of upstream rate limits, for responses without `retry-after`.
//!
//! OpenAI and compatible APIs send durations: `x-ratelimit-reset-requests: 6m0s`. Anthropic sends
//! times: `anthropic-ratelimit-requests-reset: 2026-11-23T10:00:30Z`.

use http::HeaderMap;

/// The names of the limits, for OpenAI and for Anthropic.
const DURATIONS: [(&str, &str); 3] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
];
const TIMES: [(&str, &str); 4] = [
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
];

/// In how many seconds every limit that is exhausted has room again.
///
/// A limit of which something is left is not the one that was met, and counts for nothing.
pub(crate) fn of(headers: &HeaderMap) -> Option<f64> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let is_met = |remaining: &str| text(remaining).is_none_or(|left| left == "0");
    let durations = DURATIONS.iter().filter(|(left, _)| is_met(left));
    let durations = durations.filter_map(|(_, reset)| duration(text(reset)?));
    let now = text("date").and_then(|date| httpdate::parse_http_date(date).ok());
    let now = now.and_then(|now| now.duration_since(std::time::UNIX_EPOCH).ok());
    let times = TIMES.iter().filter(|(left, _)| is_met(left));
    let times = times.filter_map(|(_, reset)| Some(time(text(reset)?)? - now?.as_secs_f64()));
    durations.chain(times).filter(|seconds| *seconds >= 0.0).reduce(f64::max)
}

/// The seconds of a duration as Go writes it: `1s`, `6m0s`, `1h2m3.5s`, `120ms`.
fn duration(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at_checked(digits)?;
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let (unit, next) = unit.split_at_checked(end)?;
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * factor;
        rest = next;
    }
    (!text.is_empty()).then_some(seconds)
}

/// The seconds from 1970 to a time as RFC 3339 writes it, in UTC.
fn time(text: &str) -> Option<f64> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<u32>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut clock = clock.split(':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
        return None;
    }
    let days = f64::from(days_before(year, month) + day - 1);
    Some(days * 86_400.0 + hours * 3600.0 + minutes * 60.0 + seconds)
}

/// The days from 1970 to the first of a month.
fn days_before(year: u32, month: u32) -> u32 {
    let is_leap = |year: u32| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let years: u32 = (1970..year).map(|year| 365 + u32::from(is_leap(year))).sum();
    let lengths = [31, 28 + u32::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: u32 = (1..month).zip(lengths).map(|(_, days)| days).sum();
    years + months
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], seconds: Option<f64>) {
        let date = ("date", "Mon, 23 Nov 2026 10:00:00 GMT");
        let headers: HeaderMap = headers
            .iter()
            .chain([&date])
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        assert_eq!(of(&headers), seconds);
    }

    #[test]
    fn openai_reset_headers_are_parsed() {
        for (text, seconds) in [("1s", 1.0), ("6m0s", 360.0), ("120ms", 0.12), ("1h2m3.5s", 3723.5)]
        {
            check(&[("x-ratelimit-reset-requests", text)], Some(seconds));
        }
        for nonsense in ["", "s", "soon", "5", "-1s", "1d"] {
            check(&[("x-ratelimit-reset-requests", nonsense)], None);
        }
    }

    #[test]
    fn anthropic_reset_headers_are_parsed() {
        let reset = "anthropic-ratelimit-requests-reset";
        check(&[(reset, "2026-11-23T10:00:30Z")], Some(30.0));
        check(&[(reset, "2026-11-23T10:01:00.5Z")], Some(60.5));
        check(&[(reset, "2026-11-23T09:00:00Z")], None);
        for nonsense in ["", "Z", "2026-11-23", "2026-13-01T00:00:00Z", "x-y-zTa:b:cZ"] {
            check(&[(reset, nonsense)], None);
        }
    }

    #[test]
    fn exhausted_limit_determines_reset() {
        let requests =
            [("x-ratelimit-remaining-requests", "3"), ("x-ratelimit-reset-requests", "9s")];
        check(&requests, None);
        let tokens = [("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "2s")];
        check(&[requests, tokens].concat(), Some(2.0));
        check(
            &[tokens, [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "4s")]].concat(),
            Some(4.0),
        );
    }
}
