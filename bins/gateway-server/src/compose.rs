//! From configuration to a gateway: the one place that knows every part.

pub mod control;

use crate::{
    before::Before,
    config::{Backend as StoreBackend, Client, Config, Durability, Stage},
    dependencies, kept,
    lasting::Lasting,
    local, providers, settings, tools,
};
use anyhow::Context as _;
use gateway_engine::{Engine, EngineSettings, MemoryBudget, RequestLog, RequestObserver};
use gateway_http::{About, Cors, HttpService, Limits, request::peer::Peers};
use gateway_limits::{Access, LimitAccounts};
use gateway_net::client::HttpClient;
use gateway_store::{EmbeddedSettings, Stores};
use std::sync::Arc;

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
        StoreBackend::Memory => gateway_store::StoreBackend::Memory,
        StoreBackend::Embedded => {
            let mut embedded = EmbeddedSettings::new(config.server.data_dir.join("gateway.redb"));
            embedded.durability = match store.durability {
                Durability::Fsync => gateway_store::Durability::Fsync,
                Durability::EverySecond => gateway_store::Durability::EverySecond,
                Durability::Off => gateway_store::Durability::Off,
            };
            gateway_store::StoreBackend::Embedded(embedded)
        }
        StoreBackend::Redis => {
            let url = store.redis_url.clone().context("store.redis_url is needed")?;
            gateway_store::StoreBackend::Redis(gateway_store::RedisSettings {
                url,
                prefix: store.redis_prefix.clone(),
                timeout: store.redis_timeout,
                ca: store.redis_ca_file.clone(),
            })
        }
    };
    let stores = gateway_store::open(gateway_store::StoreSettings::new(backend)).await?;
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
) -> anyhow::Result<HttpService> {
    let client = HttpClient::new(&providers::connections(config))?;
    let context_service = local::context_service(config)?;
    let through = local::through(config, context_service.as_ref());
    let directory = providers::directory(config, lasting, through.as_ref(), before)?;
    let budget = before.map(|it| Arc::clone(&it.app.bodies.budget));
    let console = config.has_console().then(|| kept::feed(lasting, before));
    let mut observers: Vec<Arc<dyn RequestObserver>> = vec![Arc::new(RequestLog)];
    if let Some(console) = &console {
        observers.push(Arc::new(console.clone()));
    }
    let health = dependencies::health(config, lasting, &client, &directory);
    let windows =
        before.map_or_else(local::windows, |it| Arc::clone(&it.app.engine.context_windows));
    let engine = Engine {
        directory,
        settings: EngineSettings {
            strict: config.routing.strict,
            default_model: config.routing.default_model.clone(),
            json_depth: config.server.max_json_depth,
            caching: config.cache.enabled,
            first_output: config.timeouts.head_hold,
            keep_alive: config.timeouts.keep_alive_comment,
        },
        limits: control::build(config, lasting, before),
        toolbox: tools::toolbox(config, lasting)?,
        sessions: kept::keeper(config, lasting, before),
        responses: kept::responses(config, lasting, before),
        context_service,
        context_windows: windows,
        metrics: Arc::clone(&lasting.meters),
        observers,
        generation: before.map_or(1, |it| it.app.engine.generation + 1),
    };
    Ok(HttpService {
        engine: Arc::new(engine),
        access: access(config, lasting.accounts.limits()),
        health,
        circuits: circuits(lasting),
        idempotency: kept::idempotency(config, lasting, before),
        bodies: Limits {
            max_bytes: config.server.max_body_bytes.0,
            timeout: config.timeouts.body,
            budget: budget.unwrap_or_else(|| Arc::new(MemoryBudget::new(BODY_BUDGET))),
        },
        cors: cors(config),
        metrics: config.metrics.enabled.then(|| Arc::clone(&lasting.metrics.0)),
        peers: Peers { trusted: settings::networks(&config.server.trusted_proxies) },
        console,
        about: About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            docs: config.has_docs().then(|| "/docs".to_owned()),
        },
    })
}

fn circuits(lasting: &Lasting) -> gateway_http::OpenCircuits {
    let breakers = Arc::clone(&lasting.breakers);
    Arc::new(move |provider| breakers.is_open(provider))
}

fn access(config: &Config, accounts: &LimitAccounts) -> Access {
    if !config.needs_keys() {
        return Access::Open(Arc::new(gateway_limits::Client::anonymous()));
    }
    let client = |client: &Client| (client.key, Arc::new(settings::client(client, accounts)));
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
