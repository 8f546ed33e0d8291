//! The circuits of a provider: one for each of its models.

use crate::{
    breaker,
    breaker_metrics::CircuitReporter,
    host_circuit::HostCircuit,
    model_circuit::{CircuitPermit, ModelCircuit},
};
use foldhash::HashMap;
use gateway_core::{
    Attempt, AttemptOutcome, Context, ErrorKind, GatewayError, PlannedAttempt, ResponseMeta,
    Result, Target, UnavailableReason, sync,
};
use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex},
};
use tokio::time::Instant;

/// The circuits of a provider, which reject requests while that of the model is open or cooling
/// down.
///
/// Refusals caused by the request, and callers that disconnect, do not count against
/// it. A failing model does not affect the circuits of the others.
pub(crate) struct ModelCircuits {
    id: Arc<str>,
    settings: CircuitBreakerConfig,
    circuits: Mutex<HashMap<Arc<str>, Arc<ModelCircuit>>>,
}

/// The configuration of the circuit breakers of a provider.
#[derive(Clone)]
pub struct CircuitBreakerConfig {
    /// Thresholds of the breakers; without them no breaker opens, and only cooldowns are
    /// respected.
    pub breaker: Option<breaker::BreakerPolicy>,
    /// Circuit of the provider's host, shared with other providers of that host.
    pub host: Option<Arc<HostCircuit>>,
    /// Number of the provider's credential, from 1; absent if there is only one.
    pub credential: Option<usize>,
    /// Observer of state transitions.
    pub observer: Option<CircuitObserver>,
    /// Source of random numbers from 0 to 1.
    pub random: fn() -> f64,
}

/// An observer of state transitions: called with the circuit's name, the old and the new state. The
/// name is that of the provider and of the model, or `other` if the catalogue does not know the
/// model; or that of the host.
pub type CircuitObserver =
    Arc<dyn Fn(&str, breaker::BreakerState, breaker::BreakerState) + Send + Sync>;

impl fmt::Debug for CircuitBreakerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guards")
            .field("breaker", &self.breaker)
            .field("host", &self.host)
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

/// Maximum number of circuits; further models share one, because callers make up their names.
const MAX_MODELS: usize = 1024;

impl ModelCircuits {
    /// The circuits of the provider `id`.
    pub(crate) fn new(id: &str, settings: CircuitBreakerConfig) -> Self {
        Self { id: id.into(), settings, circuits: Mutex::default() }
    }

    fn circuit(&self, target: &Target) -> Arc<ModelCircuit> {
        let mut circuits = sync::lock(&self.circuits);
        if let Some(circuit) = circuits.get(&target.model) {
            return Arc::clone(circuit);
        }
        let is_known = target.card.is_some() || circuits.len() < MAX_MODELS;
        let key = if is_known { Arc::clone(&target.model) } else { "".into() };
        Arc::clone(circuits.entry(key).or_insert_with(|| Arc::new(self.new_circuit(target))))
    }

    /// Names of models that are not catalogued are the callers', and no labels.
    fn new_circuit(&self, target: &Target) -> ModelCircuit {
        let CircuitBreakerConfig { breaker, host, credential, observer, random } = &self.settings;
        let model = target.card.as_ref().map_or("other", |card| card.id.as_str());
        let suffix = credential.map(|it| format!("#{it}")).unwrap_or_default();
        let name = format!("{}{suffix}/{model}", self.id);
        let reporter = CircuitReporter { name: name.into(), observer: observer.clone() };
        ModelCircuit::new(reporter, *breaker, host.clone(), *random, credential.is_none())
    }

    /// Admits a call to `target`; no permit if the request bypasses the circuits.
    ///
    /// # Errors
    ///
    /// If the circuit is open or cooling down.
    pub(crate) fn admit(
        &self,
        target: &Target,
        context: &Context,
        now: Instant,
    ) -> Result<Option<CircuitPermit>> {
        if context.breaker.bypass_breaker {
            return Ok(None);
        }
        let admitted = self.circuit(target).admit(context.breaker.force_open_circuit, now);
        admitted.map(Some).map_err(|reason| self.unavailable_error(target, reason))
    }

    fn unavailable_error(&self, target: &Target, reason: UnavailableReason) -> GatewayError {
        let (provider, model) = (Arc::clone(&self.id), Arc::clone(&target.model));
        let outcome = AttemptOutcome::Skipped(reason);
        let steps =
            vec![Attempt { provider: Arc::clone(&provider), model: Arc::clone(&model), outcome }];
        unavailable_error(reason, &format!("provider '{provider}'")).with_meta(ResponseMeta {
            provider,
            model,
            attempts_log: steps,
            ..ResponseMeta::default()
        })
    }

    /// Returns why `target` cannot be called now.
    pub(crate) fn unavailability(&self, target: &Target) -> Option<UnavailableReason> {
        self.circuit(target).unavailability()
    }

    /// Marks the attempts at `target` that would be rejected, and those with a credential of several.
    pub(crate) fn annotate(
        &self,
        planned: &mut [PlannedAttempt],
        target: &Target,
        context: &Context,
    ) {
        let is_bypassed = context.breaker.bypass_breaker;
        let reason = if is_bypassed { None } else { self.unavailability(target) };
        for attempt in planned {
            attempt.unavailable = attempt.unavailable.or(reason);
            attempt.credential = self.settings.credential;
        }
    }
}

