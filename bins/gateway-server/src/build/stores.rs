//! The state store that the configuration names.

use crate::config::{Config, StoreBackend, StoreDurability, StoreSection};
use anyhow::Context as _;
use gateway_store::{Durability, EmbeddedSettings, RedisSettings, StoreSettings, Stores};

/// Opens the store.
///
/// # Errors
///
/// If it belongs to another process, is damaged, or was written by a newer version.
pub(super) async fn open(config: &Config) -> anyhow::Result<Stores> {
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
    };
    let stores = gateway_store::open(StoreSettings::new(backend)).await?;
    let health = stores.health().await;
    let durability = health.durability.as_str();
    tracing::info!(backend = health.backend, durability, reachable = health.reachable, "store");
    for warning in health.warnings {
        tracing::warn!("{warning}");
    }
    Ok(stores)
}

/// The settings of Redis, if it has an address.
pub(super) fn redis(it: &StoreSection) -> Option<RedisSettings> {
    Some(RedisSettings {
        url: it.redis_url.clone()?,
        prefix: it.redis_prefix.clone(),
        timeout: it.redis_timeout,
        ca: it.redis_ca_file.clone(),
    })
}
