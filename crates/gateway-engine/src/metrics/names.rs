//! Every metric of the gateway, once: its name, its labels, its buckets and what it means.
//!
//! The documentation is made of this table, and so is the help that goes with the metrics.

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
        "From a request to the head of its reply.",
    ),
    metric(
        "llm_gateway_requests_in_progress",
        Gauge,
        &["method"],
        "Requests that are being worked on, streams included.",
    ),
    metric(
        "llm_gateway_answers_total",
        Counter,
        &["path", "outcome"],
        "How answers of models ended: `ok`, `client_cancelled`, or the code of the failure.",
    ),
    metric(
        "llm_gateway_streams_total",
        Counter,
        &["provider", "outcome"],
        "How streamed answers ended.",
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
        "Answers whose tokens their provider counts oddly: `missing`, if not at all; `count`, if a count is no number of tokens or larger than the sum of which it is a part; `total`, if its total is not the sum.",
    ),
    metric(
        "llm_gateway_request_cost_dollars",
        DOLLARS,
        &["provider", "model"],
        "What answers cost, where the catalogue knows the price.",
    ),
    metric(
        "llm_gateway_provider_requests_total",
        Counter,
        &["provider"],
        "Requests that were sent on to a provider.",
    ),
    metric(
        "llm_gateway_provider_errors_total",
        Counter,
        &["provider", "error_type"],
        "Those that failed, by the code of the failure.",
    ),
    metric(
        "llm_gateway_provider_retries_total",
        Counter,
        &["provider"],
        "Attempts beyond the first.",
    ),
    metric(
        "llm_gateway_provider_latency_seconds",
        LONG,
        &["provider"],
        "From a request to the end of its answer.",
    ),
    metric(
        "llm_gateway_time_to_first_token_seconds",
        LONG,
        &["provider"],
        "From a request to the first output of its answer.",
    ),
    metric(
        "llm_gateway_time_per_output_token_seconds",
        SHORT,
        &["provider"],
        "Of streamed answers: between two tokens, on average, after the first.",
    ),
    metric(
        "llm_gateway_dropped_parameters_total",
        Counter,
        &["parameter"],
        "Parameters that a translation could not carry; `other` for those that no dialect knows.",
    ),
    metric(
        "llm_gateway_circuit_breaker_state_transitions_total",
        Counter,
        &["circuit_name", "from_state", "to_state"],
        "Changes of circuit breakers. A circuit is a provider and a model of the catalogue, or `other`.",
    ),
    metric(
        "llm_gateway_circuit_breaker_state",
        Gauge,
        &["circuit_name"],
        "0 closed, 1 half open, 2 open; absent as long as it never opened.",
    ),
    metric(
        "llm_gateway_fallback_chain_attempts_total",
        Counter,
        &["chain_name", "backend_name", "operation"],
        "Attempts of fallback chains.",
    ),
    metric(
        "llm_gateway_fallback_chain_successes_total",
        Counter,
        &["chain_name", "backend_name"],
        "Attempts of fallback chains that succeeded.",
    ),
    metric(
        "llm_gateway_cache_operations_total",
        Counter,
        &["result"],
        "Looks into the cache of answers: `hit`, `miss`, `bypass`.",
    ),
    metric(
        "llm_gateway_rate_limited_total",
        Counter,
        &["reason"],
        "Requests that were over a limit of the gateway: `rate_limit_exceeded`, `insufficient_quota`.",
    ),
    metric(
        "llm_gateway_requests_shed_total",
        Counter,
        &["reason"],
        "Requests and connections that were refused because server overloaded: all request slots are in use.",
    ),
    metric(
        "llm_gateway_tool_calls_total",
        Counter,
        &["tool", "outcome"],
        "Calls of tools that the gateway runs: `ok`, or the code of the failure. `tool` is a registered tool, or `unknown`.",
    ),
    metric("llm_gateway_tool_duration_seconds", SECONDS, &["tool"], "What they took."),
    metric(
        "llm_gateway_store_operation_duration_seconds",
        FAST,
        &["operation"],
        "What operations on the store took.",
    ),
    metric(
        "llm_gateway_store_errors_total",
        Counter,
        &["operation", "error"],
        "Operations on the store that failed, by the code of the failure.",
    ),
    metric(
        "llm_gateway_usage_records_lost_total",
        Counter,
        &[],
        "Records of usage that could not be kept.",
    ),
    metric(
        "llm_gateway_config_reloads_total",
        Counter,
        &["result"],
        "New configurations: `applied`, `unchanged`, `rejected`.",
    ),
    metric("llm_gateway_config_epoch", Gauge, &[], "The number of the configuration that counts."),
    metric(
        "llm_gateway_log_lines_lost_total",
        Counter,
        &["reason"],
        "Lines that were not logged: `full`, because nobody reads them; `repeated`, because a place warned too often.",
    ),
    metric(
        "llm_gateway_otlp_exports_total",
        Counter,
        &["signal", "result"],
        "Batches of `traces` and `metrics` that were sent over OTLP: `ok`, `failed`.",
    ),
    metric("llm_gateway_panics_total", Counter, &[], "Bugs that ended a request or a task."),
    metric("llm_gateway_build_info", Gauge, &["version"], "1, with the version."),
    metric("process_resident_memory_bytes", Gauge, &[], "Memory of the process."),
    metric("process_open_fds", Gauge, &[], "Files and connections that the process has open."),
    metric(
        "process_start_time_seconds",
        Gauge,
        &[],
        "When the process began, in seconds since 1970.",
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
    fn a_metric_is_there_once_and_has_a_fitting_name() {
        let mut names: Vec<_> = ALL.iter().map(|it| it.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]));
        for Metric { name, kind, .. } in ALL {
            assert_eq!(name.ends_with("_total"), matches!(kind, Counter), "{name}");
            assert!(name.starts_with("llm_gateway_") || name.starts_with("process_"), "{name}");
        }
    }
}
