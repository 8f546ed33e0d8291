//! The providers, routes and fallback groups of a generation.

use crate::{catalogue::load_catalogue, previous::PreviousGeneration, shared::SharedResources};
use anyhow::Context as _;
use gateway_catalogue::{TextCatalogue, families};
use gateway_config::{
    Config, DeploymentEnvironment, FallbackTrigger, ProviderAuth, ProviderEntry, ProviderKind,
    ResilienceSection, RouteEntry, RouteTarget,
};
use gateway_core::{MemoryBudget, ModelCard, ModelCatalogue as _, pattern_prefix};
use gateway_engine::{
    DirectoryBuilder, EngineResources, FallbackRoute, ProviderDirectory, ProviderSettings,
    ResilienceSettings, catalogued_card,
};
use gateway_net::client::read_roots;
use gateway_providers::{
    ALL, ANTHROPIC_COMPATIBLE, Auth, ClientSettings, ContextServiceRoute, Descriptor, Fake,
    GEMINI_COMPATIBLE, OPENAI_COMPATIBLE, Settings,
};
use gateway_resilience::{DeadlineLimits, FallbackCondition, RetryPolicy, breaker};
use std::sync::Arc;

/// Builds the directory of providers, routes and fallback groups. Providers of the previous
/// generation whose effective settings are the same stay as they are.
///
/// # Errors
///
/// Names the first part that cannot be built.
pub(crate) fn directory(
    config: &Config,
    resources: EngineResources,
    through: Option<&ContextServiceRoute>,
    connections: ClientSettings,
    previous: Option<PreviousGeneration<'_>>,
) -> anyhow::Result<ProviderDirectory> {
    let mut builder = single_models(config, resources, through, connections)?
        .reusing(previous.map(|previous| &previous.app.engine.directory))
        .default_provider(config.routing.default_provider.clone());
    for route in config.routes.iter().filter_map(fallback) {
        builder = builder.fallback(route);
    }
    Ok(builder.build()?)
}

/// Returns a builder with all providers, models and aliases, without fallback groups and default.
///
/// # Errors
///
/// If the built-in catalogue is unreadable, or a model has no provider.
pub(crate) fn single_models<'a>(
    config: &Config,
    resources: EngineResources,
    through: Option<&ContextServiceRoute>,
    connections: ClientSettings,
) -> anyhow::Result<DirectoryBuilder<'a>> {
    let mut builder = DirectoryBuilder::new(resilience(config), resources).connections(connections);
    for provider in providers(config, through) {
        builder = builder.provider(provider);
    }
    let catalogue = Arc::new(catalogue(config)?);
    builder = models(config, &catalogue, builder)?;
    for (name, configured) in config.providers.iter().filter(|(_, it)| it.enabled) {
        builder = builder.prefix(name, name);
        for prefix in &configured.prefixes {
            builder = builder.prefix(prefix, name);
        }
        for pattern in &configured.models {
            builder = match pattern_prefix(pattern) {
                Some(family) => builder.family(family, name),
                None if is_configured(config, name, pattern) => builder,
                None => builder.model(Arc::new(configured_model_card(&catalogue, name, pattern))),
            };
        }
    }
    Ok(builder)
}

/// Returns the settings of connections to upstreams, whose responses take `memory`.
///
/// # Errors
///
/// If the certificates of upstreams' authorities cannot be read.
pub(crate) fn connections(
    config: &Config,
    memory: Arc<MemoryBudget>,
) -> anyhow::Result<ClientSettings> {
    let extra_roots = match &config.tls.upstream_ca_file {
        Some(path) => {
            read_roots(path).with_context(|| format!("cannot use `{}`", path.display()))?
        }
        None => Vec::new(),
    };
    let receive_buffer = config.server.upstream_receive_buffer.0;
    Ok(ClientSettings {
        connect_timeout: config.timeouts.connect,
        receive_buffer: u32::try_from(receive_buffer).ok(),
        memory,
        extra_roots,
        ..ClientSettings::default()
    })
}

