//! The tables, and the migrations that make them.

use super::errors;
use gateway_core::state::StoreError;
use std::time::Duration;
use tokio::time;
use tokio_postgres::Client;

/// The migrations in their order: one is never changed, only followed by another.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_state.sql")];

/// Timeout of all migrations together, those of another replica included.
const PATIENCE: Duration = Duration::from_mins(1);

/// Takes the lock of the migrations of this schema until the end of the transaction: replicas that
/// start together migrate one after the other, and all but the first find nothing to do.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('llm_gateway schema'), hashtext(current_setting('search_path')))";

/// Brings the tables to the version of this program.
///
/// # Errors
///
/// If they are of a newer version, or the server fails.
pub(super) async fn migrate(client: &Client, schema: &str) -> Result<(), StoreError> {
    let migrating = time::timeout(PATIENCE, migrate_locked(client, schema));
    migrating.await.map_err(|_| errors::timed_out())?
}

async fn migrate_locked(client: &Client, schema: &str) -> Result<(), StoreError> {
    run(client, "BEGIN; SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO 0").await?;
    run(client, LOCK).await?;
    // Without a check first, privileges to create would be needed at every start.
    let found = "SELECT count(*) FROM pg_namespace WHERE nspname = $1";
    let schemas: i64 = read(client, found, &[&schema]).await?;
    if schemas == 0 {
        run(client, &format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    let table = "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = $2";
    let tables: i64 = read(client, table, &[&schema, &"schema_migrations"]).await?;
    if tables == 0 {
        run(
            client,
            "CREATE TABLE schema_migrations (version integer PRIMARY KEY, \
             applied_at timestamptz NOT NULL DEFAULT now())",
        )
        .await?;
    }
    let version = "SELECT coalesce(max(version), 0) FROM schema_migrations";
    let version: i32 = read(client, version, &[]).await?;
    let version = usize::try_from(version).unwrap_or_default();
    if version > MIGRATIONS.len() {
        let why = format!("version {version} is newer than {}, which we read", MIGRATIONS.len());
        return Err(StoreError::corrupt("database schema", why));
    }
    for (number, migration) in (1..).zip(MIGRATIONS).skip(version) {
        run(client, migration).await?;
        run(client, &format!("INSERT INTO schema_migrations (version) VALUES ({number})")).await?;
        tracing::info!(version = number, schema, "database schema migrated");
    }
    run(client, "COMMIT").await
}

/// Reads the value of one row.
async fn read<T: for<'a> tokio_postgres::types::FromSql<'a>>(
    client: &Client,
    sql: &str,
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<T, StoreError> {
    let row = client.query_one(sql, parameters).await.map_err(errors::explain)?;
    row.try_get(0).map_err(errors::unreadable)
}

async fn run(client: &Client, sql: &str) -> Result<(), StoreError> {
    client.batch_execute(sql).await.map_err(errors::explain)
}
