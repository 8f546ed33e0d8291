//! Counting.
//!
//! Handles of metrics are looked up once and kept: the labels are few, because none of them is a
//! caller's to choose.

mod features;
pub mod names;
mod parameters;

use features::Features;
use foldhash::HashMap;
use gateway_core::{NanoDollars, Usage};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use std::{
    fmt,
    hash::Hash,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// The metrics of a gateway.
#[derive(Debug, Default)]
pub struct Meters {
    requests: Table<(&'static str, &'static str, u16), (Counter, Histogram)>,
    providers: Table<Arc<str>, Provider>,
    models: Table<(Arc<str>, Arc<str>), Model>,
    failures: Table<(Arc<str>, &'static str), Counter>,
    ends: Table<(&'static str, &'static str), Counter>,
    streams: Table<(Arc<str>, &'static str), Counter>,
    anomalies: Table<(Arc<str>, &'static str), Counter>,
    in_flight: Table<&'static str, Gauge>,
    features: Features,
}

/// What an answer took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// To its end.
    pub(crate) whole: Duration,
    /// To its first output.
    pub(crate) first: Option<Duration>,
    /// How many tokens were written, if it was streamed.
    pub(crate) streamed: Option<u64>,
}

struct Provider {
    requests: Counter,
    latency: Histogram,
    first_output: Histogram,
    each_token: Histogram,
}

struct Model {
    prompt: Counter,
    completion: Counter,
    cost: Histogram,
}

/// A request that is being worked on; counted as long as it is kept.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Meters {
    /// Counts a request as being worked on.
    pub(crate) fn begin(&self, method: &'static str) -> InFlight {
        let make = || gauge!("llm_gateway_requests_in_progress", "method" => method);
        let gauge = self.in_flight.with(method, make, Gauge::clone);
        gauge.increment(1.0);
        InFlight(gauge)
    }

    /// Counts a request whose reply's head is ready.
    pub(crate) fn replied(
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
        self.requests.with((method, path, status), make, |(count, duration)| {
            count.increment(1);
            duration.record(took.as_secs_f64());
        });
    }

    /// Counts a call of `provider`.
    pub(crate) fn called(&self, provider: &Arc<str>) {
        self.provider(provider, |handles| handles.requests.increment(1));
    }

    /// Counts a call of `provider` that failed.
    pub(crate) fn failed(&self, provider: &Arc<str>, kind: &'static str) {
        let make = || {
            counter!("llm_gateway_provider_errors_total",
                "provider" => provider.to_string(), "error_type" => kind)
        };
        self.failures.count((Arc::clone(provider), kind), make);
    }

    /// Counts what an answer of `provider` took.
    pub(crate) fn answered(&self, provider: &Arc<str>, took: Took) {
        self.provider(provider, |handles| {
            handles.latency.record(took.whole.as_secs_f64());
            let Some(first) = took.first else { return };
            handles.first_output.record(first.as_secs_f64());
            if let Some(tokens) = took.streamed.filter(|tokens| *tokens > 1) {
                #[expect(clippy::cast_precision_loss, reason = "nobody writes that much")]
                let each = took.whole.saturating_sub(first).as_secs_f64() / (tokens - 1) as f64;
                handles.each_token.record(each);
            }
        });
    }

    /// Counts how a streamed answer of `provider` ended.
    pub(crate) fn streamed(&self, provider: &Arc<str>, outcome: &'static str) {
        let make = || {
            counter!("llm_gateway_streams_total",
                "provider" => provider.to_string(), "outcome" => outcome)
        };
        self.streams.count((Arc::clone(provider), outcome), make);
    }

    /// Counts an answer whose tokens `provider` counts oddly.
    pub(crate) fn odd(&self, provider: &Arc<str>, anomaly: &'static str) {
        let make = || {
            counter!("llm_gateway_usage_anomalies_total",
                "provider" => provider.to_string(), "anomaly" => anomaly)
        };
        self.anomalies.count((Arc::clone(provider), anomaly), make);
    }

    /// Counts how an answer ended.
    pub(crate) fn ended(&self, path: &'static str, outcome: &'static str) {
        let make = || counter!("llm_gateway_answers_total", "path" => path, "outcome" => outcome);
        self.ends.count((path, outcome), make);
    }

    /// Counts what an answer took. `model` is a name of the catalogue, or `other`.
    pub(crate) fn used(
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
            Model {
                prompt: tokens("prompt"),
                completion: tokens("completion"),
                cost: histogram!("llm_gateway_request_cost_dollars", &labels),
            }
        };
        self.models.with((Arc::clone(provider), Arc::clone(model)), make, |handles| {
            handles.prompt.increment(usage.prompt());
            handles.completion.increment(usage.completion());
            if let Some(cost) = cost {
                handles.cost.record(cost.dollars());
            }
        });
    }

    fn provider(&self, id: &Arc<str>, count: impl FnOnce(&Provider)) {
        let make = || {
            let id = id.to_string();
            Provider {
                requests: counter!("llm_gateway_provider_requests_total", "provider" => id.clone()),
                latency: histogram!("llm_gateway_provider_latency_seconds",
                    "provider" => id.clone()),
                first_output: histogram!("llm_gateway_time_to_first_token_seconds",
                    "provider" => id.clone()),
                each_token: histogram!("llm_gateway_time_per_output_token_seconds",
                    "provider" => id),
            }
        };
        self.providers.with(Arc::clone(id), make, count);
    }
}

/// Handles, by their labels.
struct Table<K, V>(RwLock<HashMap<K, V>>);

impl<K: Eq + Hash, V> Table<K, V> {
    /// What `count` does with the handles of `key`, which `make` makes the first time.
    fn with<T>(&self, key: K, make: impl FnOnce() -> V, count: impl FnOnce(&V) -> T) -> T {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return count(known);
        }
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        count(table.entry(key).or_insert_with(make))
    }
}

impl<K: Eq + Hash> Table<K, Counter> {
    /// Counts one more.
    fn count(&self, key: K, make: impl FnOnce() -> Counter) {
        self.with(key, make, |counter| counter.increment(1));
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
    }
}
