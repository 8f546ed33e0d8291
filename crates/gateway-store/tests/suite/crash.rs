//! Acknowledged writes survive a killed process, exactly once.

use crate::{
    backend::{Directory, key, minute, turn},
    redis_server::Server,
};
use gateway_core::state::{MessageRange, WriteOutcome};
use gateway_store::{
    EmbeddedSettings, RedisSettings, StoreBackend, StoreLimits, StoreSettings, Stores,
};
use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use tokio::{task::JoinSet, time};

/// Set in a child process: the file it is to write to.
const CHILD: &str = "GATEWAY_STORE_CRASH_CHILD";
const WRITERS: usize = 8;

async fn open(backend: StoreBackend) -> Stores {
    let limits = StoreLimits {
        session_messages: 1_000_000,
        session_bytes: 1 << 30,
        ..StoreLimits::default()
    };
    gateway_store::open(StoreSettings { backend, limits }).await.unwrap()
}

/// Appends until it is killed, and says what was acknowledged, after it was.
async fn append_for_ever(path: &Path) {
    let stores = Arc::new(open(StoreBackend::Embedded(EmbeddedSettings::new(path))).await);
    let round = std::process::id();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let stores = Arc::clone(&stores);
        writers.spawn(async move {
            for n in 0.. {
                let id = format!("{round}-{writer}-{n}");
                let outcome = stores.sessions.append(&key("s"), &turn(&id, &id)).await.unwrap();
                assert!(matches!(outcome, WriteOutcome::Done(_)));
                let mut out = std::io::stdout().lock();
                writeln!(out, "acked {id}").unwrap();
                out.flush().unwrap();
            }
        });
    }
    writers.join_all().await;
}

/// Starts a child that appends to the file, kills it, and returns what it said was acknowledged.
fn killed_child(path: &Path, after: Duration) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::acknowledged_writes_survive_crash_of_file_store", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let reader = thread::spawn(move || {
        let lines = out.lines().map_while(Result::ok);
        lines.filter_map(|line| Some(line.split_once("acked ")?.1.to_owned())).collect::<Vec<_>>()
    });
    thread::park_timeout(after);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut acked = reader.join().unwrap();
    // The last line may have been cut.
    acked.pop();
    acked
}

/// Returns the number of copies of each turn in the session.
async fn stored_versions(stores: &Stores) -> HashMap<String, u32> {
    let found = stores.sessions.load(&key("s"), MessageRange::ALL).await.unwrap().unwrap();
    let versions: Vec<_> = found.entries.iter().map(|entry| entry.version).collect();
    assert_eq!(versions, (1..=found.session.version).collect::<Vec<_>>(), "versions are dense");
    let mut kept = HashMap::new();
    for entry in found.entries {
        assert_eq!(entry.turn, entry.message.plain_text());
        *kept.entry(entry.turn).or_default() += 1;
    }
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_crash_of_file_store() {
    if let Some(path) = std::env::var_os(CHILD) {
        return append_for_ever(Path::new(&path)).await;
    }
    let directory = Directory::new();
    let path = directory.path().join("state.redb");
    let stores = open(StoreBackend::Embedded(EmbeddedSettings::new(&path))).await;
    stores.sessions.create(&key("s"), &minute()).await.unwrap();
    stores.close().await;
    let mut acked = Vec::new();
    for round in 0..6 {
        acked.extend(killed_child(&path, Duration::from_millis(300 + 130 * round)));
        let stores = open(StoreBackend::Embedded(EmbeddedSettings::new(&path))).await;
        let kept = stored_versions(&stores).await;
        let lost: Vec<_> = acked.iter().filter(|id| !kept.contains_key(*id)).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
        assert!(kept.values().all(|count| *count == 1), "round {round}: duplicates");
        stores.close().await;
    }
    assert!(acked.len() > 100, "only {} were acknowledged: nothing was shown", acked.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_crash_of_redis() {
    // With `everysec` Redis acknowledges, while the disk is slow, what it has not written for up to
    // two seconds.
    let mut server = Server::start_with(&["--appendfsync", "always"]);
    let stores = Arc::new(open(StoreBackend::Redis(RedisSettings::new(server.url()))).await);
    stores.sessions.create(&key("s"), &minute()).await.unwrap();
    let acked = Arc::new(Mutex::new(Vec::new()));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (stores, acked) = (Arc::clone(&stores), Arc::clone(&acked));
        writers.spawn(async move {
            for n in 0..300 {
                let id = format!("{writer}-{n}");
                // As a caller does: again, until it is acknowledged.
                while stores.sessions.append(&key("s"), &turn(&id, &id)).await.is_err() {
                    time::sleep(Duration::from_millis(20)).await;
                }
                acked.lock().unwrap().push(id);
                time::sleep(Duration::from_millis(5)).await;
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
    let kept = stored_versions(&stores).await;
    let acked = acked.lock().unwrap();
    assert_eq!((acked.len(), kept.len()), (2_400, 2_400));
    assert!(acked.iter().all(|id| kept.get(id) == Some(&1)));
}
