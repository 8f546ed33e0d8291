//! The metrics of requests.
//!
//! Handles are looked up once and cached: the labels are few, because callers choose none of them.

mod bounded_clients;
mod features;
pub mod names;
mod parameters;

pub use self::bounded_clients::RefusalLabels;

use arc_swap::ArcSwap;
use features::FeatureMetrics;
use foldhash::HashMap;
use gateway_core::{NanoDollars, Usage};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use std::{fmt, hash::Hash, sync::Arc, time::Duration};

/// The metrics of a gateway.
#[derive(Debug, Default)]
pub struct RequestMetrics {
    requests: HandleTable<(&'static str, &'static str, u16), (Counter, Histogram)>,
    providers: HandleTable<Arc<str>, ProviderHandles>,
    /// By provider and model.
    models: HandleTable<Arc<str>, HandleTable<Arc<str>, ModelHandles>>,
    failures: HandleTable<(Arc<str>, &'static str), Counter>,
    ends: HandleTable<(&'static str, &'static str), Counter>,
    streams: HandleTable<(Arc<str>, &'static str), Counter>,
    anomalies: HandleTable<(Arc<str>, &'static str), Counter>,
    unpriced: HandleTable<Arc<str>, Counter>,
    in_flight: HandleTable<&'static str, Gauge>,
    features: FeatureMetrics,
}

/// The duration of a response and of its parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseTiming {
    /// Time to its end.
    pub(crate) whole: Duration,
    /// Time to its first output.
    pub(crate) first: Option<Duration>,
    /// Tokens written, if it was streamed.
    pub(crate) streamed: Option<u64>,
}

struct ProviderHandles {
    requests: Counter,
    latency: Histogram,
    first_output: Histogram,
    each_token: Histogram,
}

struct ModelHandles {
    prompt: Counter,
    completion: Counter,
    cost: Histogram,
}

/// A request in progress; counted until it is dropped.
pub struct InFlight(Gauge);

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InFlight")
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl RequestMetrics {
    /// Counts a request as in progress until the result is dropped.
    pub fn request_started(&self, method: &'static str) -> InFlight {
        let make = || gauge!("llm_gateway_requests_in_progress", "method" => method);
        let gauge = self.in_flight.with(&method, make, Gauge::clone);
        gauge.increment(1.0);
        InFlight(gauge)
    }

    /// Counts a reply, and the time to its head.
    pub fn reply_sent(
        &self,
        method: &'static str,
        path: &'static str,
        status: u16,
        took: Duration,
    ) {
        let make = || {
            let status = status.to_string();
            (
                counter!("llm_gateway_requests_total",
                    "method" => method, "path" => path, "status" => status),
                histogram!("llm_gateway_request_duration_seconds",
                    "method" => method, "path" => path),
            )
        };
        self.requests.with(&(method, path, status), make, |(count, duration)| {
            count.increment(1);
            duration.record(took.as_secs_f64());
        });
    }

    /// Counts a call of `provider`.
    pub(crate) fn provider_called(&self, provider: &Arc<str>) {
        self.provider(provider, |handles| handles.requests.increment(1));
    }

    /// Counts a failed call of `provider`, by the kind of failure.
    pub(crate) fn provider_failed(&self, provider: &Arc<str>, kind: &'static str) {
        let make = || {
            counter!("llm_gateway_provider_errors_total",
                "provider" => provider.to_string(), "error_type" => kind)
        };
        self.failures.count(&(Arc::clone(provider), kind), make);
    }

    /// Records the times of a response of `provider`.
    pub(crate) fn response_ended(&self, provider: &Arc<str>, took: ResponseTiming) {
        self.provider(provider, |handles| {
            handles.latency.record(took.whole.as_secs_f64());
            let Some(first) = took.first else { return };
            handles.first_output.record(first.as_secs_f64());
            if let Some(tokens) = took.streamed.filter(|tokens| *tokens > 1) {
                #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
                let each = took.whole.saturating_sub(first).as_secs_f64() / (tokens - 1) as f64;
                handles.each_token.record(each);
            }
        });
    }

    /// Counts the end of a streamed response of `provider`.
    pub(crate) fn stream_ended(&self, provider: &Arc<str>, outcome: &'static str) {
        let make = || {
            counter!("llm_gateway_streams_total",
                "provider" => provider.to_string(), "outcome" => outcome)
        };
        self.streams.count(&(Arc::clone(provider), outcome), make);
    }

    /// Counts a response whose token counts are missing or inconsistent.
    pub(crate) fn usage_anomaly(&self, provider: &Arc<str>, anomaly: &'static str) {
        let make = || {
            counter!("llm_gateway_usage_anomalies_total",
                "provider" => provider.to_string(), "anomaly" => anomaly)
        };
        self.anomalies.count(&(Arc::clone(provider), anomaly), make);
    }

    /// Counts a request for a model of `provider` whose price is not known.
    pub(crate) fn unpriced(&self, provider: &Arc<str>) {
        let make =
            || counter!("llm_gateway_unpriced_requests_total", "provider" => provider.to_string());
        self.unpriced.count(provider, make);
    }

    /// Counts the end of a request, by endpoint and outcome.
    pub(crate) fn request_ended(&self, path: &'static str, outcome: &'static str) {
        let make = || counter!("llm_gateway_answers_total", "path" => path, "outcome" => outcome);
        self.ends.count(&(path, outcome), make);
    }

    /// Counts the tokens and the cost of a response. `model` is a catalogued name, or `other`.
    pub(crate) fn tokens_used(
        &self,
        provider: &Arc<str>,
        model: &Arc<str>,
        usage: &Usage,
        cost: Option<NanoDollars>,
    ) {
        let make = || {
            let labels = [("provider", provider.to_string()), ("model", model.to_string())];
            let tokens = |class: &'static str| {
                let mut labels = labels.to_vec();
                labels.push(("type", class.to_owned()));
                counter!("llm_gateway_tokens_total", &labels)
            };
            ModelHandles {
                prompt: tokens("prompt"),
                completion: tokens("completion"),
                cost: histogram!("llm_gateway_request_cost_dollars", &labels),
            }
        };
        let record = |handles: &ModelHandles| {
            handles.prompt.increment(usage.prompt());
            handles.completion.increment(usage.completion());
            if let Some(cost) = cost {
                handles.cost.record(cost.dollars());
            }
        };
        let models = HandleTable::default;
        self.models.with(provider, models, |models| models.with(model, make, record));
    }

    fn provider(&self, id: &Arc<str>, count: impl FnOnce(&ProviderHandles)) {
        let make = || {
            let id = id.to_string();
            ProviderHandles {
                requests: counter!("llm_gateway_provider_requests_total", "provider" => id.clone()),
                latency: histogram!("llm_gateway_provider_latency_seconds",
                    "provider" => id.clone()),
                first_output: histogram!("llm_gateway_time_to_first_token_seconds",
                    "provider" => id.clone()),
                each_token: histogram!("llm_gateway_time_per_output_token_seconds",
                    "provider" => id),
            }
        };
        self.providers.with(id, make, count);
    }
}

/// Handles by label values. Reading writes nothing that threads share: each addition replaces the table.
struct HandleTable<K, V>(ArcSwap<HashMap<K, Arc<V>>>);

impl<K: Clone + Eq + Hash, V> HandleTable<K, V> {
    /// Applies `count` to the handles of `key`, which `make` makes the first time.
    fn with<T>(&self, key: &K, make: impl FnOnce() -> V, count: impl FnOnce(&V) -> T) -> T {
        match self.0.load().get(key) {
            Some(known) => count(known),
            None => count(&self.add(key, Arc::new(make()))),
        }
    }

    /// Adds handles, unless another thread was first. Returns those in the table.
    #[cold]
    fn add(&self, key: &K, made: Arc<V>) -> Arc<V> {
        self.0.rcu(|table| {
            let mut table = HashMap::clone(table);
            table.entry(key.clone()).or_insert_with(|| Arc::clone(&made));
            table
        });
        self.0.load().get(key).map_or(made, Arc::clone)
    }
}

impl<K: Clone + Eq + Hash> HandleTable<K, Counter> {
    /// Increments the counter of `key`.
    fn count(&self, key: &K, make: impl FnOnce() -> Counter) {
        self.with(key, make, |counter| counter.increment(1));
    }
}

impl<K, V> Default for HandleTable<K, V> {
    fn default() -> Self {
        Self(ArcSwap::default())
    }
}

impl<K, V> fmt::Debug for HandleTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleTable").finish_non_exhaustive()
    }
}
