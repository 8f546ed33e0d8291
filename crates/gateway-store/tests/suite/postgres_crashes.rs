//! Acknowledged writes survive crashes of Postgres, exactly once.

use crate::{
    backend::{key, minute, turn},
    postgres_server::PostgresServer,
};
use gateway_core::state::MessageRange;
use gateway_store::{PostgresSettings, StoreBackend, StoreLimits, StoreSettings};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{task::JoinSet, time};

const WRITERS: usize = 8;

/// Turns of each writer.
const TURNS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_crash_of_postgres() {
    let mut server = PostgresServer::start();
    let settings =
        PostgresSettings { timeout: Duration::from_secs(1), ..PostgresSettings::new(server.url()) };
    let limits = StoreLimits { session_messages: 1_000_000, ..StoreLimits::default() };
    let settings = StoreSettings { backend: StoreBackend::Postgres(settings, None), limits };
    let stores = Arc::new(gateway_store::open(settings).await.unwrap());
    stores.sessions.create(&key("s"), &minute()).await.unwrap();
    let acked = Arc::new(Mutex::new(Vec::new()));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (stores, acked) = (Arc::clone(&stores), Arc::clone(&acked));
        writers.spawn(async move {
            for n in 0..TURNS {
                let id = format!("{writer}-{n}");
                // As a caller does: again, until it is acknowledged.
                while stores.sessions.append(&key("s"), &turn(&id, &id)).await.is_err() {
                    time::sleep(Duration::from_millis(20)).await;
                }
                acked.lock().unwrap().push(id);
                time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
    for _ in 0..3 {
        time::sleep(Duration::from_millis(300)).await;
        server.kill();
        time::sleep(Duration::from_millis(100)).await;
        server.restart();
    }
    writers.join_all().await;
    let found = stores.sessions.load(&key("s"), MessageRange::ALL).await.unwrap().unwrap();
    let versions: Vec<_> = found.entries.iter().map(|entry| entry.version).collect();
    assert_eq!(versions, (1..=found.session.version).collect::<Vec<_>>(), "versions are dense");
    let mut kept: HashMap<_, u32> = HashMap::new();
    for entry in found.entries {
        *kept.entry(entry.turn).or_default() += 1;
    }
    let acked = acked.lock().unwrap();
    assert_eq!((acked.len(), kept.len()), (WRITERS * TURNS, WRITERS * TURNS));
    assert!(acked.iter().all(|id| kept.get(id) == Some(&1)));
}
