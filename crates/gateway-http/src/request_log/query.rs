//! The parameters of a search in the request log.

use super::{export::ExportFormat, reader::LogReader};
use crate::request::query::QueryParams;
use gateway_core::{Date, GatewayError, Result, state::RequestLogQuery};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 1_000;
const DAY_MS: u64 = 86_400_000;

/// The filters; `tenant` is one of operators only.
const FILTERS: &str = "`from`, `to`, `client`, `model`, `provider`, `outcome`, `path`, `tag`, \
                       `user`, `id`, `tenant`, `before`, `limit`, `format`";

/// Reads the parameters of a search.
///
/// # Errors
///
/// If one is unknown or malformed.
pub(super) fn read(params: &QueryParams, reader: LogReader<'_>) -> Result<RequestLogQuery> {
    let mut query = RequestLogQuery { limit: DEFAULT_LIMIT, ..RequestLogQuery::default() };
    for (name, value) in params.iter().filter(|(_, value)| !value.is_empty()) {
        let text = || Some(value.to_owned());
        match name {
            "from" => query.from = Some(time("from", value, 0)?),
            // A day is meant to its end.
            "to" => query.to = Some(time("to", value, DAY_MS - 1)?),
            "client" => query.client = text(),
            "model" => query.model = text(),
            "provider" => query.provider = text(),
            "outcome" => query.outcome = text(),
            "path" => query.path = text(),
            "tag" => query.tag = text(),
            "user" => query.user = text(),
            "id" => query.id = text(),
            "tenant" if matches!(reader, LogReader::Operator) => query.tenant = text(),
            "before" => query.before = Some(cursor(value)?),
            "limit" => query.limit = limit(value)?,
            "format" => {}
            _ => {
                let name: String = name.chars().take(64).collect();
                return Err(GatewayError::invalid(name, format!("expected any of {FILTERS}")));
            }
        }
    }
    if let LogReader::Tenant(tenant) = reader {
        query.tenant = Some(tenant.to_owned());
    }
    Ok(query)
}

/// Reads the parameters of an export.
///
/// # Errors
///
/// If one is unknown or malformed.
pub(super) fn read_export(
    params: &QueryParams,
    reader: LogReader<'_>,
) -> Result<(RequestLogQuery, ExportFormat)> {
    let format = match params.text("format") {
        None | Some("jsonl") => ExportFormat::JsonLines,
        Some("csv") => ExportFormat::Csv,
        Some(_) => return Err(GatewayError::invalid("format", "expected `jsonl` or `csv`")),
    };
    Ok((read(params, reader)?, format))
}

/// A day such as `2026-11-26`, a time such as `2026-11-26T12:00:00Z`, or milliseconds since 1970.
fn time(name: &'static str, text: &str, behind_day: u64) -> Result<u64> {
    let parsed = match text.split_once('T') {
        Some((day, clock)) => day_ms(day).zip(clock_ms(clock)).map(|(day, ms)| day + ms),
        None if text.len() == 10 && text.contains('-') => day_ms(text).map(|day| day + behind_day),
        None => text.parse().ok(),
    };
    parsed.ok_or_else(|| {
        let message = "expected `2026-11-26`, `2026-11-26T12:00:00Z` or milliseconds since 1970";
        GatewayError::invalid(name, message)
    })
}

fn day_ms(text: &str) -> Option<u64> {
    Date::parse(text).and_then(Date::days).map(|day| day * DAY_MS)
}

/// Milliseconds since midnight of `12:00`, `12:00:00` or `12:00:00.123`, with or without `Z`.
fn clock_ms(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (text, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts =
        text.split(':').map(|part| part.parse::<u64>().ok().filter(|_| part.len() == 2));
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = parts.next().unwrap_or(Some(0))?;
    let milliseconds = match fraction {
        "" => 0,
        digits => format!("{digits:0<3}").get(..3)?.parse::<u64>().ok()?,
    };
    let is_time = hours < 24 && minutes < 60 && seconds < 60 && parts.next().is_none();
    is_time.then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000 + milliseconds)
}

fn cursor(text: &str) -> Result<gateway_core::state::RequestLogCursor> {
    text.parse().map_err(|_| {
        GatewayError::invalid("before", "expected the `next` of an earlier page, such as `req_...`")
    })
}

fn limit(text: &str) -> Result<usize> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| GatewayError::invalid("limit", "expected a number from 1 to 1000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str, reader: LogReader<'_>) -> Result<RequestLogQuery> {
        read(&QueryParams::parse(Some(query)), reader)
    }

    #[track_caller]
    fn check_time(text: &str, expected: Option<u64>) {
        assert_eq!(time("to", text, 5).ok(), expected, "{text}");
    }

    #[test]
    fn times_are_days_instants_or_milliseconds() {
        check_time("1970-01-02", Some(86_400_005));
        check_time("1970-01-01T00:00:01Z", Some(1_000));
        check_time("1970-01-01T01:02", Some(3_720_000));
        check_time("1970-01-01T00:00:01.25Z", Some(1_250));
        check_time("1234", Some(1_234));
        for wrong in ["x", "1970-13-01", "1970-01-01T24:00", "1970-01-01T1:00", "-1"] {
            check_time(wrong, None);
        }
    }

    #[test]
    fn tenant_sees_its_own_requests_whatever_it_asks_for() {
        let own = parse("model=m&limit=5", LogReader::Tenant("team")).unwrap();
        assert_eq!((own.tenant.as_deref(), own.model.as_deref()), (Some("team"), Some("m")));
        assert_eq!(own.limit, 5);
        let error = parse("tenant=other", LogReader::Tenant("team")).unwrap_err();
        assert_eq!(error.param(), Some("tenant"));
        let all = parse("tenant=other", LogReader::Operator).unwrap();
        assert_eq!(all.tenant.as_deref(), Some("other"));
    }

    #[test]
    fn malformed_parameter_is_named() {
        for (query, param) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("before=x", "before"),
            ("from=x", "from"),
            ("modle=x", "modle"),
        ] {
            let error = parse(query, LogReader::Operator).unwrap_err();
            assert_eq!(error.param(), Some(param), "{query}");
        }
    }
}
