//! Requests of the log as CSV, with a header line.

use super::view;
use gateway_core::{NanoDollars, state::LoggedRequest};
use std::fmt::Write as _;

/// The header line.
pub(super) const HEADER: &str = "id,ended_at,path,tenant,client,user,tags,requested_model,model,\
provider,stream,outcome,status,limit,attempts,failed_attempts,input_tokens,cache_read_tokens,\
cache_write_tokens,output_tokens,reasoning_tokens,usage_estimated,cost_usd,cache,tools,dropped,\
prepared_ms,first_output_ms,duration_ms,error\n";

/// Appends the line of `request`.
pub(super) fn write(request: &LoggedRequest, out: &mut String) {
    let it = request;
    let failed: Vec<_> = it
        .failed_attempts
        .iter()
        .map(|failed| format!("{}/{}:{}", failed.provider, failed.model, failed.cause))
        .collect();
    let cache_write = it.usage.cache_write.saturating_add(it.usage.cache_write_1h);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let number = |number: Option<u64>| number.map(|it| it.to_string()).unwrap_or_default();
    let fields = [
        it.id.clone(),
        view::time(it.at),
        it.path.clone(),
        text(&it.tenant),
        text(&it.client),
        text(&it.user),
        it.tags.join(" "),
        text(&it.requested_model),
        text(&it.model),
        text(&it.provider),
        it.stream.to_string(),
        it.outcome.clone(),
        number(it.status.map(u64::from)),
        text(&it.limit),
        it.attempts.to_string(),
        failed.join(" "),
        it.usage.input.to_string(),
        it.usage.cache_read.to_string(),
        cache_write.to_string(),
        it.usage.output.to_string(),
        it.usage.reasoning.to_string(),
        it.usage_estimated.to_string(),
        it.cost.map(dollars).unwrap_or_default(),
        text(&it.cache),
        it.tools.join(" "),
        it.dropped.join(" "),
        number(it.prepared_ms),
        number(it.first_output_ms),
        it.duration_ms.to_string(),
        text(&it.error),
    ];
    let fields: Vec<_> = fields.iter().map(|field| quoted(field)).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}", fields.join(","));
}

fn dollars(cost: NanoDollars) -> String {
    gateway_engine::dollars(cost)
}

/// A field as RFC 4180 writes it. Spreadsheets run what begins like a formula: that is set off by an
/// apostrophe.
fn quoted(field: &str) -> String {
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = if is_formula { format!("'{field}") } else { field.to_owned() };
    if field.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_the_fields_of_the_header() {
        let mut line = String::new();
        write(&LoggedRequest::default(), &mut line);
        assert_eq!(line.matches(',').count(), HEADER.matches(',').count());
    }

    #[test]
    fn fields_are_quoted_and_are_no_formulas() {
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(quoted("plain"), "plain");
    }
}
