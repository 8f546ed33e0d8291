//! From configuration to a gateway: the one place that knows every part.

pub mod control;

use crate::{
    before::Before,
    chains,
    config::{
        Backend as StoreBackend, Client, Config, Durability, Kind, Provider as Configured, Stage,
    },
    dependencies,
    drain::Drain,
    kept,
    lasting::Lasting,
    local, tools,
    upstreams::{self, Hosts},
};
use anyhow::{Context as _, anyhow};
use gateway_core::{ModelCard, Provider, ReasoningReplay, Routes};
use gateway_http::{About, Access, App, Backend, Budget, Cors, Limits, Times};
use gateway_providers::{
    ALL, ANTHROPIC_COMPATIBLE, Catalogue, ClientSettings, Credential, Descriptor, Fake,
    GEMINI_COMPATIBLE, HttpClient, OPENAI_COMPATIBLE, Settings, Through,
};
use gateway_resilience::{Bulkhead, Cached, Ending};
use gateway_store::{Embedded, Stores};
use std::{collections::HashMap, sync::Arc};

/// How many bytes of requests' bodies are held at once.
const BODY_BUDGET: usize = 256 << 20;

/// Opens the state that the configuration names.
///
/// # Errors
///
/// If it belongs to another process, is damaged, or was written by a newer version.
pub async fn stores(config: &Config) -> anyhow::Result<Stores> {
    let store = &config.store;
    let backend = match store.backend() {
        StoreBackend::Memory => gateway_store::Backend::Memory,
        StoreBackend::Embedded => {
            let mut embedded = Embedded::new(config.server.data_dir.join("gateway.redb"));
            embedded.durability = match store.durability {
                Durability::Fsync => gateway_store::Durability::Fsync,
                Durability::EverySecond => gateway_store::Durability::EverySecond,
                Durability::Off => gateway_store::Durability::Off,
            };
            gateway_store::Backend::Embedded(embedded)
        }
        StoreBackend::Redis => {
            let url = store.redis_url.clone().context("store.redis_url is needed")?;
            gateway_store::Backend::Redis(gateway_store::Redis {
                url,
                prefix: store.redis_prefix.clone(),
                timeout: store.redis_timeout,
                ca: store.redis_ca_file.clone(),
            })
        }
    };
    let stores = gateway_store::open(gateway_store::Settings::new(backend)).await?;
    let health = stores.health().await;
    let durability = health.durability.as_str();
    tracing::info!(backend = health.backend, durability, reachable = health.reachable, "store");
    for warning in health.warnings {
        tracing::warn!("{warning}");
    }
    Ok(stores)
}

/// Builds what answers requests. What is under way in the gateway `before` goes on in the new one.
///
/// # Errors
///
/// Says what of the configuration cannot be built: an address that is none, a model without a
/// provider.
pub fn build(
    config: &Config,
    lasting: &Lasting,
    before: Option<Before<'_>>,
) -> anyhow::Result<App> {
    let client = HttpClient::new(&ClientSettings {
        connect_timeout: config.timeouts.connect,
        ..ClientSettings::default()
    })?;
    let context_service = local::context_service(config)?;
    let through = local::through(config, context_service.as_ref());
    let providers = providers(config, lasting, (&client, through.as_ref()), before)?;
    let mut routes = routes(config, &providers)?;
    let chains = chains::build(config, &mut routes, &providers)?;
    let budget = before.map(|it| Arc::clone(&it.app.limits.budget));
    Ok(App {
        access: access(config),
        routes,
        health: dependencies::health(config, lasting, &client, &providers),
        providers,
        chains,
        caching: config.cache.enabled,
        paused: paused(lasting),
        keeper: kept::keeper(config, lasting, before),
        idempotency: kept::idempotency(config, lasting, before),
        context_service,
        windows: before.map_or_else(local::windows, |it| Arc::clone(&it.app.windows)),
        limits: Limits {
            max_bytes: config.server.max_body_bytes.0,
            timeout: config.timeouts.body,
            budget: budget.unwrap_or_else(|| Arc::new(Budget::new(BODY_BUDGET))),
        },
        responses: kept::responses(config, lasting, before),
        toolbox: tools::toolbox(config, lasting)?,
        json_depth: config.server.max_json_depth,
        times: Times {
            head_hold: config.timeouts.head_hold,
            keep_alive: config.timeouts.keep_alive_comment,
        },
        strict: config.routing.strict,
        default_model: config.routing.default_model.clone(),
        cors: cors(config),
        metrics: config.metrics.enabled.then(|| Arc::clone(&lasting.metrics.0)),
        meters: Arc::clone(&lasting.meters),
        control: control::build(config, lasting, before),
        console: config.has_console().then(|| kept::feed(lasting, before)),
        about: About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            docs: config.has_docs().then(|| "/docs".to_owned()),
        },
        epoch: before.map_or(1, |it| it.app.epoch + 1),
    })
}

