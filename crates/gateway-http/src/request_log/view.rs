//! A request of the log as JSON.

use gateway_core::{Date, NanoDollars, state::LoggedRequest};
use serde::Serialize;

/// A request as callers see it: the entry, and what is computed of it.
#[derive(Debug, Serialize)]
pub(super) struct RequestView {
    object: &'static str,
    /// The end, as text.
    ended_at: String,
    #[serde(flatten)]
    request: LoggedRequest,
    prompt_tokens: u64,
    completion_tokens: u64,
    cost_usd: Option<f64>,
}

/// The view of `request`.
pub(super) fn request(request: LoggedRequest) -> RequestView {
    RequestView {
        object: "request",
        ended_at: time(request.at),
        prompt_tokens: request.usage.prompt(),
        completion_tokens: request.usage.completion(),
        cost_usd: request.cost.map(NanoDollars::dollars),
        request,
    }
}

/// A time in milliseconds since 1970 as `2026-11-26T12:00:00.123Z`.
pub(super) fn time(at: u64) -> String {
    let (seconds, ms) = (at / 1_000, at % 1_000);
    let day = Date::from_days_since_epoch(seconds / 86_400).text();
    let (hours, minutes) = (seconds / 3_600 % 24, seconds / 60 % 60);
    format!("{day}T{hours:02}:{minutes:02}:{:02}.{ms:03}Z", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_to_the_millisecond() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(86_400_000 + 3_723_004), "1970-01-02T01:02:03.004Z");
    }
}
