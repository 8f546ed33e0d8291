//! Parameters that a provider refused for a model: learned from its 400, and left out for a day.

use gateway_core::{
    Dialect, DroppedParams, Effort, ErrorKind, GatewayError, ModelRules, Options, Payload,
    ProviderRequest, RawRequest, Result, SamplingSupport, sync,
};
use gateway_wire::{members_among, original_effort, without_members};
use memchr::memmem;
use metrics::counter;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// The time for which a refusal is remembered.
const REMEMBERED: Duration = Duration::from_hours(24);
/// Names of models are the callers' to choose: no more refusals than these are remembered.
const MAX_REMEMBERED: usize = 512;
/// Longer explanations are not searched.
const MAX_MESSAGE: usize = 2000;

/// The parameters that only tune an answer, and may be left out of a request.
const DROPPABLE: [&str; 15] = [
    "temperature",
    "top_p",
    "top_k",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "top_logprobs",
    "logprobs",
    "seed",
    "stop",
    "verbosity",
    "service_tier",
    "reasoning_effort",
    "user",
    "prompt_cache_key",
];

/// The refusals of one provider.
#[derive(Debug, Default)]
pub(crate) struct LearnedRefusals {
    is_any: AtomicBool,
    known: Mutex<HashMap<(Arc<str>, &'static str), Instant>>,
}

impl LearnedRefusals {
    /// Learns from the refusal of a request for `model`, which was sent without `left_out`; nothing if
    /// it names no parameter that may be left out, or one that was.
    pub(crate) fn learn(
        &self,
        provider: &str,
        model: &Arc<str>,
        left_out: &[&'static str],
        error: &GatewayError,
    ) -> Option<&'static str> {
        let param = refused_param(error).filter(|param| !left_out.contains(param))?;
        let now = Instant::now();
        let mut known = sync::lock(&self.known);
        if known.len() >= MAX_REMEMBERED {
            known.retain(|_, at| now.duration_since(*at) < REMEMBERED);
        }
        let key = (Arc::clone(model), param);
        if known.get(&key).is_some_and(|at| now.duration_since(*at) < REMEMBERED) {
            // Another request has taught it while this one was under way.
            return Some(param);
        }
        if known.len() >= MAX_REMEMBERED {
            return None;
        }
        known.insert(key, now);
        self.is_any.store(true, Ordering::Release);
        drop(known);
        counter!("llm_gateway_learned_refusals_total",
            "provider" => provider.to_owned(), "param" => param)
        .increment(1);
        tracing::warn!(
            provider,
            model = &**model,
            param,
            "provider refused a parameter; leaving it out for a day"
        );
        Some(param)
    }

    /// Returns the parameters that were refused for `model` within the last day.
    pub(crate) fn of(&self, model: &Arc<str>) -> Vec<&'static str> {
        if !self.is_any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let now = Instant::now();
        let known = sync::lock(&self.known);
        let is_known = |param: &&'static str| {
            let at = known.get(&(Arc::clone(model), *param));
            at.is_some_and(|at| now.duration_since(*at) < REMEMBERED)
        };
        DROPPABLE.iter().copied().filter(is_known).collect()
    }
}

/// The parameter that a provider's refusal names.
fn refused_param(error: &GatewayError) -> Option<&'static str> {
    let is_refusal = matches!(error.upstream_status(), Some(400 | 422));
    let is_invalid = matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::Unprocessable);
    if !is_refusal || !is_invalid {
        return None;
    }
    let at = error.param().map(|param| match param {
        "reasoning.effort" => "reasoning_effort",
        param => param,
    });
    let named = |name: &&'static str| at == Some(*name);
    let message: String = error.message().chars().take(MAX_MESSAGE).collect();
    DROPPABLE.iter().copied().find(|name| named(name)).or_else(|| {
        DROPPABLE.iter().copied().find(|name| at.is_none() && is_quoted(&message, name))
    })
}

/// Whether a message names a parameter: in quotes, or before a colon.
fn is_quoted(message: &str, name: &str) -> bool {
    message.match_indices(name).any(|(at, _)| {
        let before = message.get(..at).and_then(|it| it.chars().next_back());
        let after = message.get(at + name.len()..).and_then(|it| it.chars().next());
        matches!(
            (before, after),
            (Some('`'), Some('`'))
                | (Some('\''), Some('\''))
                | (Some('"'), Some('"'))
                | (None | Some(' '), Some(':'))
        )
    })
}

