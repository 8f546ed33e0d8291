//! Breakpoints of the prompt cache.

use gateway_core::{CacheControl, CacheTtl};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The largest number of cache breakpoints in a request.
const MAX_MARKS: usize = 4;

/// A breakpoint, as it is written.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct CacheControlOutWire {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl From<CacheControl> for CacheControlOutWire {
    fn from(cache: CacheControl) -> Self {
        let ttl = cache.ttl.map(|ttl| match ttl {
            CacheTtl::FiveMinutes => "5m",
            CacheTtl::OneHour => "1h",
        });
        Self { kind: "ephemeral", ttl }
    }
}

/// Reads a breakpoint; `None` if it is not understood, because nothing depends on it.
pub(super) fn read(mark: &RawValue) -> Option<CacheControl> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        ttl: Option<String>,
    }
    let wire: Wire = serde_json::from_str(mark.get()).ok()?;
    let ttl = match wire.ttl.as_deref() {
        Some("5m") => Some(CacheTtl::FiveMinutes),
        Some("1h") => Some(CacheTtl::OneHour),
        _ => None,
    };
    Some(CacheControl { ttl })
}

/// Makes `marks`, which are in the order of the prompt, acceptable: no more than the newest four
/// together with the `fixed` ones that stand elsewhere, and none for an hour behind a shorter one.
/// Returns whether there were more.
pub(super) fn limit<'a>(
    marks: impl Iterator<Item = &'a mut Option<CacheControl>>,
    fixed: usize,
) -> bool {
    let mut marks: Vec<_> = marks.filter(|mark| mark.is_some()).collect();
    let surplus = marks.len().saturating_sub(MAX_MARKS.saturating_sub(fixed));
    for mark in marks.drain(..surplus) {
        *mark = None;
    }
    let mut is_short = false;
    for mark in marks.into_iter().filter_map(Option::as_mut) {
        if is_short && mark.ttl == Some(CacheTtl::OneHour) {
            mark.ttl = None;
        }
        is_short |= mark.ttl != Some(CacheTtl::OneHour);
    }
    surplus > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `.` is no mark, `m` one of five minutes, `h` one of an hour.
    #[track_caller]
    fn check(marks: &str, fixed: usize, expected: &str) {
        let mut marks: Vec<_> = marks.chars().map(parse).collect();
        limit(marks.iter_mut(), fixed);
        assert_eq!(marks.into_iter().map(spell).collect::<String>(), expected);
    }

    fn parse(c: char) -> Option<CacheControl> {
        (c != '.').then_some(CacheControl { ttl: (c == 'h').then_some(CacheTtl::OneHour) })
    }

    fn spell(mark: Option<CacheControl>) -> char {
        mark.map_or('.', |mark| if mark.ttl.is_some() { 'h' } else { 'm' })
    }

    #[test]
    fn newest_four_breakpoints_are_preserved() {
        check("m.mm.mmm", 0, "...m.mmm");
    }

    #[test]
    fn hourly_breakpoints_precede_five_minute_breakpoints() {
        check("hhmm", 0, "hhmm");
        check("hmhm", 0, "hmmm");
    }

    #[test]
    fn fixed_breakpoints_count_towards_the_limit() {
        check("mmmm", 1, ".mmm");
        check("mm", 9, "..");
    }
}
