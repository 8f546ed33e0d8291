//! The state store that the configuration names, with metrics and traces around it.

use anyhow::Context as _;
use gateway_config::{Config, StoreBackend, StoreDurability, StoreSection};
use gateway_engine::RequestMetrics;
use gateway_store::{
    Durability, EmbeddedSettings, PostgresSettings, RedisSettings, RequestLogLimits, StoreSettings,
    Stores, TenantLimits,
};
use gateway_telemetry::{instrumented_store::StoreInstrumentation, otel::OtelPipeline};
use std::sync::Arc;

/// Opens the store.
///
/// # Errors
///
/// If it belongs to another process, is damaged, or was written by a newer version.
pub(crate) async fn open(
    config: &Config,
    meters: &Arc<RequestMetrics>,
    tracing: Option<&Arc<OtelPipeline>>,
) -> anyhow::Result<Stores> {
    let backend = match config.store.backend() {
        StoreBackend::Memory => gateway_store::StoreBackend::Memory,
        StoreBackend::Embedded => {
            let mut embedded = EmbeddedSettings::new(config.server.data_dir.join("gateway.redb"));
            embedded.durability = match config.store.durability {
                StoreDurability::Fsync => Durability::Fsync,
                StoreDurability::EverySecond => Durability::EverySecond,
                StoreDurability::Off => Durability::Off,
            };
            gateway_store::StoreBackend::Embedded(embedded)
        }
        StoreBackend::Redis => {
            let redis = redis(&config.store).context("store.redis_url is needed")?;
            gateway_store::StoreBackend::Redis(redis)
        }
        StoreBackend::Postgres => {
            let postgres = postgres(&config.store).context("store.postgres_url is needed")?;
            gateway_store::StoreBackend::Postgres(postgres, redis(&config.store))
        }
    };
    let mut settings = StoreSettings::new(backend);
    settings.limits.tenant = TenantLimits {
        bytes: config.store.tenant_bytes.0 as u64,
        sessions: config.store.tenant_sessions,
        responses: config.store.tenant_responses,
        replays: config.store.tenant_idempotency_records,
    };
    settings.limits.request_log = RequestLogLimits {
        requests: config.request_log.requests(config.store.backend()),
        ttl: config.request_log.ttl,
    };
    let mut stores = gateway_store::open(settings).await?;
    let health = stores.health().await;
    let durability = health.durability.as_str();
    tracing::info!(backend = health.backend, durability, reachable = health.reachable, "store");
    for warning in health.warnings {
        tracing::warn!("{warning}");
    }
    instrument(&mut stores, config.store.backend(), meters, tracing);
    Ok(stores)
}

/// The settings of Redis, if it has an address.
pub(crate) fn redis(it: &StoreSection) -> Option<RedisSettings> {
    Some(RedisSettings {
        url: it.redis_url.clone()?,
        prefix: it.redis_prefix.clone(),
        timeout: it.redis_timeout,
        ca: it.redis_ca_file.clone(),
    })
}

/// The settings of Postgres, if it has an address.
pub(crate) fn postgres(it: &StoreSection) -> Option<PostgresSettings> {
    Some(PostgresSettings {
        url: it.postgres_url.clone()?,
        schema: it.postgres_schema.clone(),
        timeout: it.postgres_timeout,
        connections: it.postgres_connections,
        ca: it.postgres_ca_file.clone(),
    })
}

/// Instruments every port of `stores`.
fn instrument(
    stores: &mut Stores,
    backend: StoreBackend,
    meters: &Arc<RequestMetrics>,
    tracing: Option<&Arc<OtelPipeline>>,
) {
    let meters = Arc::clone(meters);
    let instrumentation = StoreInstrumentation {
        system: match backend {
            StoreBackend::Memory => "memory",
            StoreBackend::Embedded => "redb",
            StoreBackend::Redis => "redis",
            StoreBackend::Postgres => "postgresql",
        },
        observer: Arc::new(move |operation, took, error| {
            meters.store_operation(operation, took, error);
        }),
        tracing: tracing.cloned(),
    };
    stores.sessions = Arc::new(instrumentation.wrap(&stores.sessions));
    stores.responses = Arc::new(instrumentation.wrap(&stores.responses));
    stores.cache = Arc::new(instrumentation.wrap(&stores.cache));
    stores.side = Arc::new(instrumentation.wrap(&stores.side));
    stores.idempotency = Arc::new(instrumentation.wrap(&stores.idempotency));
    stores.quotas = Arc::new(instrumentation.wrap(&stores.quotas));
    stores.ledger = Arc::new(instrumentation.wrap(&stores.ledger));
    stores.client_keys = Arc::new(instrumentation.wrap(&stores.client_keys));
    stores.request_log = Arc::new(instrumentation.wrap(&stores.request_log));
}
