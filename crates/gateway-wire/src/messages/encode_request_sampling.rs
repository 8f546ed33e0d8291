//! The sampling parameters that this dialect supports, clamped to its bounds.

use gateway_core::{DroppedParams, ModelCard, Options, SamplingSupport as ModelSampling};
use serde_json::Number;

/// The parameters to send.
#[derive(Debug, Default, PartialEq)]
pub(super) struct SamplingParams {
    pub(super) temperature: Option<Number>,
    pub(super) top_p: Option<Number>,
    pub(super) top_k: Option<u64>,
}

impl SamplingParams {
    /// Selects the sampling parameters for a model, given whether it is thinking.
    pub(super) fn new(
        options: &Options,
        thinks: bool,
        card: Option<&ModelCard>,
        dropped: &mut DroppedParams,
    ) -> Self {
        let mut it = Self {
            temperature: options.temperature.clone(),
            top_p: options.top_p.clone(),
            top_k: options.top_k,
        };
        if card.is_some_and(|card| card.capabilities.sampling == Some(false)) {
            it.forgo(SamplingParam::Temperature, dropped);
            it.forgo(SamplingParam::TopP, dropped);
        } else if thinks {
            it.restrain(dropped);
        }
        if value(it.temperature.as_ref()).is_some_and(|it| it > 1.0) {
            dropped.insert("temperature");
            it.temperature = Some(1.into());
        }
        // Some models take both; where nothing is known, one is the safe choice.
        if card.is_none_or(|card| card.rules.sampling != ModelSampling::Free) {
            it.choose(dropped);
        }
        it
    }

    /// A model that thinks lets little be said of how it writes.
    fn restrain(&mut self, dropped: &mut DroppedParams) {
        if !is_one(self.temperature.as_ref()) {
            self.forgo(SamplingParam::Temperature, dropped);
        }
        if value(self.top_p.as_ref()).is_some_and(|top_p| top_p < 0.95) {
            self.forgo(SamplingParam::TopP, dropped);
        }
        dropped.insert_if(self.top_k.take().is_some(), "top_k");
    }

    /// Keeps one of `temperature` and `top_p`; the one that says nothing goes.
    fn choose(&mut self, dropped: &mut DroppedParams) {
        if self.temperature.is_none() || self.top_p.is_none() {
            return;
        }
        if is_one(self.temperature.as_ref()) && !is_one(self.top_p.as_ref()) {
            self.forgo(SamplingParam::Temperature, dropped);
        } else {
            self.forgo(SamplingParam::TopP, dropped);
        }
    }

    /// Leaves a parameter out; that is no loss if it has the value that it has by default.
    fn forgo(&mut self, parameter: SamplingParam, dropped: &mut DroppedParams) {
        let (slot, name) = match parameter {
            SamplingParam::Temperature => (&mut self.temperature, "temperature"),
            SamplingParam::TopP => (&mut self.top_p, "top_p"),
        };
        let gone = slot.take();
        dropped.insert_if(gone.is_some() && !is_one(gone.as_ref()), name);
    }
}

#[derive(Clone, Copy, Debug)]
enum SamplingParam {
    Temperature,
    TopP,
}

fn value(number: Option<&Number>) -> Option<f64> {
    number.and_then(Number::as_f64)
}

fn is_one(number: Option<&Number>) -> bool {
    value(number).is_some_and(|number| (number - 1.0).abs() < f64::EPSILON)
}

/// Notes the options that have no equal here and would have made a difference.
pub(super) fn report_dropped(options: &Options, dropped: &mut DroppedParams) {
    let matters = |number: &Option<Number>| value(number.as_ref()).is_some_and(|it| it != 0.0);
    dropped.insert_if(options.seed.is_some(), "seed");
    dropped.insert_if(matters(&options.presence_penalty), "presence_penalty");
    dropped.insert_if(matters(&options.frequency_penalty), "frequency_penalty");
    dropped.insert_if(options.logit_bias.as_ref().is_some_and(|it| it.get() != "{}"), "logit_bias");
    dropped.insert_if(options.logprobs == Some(true), "logprobs");
    dropped.insert_if(options.top_logprobs.is_some_and(|it| it > 0), "top_logprobs");
    dropped.insert_if(options.verbosity.is_some(), "verbosity");
}

/// The texts that end the response; blank ones are refused here.
pub(super) fn stop_sequences<'a>(
    options: &'a Options,
    dropped: &mut DroppedParams,
) -> Vec<&'a str> {
    let (kept, blank): (Vec<_>, Vec<_>) =
        options.stop.iter().map(String::as_str).partition(|text| !text.trim().is_empty());
    dropped.insert_if(!blank.is_empty(), "stop");
    kept
}

/// The service tier, in this dialect's words.
pub(super) fn service_tier(options: &Options, dropped: &mut DroppedParams) -> Option<&'static str> {
    match options.service_tier.as_deref() {
        Some("auto") => Some("auto"),
        Some("default" | "standard_only") => Some("standard_only"),
        other => {
            dropped.insert_if(other.is_some(), "service_tier");
            None
        }
    }
}