/// Returns the circuit breaker settings.
pub(crate) fn breaker_config(resilience: &ResilienceSection) -> breaker::BreakerPolicy {
    breaker::BreakerPolicy {
        consecutive_failures: saturating_u32(resilience.circuit_breaker_failure_threshold),
        cooldown: resilience.circuit_breaker_recovery_timeout,
        max_cooldown: resilience.circuit_breaker_longest_pause,
        ..breaker::BreakerPolicy::default()
    }
}

pub(crate) fn resilience(config: &Config) -> ResilienceSettings {
    let (waits, it) = (&config.timeouts, &config.resilience);
    let retry = RetryPolicy {
        max_attempts: saturating_u32(it.retry_max_attempts),
        retry_non_idempotent: it.retry_ambiguous,
        ..RetryPolicy::default()
    };
    ResilienceSettings {
        deadlines: DeadlineLimits {
            first_byte: waits.first_byte,
            first_byte_whole: waits.first_byte_whole.unwrap_or(waits.total),
            first_output: waits.first_token,
            idle: waits.idle,
            stream_total: waits.stream_total,
            total: waits.total,
            ..DeadlineLimits::default()
        },
        breaker: it.circuit_breaker_enabled.then(|| breaker_config(it)),
        retry: (it.retry_max_attempts > 1).then_some(retry),
        hedge_embeddings: it.hedge_embeddings,
        max_concurrent_per_provider: config.admission.max_per_provider,
    }
}

pub(crate) fn resources(config: &Config, shared: &SharedResources) -> EngineResources {
    let (stores, breakers) = (&shared.stores, Arc::clone(&shared.breakers));
    EngineResources {
        reasoning: Some((Arc::clone(&stores.side), config.store.reasoning_ttl)),
        cache: config.cache.enabled.then(|| (Arc::clone(&stores.cache), config.cache.ttl)),
        stopping: shared.process.shutdown.final_notice.clone(),
        circuit_observer: Some(Arc::new(move |circuit, from, to| {
            breakers.record_transition(circuit, from, to);
        })),
        instrument: shared.process.tracing.clone().map(|tracing| {
            let instrument: gateway_engine::Instrument =
                Arc::new(move |provider| tracing.provider(provider));
            instrument
        }),
    }
}

/// Returns the settings of every provider that is known by name or configured.
pub(crate) fn providers(
    config: &Config,
    through: Option<&ContextServiceRoute>,
) -> Vec<ProviderSettings> {
    let usual = ProviderEntry::default();
    let provider = |id: &str, configured: &ProviderEntry, descriptor: &'static Descriptor| {
        let settings = settings(id, configured, descriptor);
        let learns_refusals = config.resilience.learn_refusals;
        let settings = Settings { through: through.cloned(), learns_refusals, ..settings };
        let keys = config.providers.get(id).map(ProviderEntry::keys).unwrap_or_default();
        ProviderSettings { descriptor, settings, keys }
    };
    let mut providers = Vec::new();
    for known in ALL.iter().filter(|known| is_enabled(known, config)) {
        let configured = config.providers.get(known.id).unwrap_or(&usual);
        providers.push(provider(known.id, configured, of_kind(configured.kind).unwrap_or(known)));
    }
    let is_known = |name: &str| ALL.iter().any(|known| known.id == name);
    for (name, configured) in config.providers.iter().filter(|(name, _)| !is_known(name)) {
        if configured.enabled {
            let descriptor = of_kind(configured.kind).unwrap_or(&OPENAI_COMPATIBLE);
            providers.push(provider(name, configured, descriptor));
        }
    }
    providers
}

/// The fake provider is off in production unless it is configured.
fn is_enabled(known: &Descriptor, config: &Config) -> bool {
    match config.providers.get(known.id) {
        Some(configured) => configured.enabled,
        None => {
            known.id != Fake::ID || config.server.environment != DeploymentEnvironment::Production
        }
    }
}

fn of_kind(kind: Option<ProviderKind>) -> Option<&'static Descriptor> {
    Some(match kind? {
        ProviderKind::OpenAiCompatible => &OPENAI_COMPATIBLE,
        ProviderKind::Anthropic => &ANTHROPIC_COMPATIBLE,
        ProviderKind::Gemini => &GEMINI_COMPATIBLE,
        ProviderKind::Ollama => gateway_providers::find("ollama")?,
        ProviderKind::Fake => gateway_providers::find(Fake::ID)?,
    })
}