/// The payload of the call without `params`, each noted as dropped if it was there; `None` if it has
/// none of them.
pub(crate) fn without(
    call: &ProviderRequest,
    params: &[&'static str],
    dialect: Dialect,
    dropped: &mut DroppedParams,
) -> Result<Option<Payload>> {
    if let Some(raw) = call.original(dialect) {
        let there = members_among(raw, params, |_, _| true);
        let Some(edited) = without_members(raw, &there) else { return Ok(None) };
        for name in there {
            dropped.insert(name);
        }
        return Ok(Some(Payload::Raw(Arc::new(edited))));
    }
    let mut request = call.request()?.clone();
    let mut is_edited = false;
    for param in params {
        if clear(&mut request.options, param) {
            dropped.insert(*param);
            is_edited = true;
        }
    }
    Ok(is_edited.then(|| Payload::Parsed(Arc::new(request))))
}

/// Clears an option; false if it was not set.
fn clear(options: &mut Options, param: &str) -> bool {
    match param {
        "temperature" => options.temperature.take().is_some(),
        "top_p" => options.top_p.take().is_some(),
        "top_k" => options.top_k.take().is_some(),
        "presence_penalty" => options.presence_penalty.take().is_some(),
        "frequency_penalty" => options.frequency_penalty.take().is_some(),
        "logit_bias" => options.logit_bias.take().is_some(),
        "logprobs" => options.logprobs.take().is_some(),
        "top_logprobs" => options.top_logprobs.take().is_some(),
        "seed" => options.seed.take().is_some(),
        "stop" => !std::mem::take(&mut options.stop).is_empty(),
        "verbosity" => options.verbosity.take().is_some(),
        "service_tier" => options.service_tier.take().is_some(),
        "reasoning_effort" => {
            options.reasoning.as_mut().is_some_and(|it| it.effort.take().is_some())
        }
        "user" => options.user.take().is_some(),
        _ => false,
    }
}

/// Returns the members of a caller's own body that the model's provider is documented to refuse.
pub(crate) fn documented(call: &ProviderRequest, dialect: Dialect) -> Vec<&'static str> {
    let Some((raw, card)) = call.original(dialect).zip(call.target.card.as_ref()) else {
        return Vec::new();
    };
    let mut refused = refused_members(&card.rules);
    if refuses_sampling_now(raw, &card.rules) {
        refused.extend(SAMPLING);
    }
    members_among(raw, &refused, |name, value| {
        // What changes nothing is accepted.
        let is_neutral = match name {
            "temperature" | "top_p" => matches!(value, "1" | "1.0"),
            "presence_penalty" | "frequency_penalty" => matches!(value, "0" | "0.0"),
            "logit_bias" => value == "{}",
            "logprobs" => value == "false",
            _ => false,
        };
        !is_neutral && value != "null"
    })
}

/// The parameters of sampling.
const SAMPLING: [&str; 5] = ["temperature", "top_p", "top_k", "logprobs", "top_logprobs"];

/// Whether the model refuses parameters of sampling beside the effort of a request.
fn refuses_sampling_now(raw: &RawRequest, rules: &ModelRules) -> bool {
    let is_among = |name: &&str| memmem::find(&raw.body, name.as_bytes()).is_some();
    let depends = matches!(
        rules.sampling,
        SamplingSupport::UnlessReasoning | SamplingSupport::WithoutReasoning
    );
    // Only OpenAI's models refuse them; where they are ignored, they do no harm.
    if !depends || !rules.bounds_completion || !SAMPLING.iter().any(is_among) {
        return false;
    }
    let effort = original_effort(raw);
    if rules.sampling == SamplingSupport::UnlessReasoning {
        return rules.reasons(effort);
    }
    effort != Some(Effort::None)
}

fn refused_members(rules: &ModelRules) -> Vec<&'static str> {
    let mut names = Vec::new();
    match rules.sampling {
        SamplingSupport::Refused | SamplingSupport::Neutral | SamplingSupport::NeutralOneOf => {
            names.extend(SAMPLING);
        }
        SamplingSupport::Unknown
        | SamplingSupport::Free
        | SamplingSupport::OneOf
        | SamplingSupport::UnlessReasoning
        | SamplingSupport::WithoutReasoning => {}
    }
    if rules.refuses_penalties {
        names.extend(["presence_penalty", "frequency_penalty", "logit_bias"]);
    }
    if rules.refuses_stop {
        names.push("stop");
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: &str, param: Option<&'static str>) -> GatewayError {
        let error = GatewayError::new(ErrorKind::InvalidRequest, message.to_owned())
            .with_upstream_status(400);
        match param {
            Some(param) => error.with_param(param),
            None => error,
        }
    }

    #[test]
    fn refused_parameter_is_read_from_its_place_or_the_message() {
        for (message, param, expected) in [
            ("too hot", Some("temperature"), Some("temperature")),
            ("bad", Some("reasoning.effort"), Some("reasoning_effort")),
            ("bad", Some("messages"), None),
            ("`top_p` is deprecated for this model.", None, Some("top_p")),
            ("temperature: not supported by this model", None, Some("temperature")),
            ("property 'seed' is unsupported", None, Some("seed")),
            ("the user: is not allowed", None, Some("user")),
            ("stop doing that", None, None),
            ("messages.0: `temperature_x` is odd", None, None),
        ] {
            assert_eq!(refused_param(&error(message, param)), expected, "{message}");
        }
    }

    #[test]
    fn other_failures_teach_nothing() {
        let kind = ErrorKind::RateLimited;
        let error = GatewayError::new(kind, "`top_p`").with_upstream_status(429);
        assert_eq!(refused_param(&error), None);
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_is_remembered_for_a_day_by_model() {
        let learned = LearnedRefusals::default();
        let (one, other): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let refusal = error("bad", Some("seed"));
        assert_eq!(learned.learn("p", &one, &[], &refusal), Some("seed"));
        assert_eq!(learned.learn("p", &one, &[], &refusal), Some("seed"), "it was still sent");
        assert_eq!(learned.learn("p", &one, &["seed"], &refusal), None, "it was left out already");
        assert_eq!((learned.of(&one), learned.of(&other)), (vec!["seed"], vec![]));
        tokio::time::advance(REMEMBERED).await;
        assert!(learned.of(&one).is_empty());
        assert_eq!(learned.learn("p", &one, &[], &refusal), Some("seed"));
    }
}