fn paused(lasting: &Lasting) -> gateway_http::Paused {
    let breakers = Arc::clone(&lasting.breakers);
    Arc::new(move |provider| breakers.paused(provider))
}

fn access(config: &Config) -> Access {
    if !config.needs_keys() {
        return Access::Open(Arc::new(gateway_http::Client::anybody()));
    }
    let client = |client: &Client| {
        let mut known = gateway_http::Client::new(&client.name, &client.tenant);
        known.strict = client.strict;
        known.offered_tools.clone_from(&client.offered_tools);
        let models = Some(client.models.as_slice()).filter(|models| !models.is_empty());
        known.models = models.map(Into::into);
        known.tools.clone_from(&client.tools);
        known.priority = client.priority.priority();
        (client.key, Arc::new(known.limited(&client.allowance)))
    };
    Access::Keys(config.clients.iter().map(client).collect())
}

/// In development every page may call, if nobody says otherwise, so that a first page works.
fn cors(config: &Config) -> Cors {
    let origins: Vec<_> =
        config.server.cors_origins.iter().map(|origin| origin.as_str().to_owned()).collect();
    if origins.iter().any(|origin| origin == "*") {
        Cors::Any
    } else if !origins.is_empty() {
        Cors::Origins(origins)
    } else if config.server.environment == Stage::Development {
        Cors::Unsaid
    } else {
        Cors::Closed
    }
}

/// Every provider that is known by name or configured, as far as it is set up.
fn providers(
    config: &Config,
    lasting: &Lasting,
    (client, through): (&HttpClient, Option<&Through>),
    before: Option<Before<'_>>,
) -> anyhow::Result<HashMap<Arc<str>, Backend>> {
    let usual = Configured::default();
    let mut hosts = Hosts::new(config, lasting);
    let mut backends: HashMap<Arc<str>, Backend> = HashMap::new();
    let mut add = |id: &str, configured: &Configured, known: &Descriptor| {
        let same = before.and_then(|before| before.provider(id));
        let build = || {
            let settings = settings(id, configured, known, client);
            let settings = Settings { through: through.cloned(), ..settings };
            backend(known, &settings, config, (lasting, &mut hosts))
        };
        backends.insert(id.into(), same.map_or_else(build, Ok)?);
        anyhow::Ok(())
    };
    for known in ALL.iter().filter(|known| is_on(known, config)) {
        let configured = config.providers.get(known.id).unwrap_or(&usual);
        add(known.id, configured, of_kind(configured.kind).unwrap_or(known))?;
    }
    for (name, configured) in &config.providers {
        if configured.enabled && !is_known(name) {
            add(name, configured, of_kind(configured.kind).unwrap_or(&OPENAI_COMPATIBLE))?;
        }
    }
    Ok(backends)
}

/// The same, but its answers end before the gateway does.
fn ending(provider: Arc<dyn Provider>, drain: &Drain) -> Arc<dyn Provider> {
    Arc::new(Ending::new(provider, drain.last_call.clone()))
}

fn is_known(name: &str) -> bool {
    ALL.iter().any(|known| known.id == name)
}

/// The fake provider is not for production, unless somebody says that it is.
fn is_on(known: &Descriptor, config: &Config) -> bool {
    match config.providers.get(known.id) {
        Some(configured) => configured.enabled,
        None => known.id != Fake::ID || config.server.environment != Stage::Production,
    }
}

fn of_kind(kind: Option<Kind>) -> Option<&'static Descriptor> {
    Some(match kind? {
        Kind::OpenAiCompatible => &OPENAI_COMPATIBLE,
        Kind::Anthropic => &ANTHROPIC_COMPATIBLE,
        Kind::Gemini => &GEMINI_COMPATIBLE,
        Kind::Ollama => gateway_providers::find("ollama")?,
        Kind::Fake => gateway_providers::find(Fake::ID)?,
    })
}

