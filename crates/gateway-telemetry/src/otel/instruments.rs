//! Model metrics of the generative AI conventions.

use super::attributes;
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter},
};
use std::time::Duration;

/// The bucket bounds that the conventions recommend for durations.
const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// The bucket bounds for the time per token.
const TOKEN_SECONDS: [f64; 13] =
    [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
/// The bucket bounds for token counts: powers of four.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// The histograms of model calls.
#[derive(Debug)]
pub(super) struct Instruments {
    usage: Histogram<u64>,
    duration: Histogram<f64>,
    first: Histogram<f64>,
    each: Histogram<f64>,
}

/// The measurements of one model call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CallMeasurements {
    pub(super) took: Duration,
    /// The time to the first output of a stream.
    pub(super) first: Option<Duration>,
    /// Input and output tokens.
    pub(super) tokens: Option<(u64, u64)>,
}

impl Instruments {
    pub(super) fn of(meter: &Meter) -> Self {
        let seconds = |name: &'static str, bounds: &[f64]| {
            meter.f64_histogram(name).with_unit("s").with_boundaries(bounds.to_vec()).build()
        };
        let usage = meter.u64_histogram(attributes::TOKEN_USAGE).with_unit("{token}");
        Self {
            usage: usage.with_boundaries(TOKENS.to_vec()).build(),
            duration: seconds(attributes::DURATION, &SECONDS),
            first: seconds(attributes::TIME_TO_FIRST_TOKEN, &SECONDS),
            each: seconds(attributes::TIME_PER_OUTPUT_TOKEN, &TOKEN_SECONDS),
        }
    }

    /// Records a call. `labels` hold only names of the configuration and the catalogue; `error` is a
    /// code.
    pub(super) fn record(
        &self,
        labels: &[KeyValue],
        it: CallMeasurements,
        error: Option<&'static str>,
    ) {
        let mut all = labels.to_vec();
        all.extend(error.map(|error| KeyValue::new(attributes::ERROR_TYPE, error)));
        self.duration.record(it.took.as_secs_f64(), &all);
        if let Some((read, written)) = it.tokens {
            for (kind, tokens) in [("input", read), ("output", written)] {
                let mut labels = labels.to_vec();
                labels.push(KeyValue::new(attributes::TOKEN_TYPE, kind));
                self.usage.record(tokens, &labels);
            }
        }
        if let (Some(first), None) = (it.first, error) {
            self.first.record(first.as_secs_f64(), labels);
            self.record_time_per_output_token(labels, it, first);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody writes that much")]
    fn record_time_per_output_token(
        &self,
        labels: &[KeyValue],
        it: CallMeasurements,
        first: Duration,
    ) {
        let (_, written) = it.tokens.unwrap_or_default();
        if written > 1 {
            let rest = it.took.saturating_sub(first).as_secs_f64();
            self.each.record(rest / (written - 1) as f64, labels);
        }
    }
}
