//! Health and durability of Postgres.

use super::PostgresStore;
use crate::stores::{DurabilityClass, HealthProbe, StoreHealth};
use async_trait::async_trait;
use gateway_core::state::StoreError;
use std::time::Duration;

const STATE: &str = "SELECT current_setting('server_version'), current_setting('fsync'), \
     current_setting('synchronous_commit'), pg_is_in_recovery()::text, \
     (SELECT max(version) FROM schema_migrations)::text";

/// The settings of a server that bear on durability.
#[derive(Debug, Default)]
struct ServerState {
    version: String,
    fsync: String,
    synchronous_commit: String,
    is_standby: bool,
    schema: String,
}

#[async_trait]
impl HealthProbe for PostgresStore {
    async fn health(&self) -> StoreHealth {
        match self.server_state().await {
            Ok(state) => evaluate(&state),
            Err(error) => unreachable(error.code().into_owned()),
        }
    }

    async fn close(&self) {
        self.map.engine().close().await;
        self.pool.close();
    }
}

impl PostgresStore {
    async fn server_state(&self) -> Result<ServerState, StoreError> {
        let rows = self.pool.get().await?.query(STATE, &[]).await?;
        let missing = || StoreError::corrupt("row", "the state of the server is missing");
        let row = rows.first().ok_or_else(missing)?;
        let column = |number: usize| row.try_get::<_, String>(number).unwrap_or_default();
        Ok(ServerState {
            version: column(0),
            fsync: column(1),
            synchronous_commit: column(2),
            is_standby: column(3) == "true",
            schema: column(4),
        })
    }
}

fn unreachable(why: String) -> StoreHealth {
    StoreHealth {
        reachable: false,
        backend: "postgres",
        durability: DurabilityClass::Unknown,
        latency: Duration::ZERO,
        details: vec![("error", why)],
        warnings: vec!["Postgres is unavailable: sessions cannot be used.".to_owned()],
    }
}

fn evaluate(state: &ServerState) -> StoreHealth {
    let mut warnings = Vec::new();
    let durability = match (&*state.fsync, &*state.synchronous_commit) {
        ("off", _) => DurabilityClass::CrashSafe,
        (_, "off") => DurabilityClass::Volatile,
        _ => DurabilityClass::PowerSafe,
    };
    if state.fsync == "off" {
        let text = "Postgres does not synchronise its log (fsync off): a power cut may damage it.";
        warnings.push(text.to_owned());
    }
    if state.synchronous_commit == "off" {
        let text = "Postgres acknowledges what it has not written (synchronous_commit off): a \
                    crash loses the last second.";
        warnings.push(text.to_owned());
    }
    if state.is_standby {
        warnings.push("Postgres is a standby: it takes no writes.".to_owned());
    }
    StoreHealth {
        reachable: !state.is_standby,
        backend: "postgres",
        durability,
        latency: Duration::ZERO,
        details: vec![
            ("version", state.version.clone()),
            ("schema_version", state.schema.clone()),
            ("fsync", state.fsync.clone()),
            ("synchronous_commit", state.synchronous_commit.clone()),
        ],
        warnings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fsync: &str, synchronous: &str, durability: DurabilityClass, warnings: usize) {
        let state = ServerState {
            fsync: fsync.to_owned(),
            synchronous_commit: synchronous.to_owned(),
            ..ServerState::default()
        };
        let health = evaluate(&state);
        assert_eq!((health.durability, health.warnings.len()), (durability, warnings));
        assert!(health.reachable);
    }

    #[test]
    fn postgres_durability_is_reported() {
        check("on", "on", DurabilityClass::PowerSafe, 0);
        check("on", "remote_apply", DurabilityClass::PowerSafe, 0);
        check("on", "off", DurabilityClass::Volatile, 1);
        check("off", "on", DurabilityClass::CrashSafe, 1);
    }

    #[test]
    fn standby_is_not_ready() {
        assert!(!evaluate(&ServerState { is_standby: true, ..ServerState::default() }).reachable);
    }
}
