//! The removal of rows whose lifetime has ended.

use super::{PostgresStore, pool::TransactionKind, request_log};
use crate::{clock::millis, kv::ledger::MAX_OPEN_DAYS};
use gateway_core::state::StoreError;
use std::{sync::Arc, time::Duration};
use tokio::time;

/// Interval of the removal.
const INTERVAL: Duration = Duration::from_secs(10);

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

const CACHE: &str = "DELETE FROM cache WHERE key IN \
     (SELECT key FROM cache WHERE expires <= now_ms() ORDER BY expires LIMIT 10000)";
const QUOTAS: &str = "DELETE FROM quotas WHERE idle_from_us < now_us() - 60000000";
const REPLICAS: &str = "DELETE FROM replicas WHERE seen < now_ms() - 3600000";
const USAGE: &str = "DELETE FROM usage_daily WHERE day_number < now_ms() / 86400000 - $1";
const OPEN_REQUESTS: &str = "DELETE FROM open_requests WHERE at < now_ms() - $1";
const RUNS: &str = "DELETE FROM ledger_runs WHERE leased_until < now_ms() - $1";
const REQUEST_LOG: &str = "DELETE FROM request_log WHERE (at, writer, row_number) IN \
     (SELECT at, writer, row_number FROM request_log WHERE at < now_ms() - $1 \
     ORDER BY at, writer, row_number LIMIT 10000)";

/// Removes rows until the task is aborted.
pub(super) async fn run(store: Arc<PostgresStore>) {
    let mut ticks = time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // An outage is reported where it matters. Expired rows are not returned meanwhile.
        drop(remove(&store).await);
    }
}

async fn remove(store: &PostgresStore) -> Result<(), StoreError> {
    let connection = store.pool.get().await?;
    for sql in [CACHE, QUOTAS, REPLICAS] {
        connection.execute(sql, &[]).await?;
    }
    let limits = store.limits;
    let open = integer(MAX_OPEN_DAYS * DAY);
    connection.execute(USAGE, &[&integer(limits.ledger_days)]).await?;
    connection.execute(OPEN_REQUESTS, &[&open]).await?;
    connection.execute(RUNS, &[&open]).await?;
    connection.begin(TransactionKind::Visible).await?;
    let ttl = integer(millis(limits.request_log.ttl));
    let removed = connection.execute(REQUEST_LOG, &[&ttl]).await?;
    if removed > 0 {
        connection.execute(request_log::COUNT, &[&-integer(removed)]).await?;
    }
    connection.commit().await
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
