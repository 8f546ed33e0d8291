//! The table of metrics: name, labels, buckets and description.
//!
//! The documentation and the help texts of the metrics are generated from it.

use Kind::{Counter, Gauge};

/// A metric of the Prometheus endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The metric's name.
    pub name: &'static str,
    /// The metric's kind.
    pub kind: Kind,
    /// Its labels. None of them is ever a caller's text.
    pub labels: &'static [&'static str],
    /// The help text.
    pub meaning: &'static str,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A counter: it only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It sorts into buckets with these bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// Returns the kind as Prometheus spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// From a cache to the longest streams.
const SECONDS: Kind = Kind::Histogram(&[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
]);
/// The buckets for calls of providers, in seconds.
const LONG: Kind = Kind::Histogram(&[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0,
]);
/// The buckets for the time between tokens, in seconds.
const SHORT: Kind = Kind::Histogram(&[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5,
]);
/// The buckets for calls of a store, in seconds.
const FAST: Kind = Kind::Histogram(&[
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
]);
const DOLLARS: Kind =
    Kind::Histogram(&[0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0]);

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    Metric { name, kind, labels, meaning }
}

/// All metrics, in the order of the documentation.
pub const ALL: &[Metric] = &[
    metric(
        "llm_gateway_requests_total",
        Counter,
        &["method", "path", "status"],
        "Requests. `path` is the endpoint's template, or `unmatched`.",
    ),
    metric(
        "llm_gateway_request_duration_seconds",
        SECONDS,
        &["method", "path"],
        "Time from a request to the head of its reply.",
    ),
    metric(
        "llm_gateway_requests_in_progress",
        Gauge,
        &["method"],
        "Requests in progress, open streams included.",
    ),
    metric(
        "llm_gateway_answers_total",
        Counter,
        &["path", "outcome"],
        "Responses of models by outcome: `ok`, `client_cancelled`, `panicked`, or the error code.",
    ),
    metric(
        "llm_gateway_streams_total",
        Counter,
        &["provider", "outcome"],
        "Streamed responses by outcome.",
    ),
    metric(
        "llm_gateway_tokens_total",
        Counter,
        &["provider", "model", "type"],
        "Tokens, `prompt` and `completion`. `model` is a name of the catalogue, or `other`.",
    ),
    metric(
        "llm_gateway_usage_anomalies_total",
        Counter,
        &["provider", "anomaly"],
        "Responses with implausible token counts of the provider: `missing`, without any; `count`, not a number of tokens or larger than the sum of which it is a part; `total`, not the sum of its parts.",
    ),
    metric(
        "llm_gateway_request_cost_dollars",
        DOLLARS,
        &["provider", "model"],
        "Cost of responses, where the price is known.",
    ),
    metric(
        "llm_gateway_learned_refusals_total",
        Counter,
        &["provider", "param"],
        "Parameters that a provider refused for a model, and that are left out for a day.",
    ),
    metric(
        "llm_gateway_unpriced_requests_total",
        Counter,
        &["provider"],
        "Requests for models whose price is not known, refused ones included.",
    ),
    metric(
        "llm_gateway_catalogue_timestamp_seconds",
        Gauge,
        &[],
        "Day of the active catalogue's prices, in seconds since 1970; their age is `time()` less this.",
    ),
    metric(
        "llm_gateway_catalogue_models",
        Gauge,
        &[],
        "Models of the providers that are set up, catalogued and configured.",
    ),
    metric(
        "llm_gateway_budget_alerts_total",
        Counter,
        &["tenant", "client", "percent"],
        "Budgets whose spending passed a threshold of `budgets.alert_thresholds`; `client` is empty for the budget of a whole tenant.",
    ),
    metric(
        "llm_gateway_provider_requests_total",
        Counter,
        &["provider"],
        "Requests sent to a provider.",
    ),
    metric(
        "llm_gateway_provider_errors_total",
        Counter,
        &["provider", "error_type"],
        "Failed requests to a provider, by error code.",
    ),
    metric(
        "llm_gateway_provider_retries_total",
        Counter,
        &["provider"],
        "Retries: attempts beyond the first.",
    ),
    metric(
        "llm_gateway_provider_latency_seconds",
        LONG,
        &["provider"],
        "Time from a request to the end of its response.",
    ),
    metric(
        "llm_gateway_time_to_first_token_seconds",
        LONG,
        &["provider"],
        "Time from a request to the first output of its response.",
    ),
    metric(
        "llm_gateway_time_per_output_token_seconds",
        SHORT,
        &["provider"],
        "Average time between two tokens of a streamed response, after the first.",
    ),
    metric(
        "llm_gateway_dropped_parameters_total",
        Counter,
        &["parameter"],
        "Dropped parameters: those that a translation could not carry; `other` for those that no dialect defines.",
    ),
    metric(
        "llm_gateway_circuit_breaker_state_transitions_total",
        Counter,
        &["circuit_name", "from_state", "to_state"],
        "State transitions of circuit breakers. A circuit is a provider and a model of the catalogue, or `other`.",
    ),
    metric(
        "llm_gateway_circuit_breaker_state",
        Gauge,
        &["circuit_name"],
        "State of a circuit breaker: 0 closed, 1 half-open, 2 open; absent until it first opens.",
    ),
    metric(
        "llm_gateway_fallback_chain_attempts_total",
        Counter,
        &["chain_name", "backend_name", "operation"],
        "Attempts at targets of routes with fallbacks.",
    ),
    metric(
        "llm_gateway_fallback_chain_successes_total",
        Counter,
        &["chain_name", "backend_name"],
        "Successful attempts at targets of routes with fallbacks.",
    ),
    metric(
        "llm_gateway_cache_operations_total",
        Counter,
        &["result"],
        "Lookups in the response cache: `hit`, `miss`, `bypass`.",
    ),
    metric(
        "llm_gateway_refused_requests_total",
        Counter,
        &["code", "limit", "tenant", "client", "model"],
        "Requests refused before a model was asked: the code, the setting of the limit, and who asked for what. Labels are empty where they are unknown, and `other` for uncatalogued models and beyond 200 clients.",
    ),
    metric(
        "llm_gateway_rate_limited_total",
        Counter,
        &["reason"],
        "Requests rejected by a rate limit or a budget: `rate_limit_exceeded`, `insufficient_quota`.",
    ),
    metric(
        "llm_gateway_requests_shed_total",
        Counter,
        &["reason"],
        "Requests and connections rejected by admission control (load shedding).",
    ),
    metric(
        "llm_gateway_rejected_heads_total",
        Counter,
        &["reason"],
        "Requests whose head could not be parsed: `malformed_request`, `headers_too_large`, `uri_too_long`.",
    ),
    metric(
        "llm_gateway_streams_reset_total",
        Counter,
        &["reason"],
        "HTTP/2 streams reset because their caller did not read the response: `unread`.",
    ),
    metric(
        "llm_gateway_tool_calls_total",
        Counter,
        &["tool", "outcome"],
        "Calls of gateway tools: `ok`, or the error code. `tool` is a registered tool, or `unknown`.",
    ),
    metric(
        "llm_gateway_tool_duration_seconds",
        SECONDS,
        &["tool"],
        "Duration of gateway tool calls.",
    ),
    metric(
        "llm_gateway_store_operation_duration_seconds",
        FAST,
        &["operation"],
        "Duration of store operations.",
    ),
    metric(
        "llm_gateway_store_errors_total",
        Counter,
        &["operation", "error"],
        "Failed store operations, by error code.",
    ),
    metric(
        "llm_gateway_usage_records_lost_total",
        Counter,
        &[],
        "Usage records lost, because they could not be stored.",
    ),
    metric(
        "llm_gateway_request_log_dropped_total",
        Counter,
        &[],
        "Requests missing in the request log: its queue was full, the store took none, or too many had no key.",
    ),
    metric(
        "llm_gateway_usage_journal_pauses_total",
        Counter,
        &[],
        "Pauses of the usage journal, after a write failed or was slow; a crash in one may lose usage.",
    ),
    metric(
        "llm_gateway_config_reloads_total",
        Counter,
        &["result"],
        "Configuration reloads: `applied`, `unchanged`, `rejected`.",
    ),
    metric(
        "llm_gateway_config_epoch",
        Gauge,
        &[],
        "Number of the running configuration; it grows with each reload.",
    ),
    metric(
        "llm_gateway_log_lines_lost_total",
        Counter,
        &["reason"],
        "Log lines dropped: `full`, because the output is blocked; `repeated`, because one place warned too often.",
    ),
    metric(
        "llm_gateway_otlp_exports_total",
        Counter,
        &["signal", "result"],
        "OTLP exports of `traces` and `metrics`: `ok`, `failed`.",
    ),
    metric(
        "llm_gateway_panics_total",
        Counter,
        &[],
        "Panics: bugs that ended a request or a task.",
    ),
    metric(
        "llm_gateway_task_restarts_total",
        Counter,
        &["task"],
        "Restarts of background tasks after panics.",
    ),
    metric("llm_gateway_build_info", Gauge, &["version"], "Always 1; the label has the version."),
    metric(
        "process_resident_memory_bytes",
        Gauge,
        &[],
        "Resident memory of the process, in bytes.",
    ),
    metric("process_open_fds", Gauge, &[], "Open file descriptors of the process."),
    metric(
        "process_start_time_seconds",
        Gauge,
        &[],
        "Start time of the process, in seconds since 1970.",
    ),
];

/// The metrics, as a table of Markdown.
pub fn markdown() -> String {
    let mut out = "| Metric | Type | Labels | Description |\n|---|---|---|---|\n".to_owned();
    for Metric { name, kind, labels, meaning } in ALL {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{name}` | {} | {} | {meaning} |\n", kind.as_str(), labels.join(", "));
        out.push_str(&row);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_are_unique_and_well_formed() {
        let mut names: Vec<_> = ALL.iter().map(|it| it.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]));
        for Metric { name, kind, .. } in ALL {
            assert_eq!(name.ends_with("_total"), matches!(kind, Counter), "{name}");
            assert!(name.starts_with("llm_gateway_") || name.starts_with("process_"), "{name}");
        }
    }
}