/// Returns the error for a `subject`, such as a provider, that cannot be called now.
pub(crate) fn unavailable_error(reason: UnavailableReason, subject: &str) -> GatewayError {
    let (kind, code, message): (_, _, Cow<'static, str>) = match reason {
        UnavailableReason::CoolingDown { .. } => (
            ErrorKind::RateLimited,
            ErrorKind::RateLimited.as_str(),
            format!("{subject} limits the rate of requests").into(),
        ),
        UnavailableReason::CredentialRefused { .. } => (
            ErrorKind::UpstreamAuth,
            ErrorKind::UpstreamAuth.as_str(),
            format!("{subject} does not accept the gateway's credential").into(),
        ),
        UnavailableReason::NotConfigured => (
            ErrorKind::NotConfigured,
            ErrorKind::NotConfigured.as_str(),
            "the model's provider is not configured".into(),
        ),
        UnavailableReason::NotAllowed => (
            ErrorKind::Forbidden,
            "model_not_allowed",
            "this API key is not allowed to use the model or its fallbacks".into(),
        ),
        UnavailableReason::ContextWindow { .. } => (
            ErrorKind::ContextLength,
            ErrorKind::ContextLength.as_str(),
            "the request exceeds the context window of every target".into(),
        ),
        UnavailableReason::NoTools | UnavailableReason::NoVision => (
            ErrorKind::InvalidRequest,
            "unsupported_model",
            "no target supports what the request needs (tools or images)".into(),
        ),
        UnavailableReason::CircuitOpen { .. } => (
            ErrorKind::UpstreamOverloaded,
            "circuit_open",
            format!("the circuit breaker of {subject} is open").into(),
        ),
    };
    GatewayError::new(kind, message).with_code(code).with_retry_after(reason.wait())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ResilientProvider, breaker::BreakerPolicy};
    use async_trait::async_trait;
    use gateway_core::{ChatRequest, Provider, ProviderLayer, ProviderRequest, ProviderResponse};
    use std::time::Duration;

    /// Fails as it is named: a model called `down` is down, others are not.
    struct NamedFailures;

    #[async_trait]
    impl Provider for NamedFailures {
        fn id(&self) -> &'static str {
            "named"
        }

        async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
            let kind = match &*call.target.model {
                "down" => ErrorKind::Upstream,
                "refuses" => ErrorKind::InvalidRequest,
                "away" => ErrorKind::UpstreamUnreachable,
                "limits" => ErrorKind::RateLimited,
                "unknown" => ErrorKind::UpstreamAuth,
                _ => {
                    return Ok(ProviderResponse {
                        meta: ResponseMeta::default(),
                        chunks: Box::pin(futures_util::stream::empty()),
                    });
                }
            };
            Err(GatewayError::new(kind, "no"))
        }
    }

    /// Asks for each model in turn: `+` answered, `-` failed, `x` not even asked.
    async fn check(models: &[&str], expected: &str) {
        check_credential(None, models, expected).await;
    }

    /// The same of a provider with several credentials, of which this is one.
    async fn check_credential(credential: Option<usize>, models: &[&str], expected: &str) {
        let config = BreakerPolicy { consecutive_failures: 2, ..BreakerPolicy::default() };
        let host = Some(Arc::new(HostCircuit::new("named", config, None)));
        let settings = CircuitBreakerConfig {
            breaker: Some(config),
            host,
            credential,
            observer: None,
            random: || 0.5,
        };
        let layer = ResilientProvider::new(Arc::new(NamedFailures)).with_circuit_breaker(settings);
        let mut seen = String::new();
        for model in models {
            let call = ProviderRequest::new(ChatRequest::user(*model, "hello"));
            let answered = match ProviderLayer::generate(&layer, call).await {
                Ok(answer) => answer.collect().await.map(drop),
                Err(error) => Err(error),
            };
            seen.push(match answered {
                Ok(()) => '+',
                Err(error) if error.meta().is_some() => 'x',
                Err(_) => '-',
            });
            if *model == "wait" {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
        assert_eq!(seen, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn failing_model_opens_its_circuit() {
        check(&["down", "down", "down", "up", "wait", "down", "down"], "--x++-x").await;
    }

    #[tokio::test(start_paused = true)]
    async fn caller_errors_do_not_count_against_provider() {
        check(&["refuses"; 5], "-----").await;
    }

    #[tokio::test(start_paused = true)]
    async fn unreachable_host_opens_host_circuit_only() {
        check(&["away", "up", "away", "away", "up", "wait", "up"], "-+--xx+").await;
    }

    #[tokio::test(start_paused = true)]
    async fn rate_limit_causes_cooldown_without_opening_breaker() {
        check(&["limits", "limits", "limits", "up", "wait", "limits", "limits"], "-xx++-x").await;
    }

    #[tokio::test(start_paused = true)]
    async fn refused_credential_cools_down() {
        let models = ["unknown", "unknown", "wait", "unknown", "up"];
        check_credential(Some(1), &models, "-x+x+").await;
    }

    /// Only refusals in a row keep calls away, for a second, then for two, then for four, then for eight.
    #[tokio::test(start_paused = true)]
    async fn only_credential_cools_down_after_refusals_in_a_row() {
        let models = ["unknown", "unknown", "unknown", "wait", "unknown"];
        check(&models, "--x+-").await;
        let later = ["unknown", "wait", "unknown", "wait", "unknown", "wait", "unknown", "unknown"];
        check(&later, "-+-+-+-x").await;
        let last = ["wait", "unknown", "wait", "unknown"];
        check(&[&later[..], &last].concat(), "-+-+-+-x+-+x").await;
    }
}