fn settings(
    id: &str,
    configured: &Configured,
    known: &Descriptor,
    client: &HttpClient,
) -> Settings {
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
        api_key: None,
        auth: None,
        headers,
        quirks: configured.quirks.clone(),
        api: configured.api,
        context_window: None,
        through: None,
        client: Some(client.clone()),
    }
}

fn backend(
    descriptor: &Descriptor,
    settings: &Settings,
    config: &Config,
    (lasting, hosts): (&Lasting, &mut Hosts<'_>),
) -> anyhow::Result<Backend> {
    let keys = config.providers.get(&settings.id).map(Configured::keys).unwrap_or_default();
    // A provider under another address may want no key.
    let moved = settings.base_url != descriptor.base_url;
    if descriptor.credential == Credential::Required && keys.is_empty() && !moved {
        let variable = format!("{}_API_KEY", settings.id.to_uppercase());
        let why = format!("the provider '{}' has no API key: set {variable}", settings.id);
        return Ok(Backend::Unready(why));
    }
    let epoch = upstreams::epoch(settings);
    let mut provider = upstreams::provider(descriptor, settings, keys, config, hosts)?;
    if let Some(carried_by) = descriptor.thinking {
        let (side, ttl) = (Arc::clone(&lasting.stores.side), config.store.reasoning_ttl);
        provider = Arc::new(ReasoningReplay::new(provider, side, carried_by, ttl));
    }
    provider = Arc::new(Bulkhead::new(provider, config.admission.max_per_provider));
    provider = ending(provider, &lasting.drain);
    if config.cache.enabled {
        let store = Arc::clone(&lasting.stores.cache);
        provider = Arc::new(Cached::new(provider, store, epoch, config.cache.ttl));
    }
    Ok(Backend::Ready(provider))
}

fn routes(config: &Config, backends: &HashMap<Arc<str>, Backend>) -> anyhow::Result<Routes> {
    let mut routes = Routes::default();
    for known in ALL.iter().filter(|known| backends.contains_key(known.id)) {
        for prefix in known.aliases.iter().chain(known.prefixes).chain([&known.id]) {
            routes.prefix(prefix, known.id);
        }
        for family in known.families {
            routes.family(family, known.id);
        }
    }
    add_catalogue(config, &mut routes)?;
    for (name, configured) in config.providers.iter().filter(|(_, it)| it.enabled) {
        routes.prefix(name, name);
        for prefix in &configured.prefixes {
            routes.prefix(prefix, name);
        }
        for pattern in &configured.models {
            match pattern.strip_suffix('*') {
                Some(family) => routes.family(family, name),
                None => routes.model(Arc::new(unknown(pattern, name))),
            }
        }
    }
    if let Some(provider) = &config.routing.default_provider {
        let provider = gateway_providers::find(provider).map_or(provider.as_str(), |it| it.id);
        if !backends.contains_key(provider) {
            return Err(anyhow!("routing.default_provider: '{provider}' is not configured"));
        }
        routes.otherwise(provider);
    }
    Ok(routes)
}

/// The models of this release, then those of the configuration.
fn add_catalogue(config: &Config, routes: &mut Routes) -> anyhow::Result<()> {
    let catalogue = Catalogue::built_in().context("the catalogue of this release")?;
    let mut cards: HashMap<String, Arc<ModelCard>> = HashMap::new();
    for entry in &catalogue.models {
        let card = entry.card().map_err(|error| anyhow!(error))?;
        cards.insert(card.id.to_lowercase(), Arc::new(card));
    }
    for model in &config.models {
        let Some(id) = &model.id else { continue };
        let known = cards.get(&id.to_lowercase()).map(AsRef::as_ref);
        let card = model
            .card(known)
            .with_context(|| format!("models: '{id}' names no provider, and is not known"))?;
        cards.insert(id.to_lowercase(), Arc::new(card));
    }
    for card in cards.into_values() {
        routes.model(card);
    }
    for (name, model) in catalogue.aliases.iter().chain(&config.aliases) {
        routes.alias(name, model);
    }
    Ok(())
}

/// A model of which nothing is known but who serves it.
fn unknown(id: &str, provider: &str) -> ModelCard {
    ModelCard {
        id: id.to_owned(),
        provider: provider.to_owned(),
        upstream: id.to_owned(),
        api: None,
        context_window: None,
        max_output: None,
        capabilities: gateway_core::Capabilities::default(),
        price: None,
    }
}