fn settings(id: &str, configured: &ProviderEntry, known: &Descriptor) -> Settings {
    let mut headers: Vec<_> = configured
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.value().to_str().ok()?.to_owned())))
        .collect();
    for (name, value) in
        [("openai-organization", &configured.organization), ("openai-project", &configured.project)]
    {
        headers.extend(value.iter().map(|value| (name.to_owned(), value.clone())));
    }
    let base_url = configured.base_url.as_ref().map_or(known.base_url, |url| url.as_str());
    Settings {
        id: id.to_owned(),
        base_url: base_url.to_owned(),
        auth: configured.auth.map(|auth| match auth {
            ProviderAuth::Bearer => Auth::Bearer,
            ProviderAuth::ApiKey => Auth::Header("api-key"),
            ProviderAuth::XApiKey => Auth::Header("x-api-key"),
            ProviderAuth::XGoogApiKey => Auth::Header("x-goog-api-key"),
        }),
        query: configured.query.clone().into_iter().collect(),
        headers,
        quirks: configured.quirks.clone(),
        api: configured.api,
        ..Settings::default()
    }
}

/// Adds the catalogue with its aliases, then the models and aliases of the configuration.
fn models<'a>(
    config: &Config,
    catalogue: &Arc<TextCatalogue>,
    mut builder: DirectoryBuilder<'a>,
) -> anyhow::Result<DirectoryBuilder<'a>> {
    for model in &config.models {
        let Some(id) = &model.id else { continue };
        let known = catalogued_card(&**catalogue, model.provider.as_deref(), id);
        let card = model
            .card(known.as_deref())
            .with_context(|| format!("`{id}` is not in the catalogue and needs a `provider`"))?;
        builder = builder.model(Arc::new(card));
    }
    let configured = config.aliases.iter().map(|(name, model)| (name.as_str(), model.as_str()));
    for (name, model) in catalogue.aliases().chain(configured) {
        builder = builder.alias(name, model);
    }
    Ok(builder.catalogue(Arc::<TextCatalogue>::clone(catalogue)))
}

/// The catalogue of this release, or that of the configured file.
pub(crate) fn catalogue(config: &Config) -> anyhow::Result<TextCatalogue> {
    load_catalogue(config.catalogue.file.as_deref())
}

/// Whether `[[models]]` describes the model `id` of `provider`.
fn is_configured(config: &Config, provider: &str, id: &str) -> bool {
    let is_it =
        |name: &Option<String>| name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(id));
    config.models.iter().any(|model| {
        (is_it(&model.id) || is_it(&model.upstream))
            && model.provider.as_deref().is_none_or(|it| it.eq_ignore_ascii_case(provider))
    })
}

/// A model that its provider's settings list: as it is catalogued, else with the rules of its family.
fn configured_model_card(catalogue: &TextCatalogue, provider: &str, id: &str) -> ModelCard {
    match catalogue.card(provider, id) {
        Some(known) => ModelCard { id: id.to_owned(), ..ModelCard::clone(&known) },
        None => ModelCard { rules: families::rules(id), ..ModelCard::new(id, provider) },
    }
}

fn fallback(route: &RouteEntry) -> Option<FallbackRoute> {
    let target = |it: &RouteTarget| (it.model.clone(), it.weight);
    Some(FallbackRoute {
        model: route.model.clone()?,
        targets: route.targets.iter().map(target).collect(),
        on: route.on.iter().copied().map(condition).collect(),
        retry: route.retry,
        breaker: route.breaker,
    })
}

const fn condition(trigger: FallbackTrigger) -> FallbackCondition {
    match trigger {
        FallbackTrigger::RateLimit => FallbackCondition::RateLimit,
        FallbackTrigger::ServerError => FallbackCondition::ServerError,
        FallbackTrigger::Timeout => FallbackCondition::Timeout,
        FallbackTrigger::Unavailable => FallbackCondition::Unavailable,
        FallbackTrigger::ContextLength => FallbackCondition::ContextLength,
        FallbackTrigger::ContentFilter => FallbackCondition::ContentFilter,
    }
}

fn saturating_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
