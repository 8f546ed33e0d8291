//! The behavior on damaged and unwritable files.

use crate::backend::{Directory, key, minute, turn};
use gateway_core::{
    NanoDollars,
    state::{BeginResult, BudgetLease, LeaseRequest, MessageRange, StoreError, WriteOutcome},
};
use gateway_store::{
    Durability, DurabilityClass, EmbeddedSettings, StoreBackend, StoreSettings, Stores,
};
use redb::TableDefinition;
use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time};

/// Set in a child process whose files may not grow: the file it is to write to.
const CHILD: &str = "GATEWAY_STORE_FULL_CHILD";

async fn open(path: &Path) -> Result<Stores, StoreError> {
    gateway_store::open(StoreSettings::new(StoreBackend::Embedded(EmbeddedSettings::new(path))))
        .await
}

/// A file with one session of a few turns.
async fn write_session(path: &Path) {
    let stores = open(path).await.unwrap();
    stores.sessions.create(&key("s"), &minute()).await.unwrap();
    for n in 0..20 {
        stores.sessions.append(&key("s"), &turn(&n.to_string(), &"x".repeat(5_000))).await.unwrap();
    }
    stores.close().await;
}

/// Opening the file fails, and the error names the file and says `why`.
async fn check_refused(path: &Path, why: &str) {
    let before = fs::read(path).ok();
    let error = open(path).await.expect_err("it must not open").to_string();
    assert!(error.contains(why) && error.contains(path.to_str().unwrap()), "{error}");
    assert_eq!(fs::read(path).ok(), before, "it is left as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_survive_restart() {
    let directory = Directory::new();
    let path = directory.path().join("deep/er/state.redb");
    write_session(&path).await;
    let stores = open(&path).await.unwrap();
    let found = stores.sessions.load(&key("s"), MessageRange::ALL).await.unwrap().unwrap();
    assert_eq!(found.entries.len(), 20);
    let again = turn("7", "x");
    let outcome = stores.sessions.append(&key("s"), &again).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Duplicate(8));
    assert_eq!(stores.health().await.durability, DurabilityClass::PowerSafe);
}

/// The budget of a day, of which `holder` has spent `spent` and keeps `held`.
async fn left(stores: &Stores, holder: &str, spent: u64, held: u64, need: u64) -> NanoDollars {
    let budget = BudgetLease {
        name: "day".into(),
        limit: NanoDollars(1_000_000),
        spent: NanoDollars(spent),
        acknowledged: NanoDollars(0),
        held: NanoDollars(held),
        need: NanoDollars(need),
        extra: NanoDollars(0),
        keep: Duration::from_hours(24),
    };
    let request = LeaseRequest {
        holder: holder.into(),
        lease: Duration::from_mins(1),
        budgets: vec![budget],
        ..LeaseRequest::default()
    };
    let reply = stores.quotas.exchange(&key("c"), &request).await.unwrap();
    assert_eq!(reply.refused, None);
    reply.budgets[0].left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_spent_by_many_at_once_is_there_after_a_restart() {
    let directory = Directory::new();
    let path = directory.path().join("state.redb");
    for round in 0..3 {
        let stores = Arc::new(open(&path).await.unwrap());
        assert_eq!(left(&stores, "first", 0, 0, 0).await, NanoDollars(1_000_000 - round * 400));
        let mut tasks = JoinSet::new();
        for n in 0..400 {
            let stores = Arc::clone(&stores);
            tasks.spawn(async move {
                left(&stores, &n.to_string(), 0, 0, 1).await;
                left(&stores, &n.to_string(), 1, 0, 0).await;
            });
        }
        tasks.join_all().await;
        Arc::into_inner(stores).unwrap().close().await;
    }
}

/// Money that was set aside when the process died counts as spent: a crash makes no budget larger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_set_aside_at_a_crash_counts_as_spent() {
    let directory = Directory::new();
    let path = directory.path().join("state.redb");
    let stores = open(&path).await.unwrap();
    assert_eq!(left(&stores, "a", 0, 0, 70).await, NanoDollars(999_930));
    assert_eq!(left(&stores, "a", 20, 40, 0).await, NanoDollars(999_940));
    stores.close().await;
    let stores = open(&path).await.unwrap();
    assert_eq!(left(&stores, "b", 0, 0, 0).await, NanoDollars(999_940));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idempotent_request_of_dead_process_is_taken_over() {
    let directory = Directory::new();
    let path = directory.path().join("state.redb");
    let lease = Duration::from_mins(1);
    let begin = async |stores: &Stores, token| {
        stores.idempotency.begin(&key("k"), &[1; 32], token, lease).await.unwrap()
    };
    let stores = open(&path).await.unwrap();
    assert_eq!(begin(&stores, "a").await, BeginResult::New);
    assert_eq!(begin(&stores, "b").await, BeginResult::InProgress);
    stores.close().await;
    let stores = open(&path).await.unwrap();
    assert_eq!(begin(&stores, "b").await, BeginResult::New);
    assert_eq!(begin(&stores, "c").await, BeginResult::InProgress);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locked_file_is_rejected() {
    let directory = Directory::new();
    let path = directory.path().join("state.redb");
    let first = open(&path).await.unwrap();
    let error = open(&path).await.err().unwrap().to_string();
    assert!(error.contains("another process has it open"), "{error}");
    first.sessions.create(&key("s"), &minute()).await.unwrap();
    first.close().await;
    open(&path).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_file_is_rejected() {
    let directory = Directory::new();
    let path = directory.path().join("state.redb");
    fs::write(&path, "a letter to a friend, and not a short one either ".repeat(1_000)).unwrap();
    check_refused(&path, "not a gateway's file").await;
    fs::write(&path, "").unwrap();
    check_refused(&path, "the file is empty").await;
    fs::remove_file(&path).unwrap();
    drop(redb::Database::create(&path).unwrap());
    let error = open(&path).await.err().unwrap().to_string();
    assert!(error.contains("not a gateway's"), "{error}");
    check_refused(directory.path(), "it is not a file").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newer_file_version_is_rejected() {
    let directory = Directory::new();
    let path = directory.path().join("state.redb");
    write_session(&path).await;
    let database = redb::Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let schema: TableDefinition<'_, &str, u32> = TableDefinition::new("gateway_schema");
    transaction.open_table(schema).unwrap().insert("version", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = open(&path).await.err().unwrap().to_string();
    assert!(error.contains("schema 2"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_file_is_rejected_or_intact() {
    let directory = Directory::new();
    let path = directory.path().join("state.redb");
    write_session(&path).await;
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for cut in [whole.len() / 2, 5_000, 100] {
        fs::write(&path, &whole[..cut]).unwrap();
        refused += u32::from(open(&path).await.is_err());
    }
    assert_eq!(refused, 3, "a cut file is refused");
    // Zeroed pages: refused, or not part of what is kept.
    for at in (4_096..whole.len()).step_by(whole.len() / 12) {
        let mut damaged = whole.clone();
        let end = (at + 4_096).min(damaged.len());
        damaged[at..end].fill(0);
        fs::write(&path, &damaged).unwrap();
        let Ok(stores) = open(&path).await else { continue };
        let found = stores.sessions.load(&key("s"), MessageRange::ALL).await.unwrap().unwrap();
        assert_eq!(found.entries.len(), 20, "damage at {at} was not noticed");
        stores.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_allows_reads_and_rejects_writes() {
    if let Some(path) = std::env::var_os(CHILD) {
        return fill(Path::new(&path)).await;
    }
    let directory = Directory::new();
    let path = directory.path().join("state.redb");
    // A file that may not grow, in place of a full disk, which only root could make.
    let script = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    let name = "file_faults::full_disk_allows_reads_and_rejects_writes";
    let child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, &path)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    let stores = open(&path).await.unwrap();
    let found = stores.sessions.load(&key("s"), MessageRange::NONE).await.unwrap().unwrap();
    assert!(found.session.messages >= 5, "{}", found.session.messages);
    let outcome = stores.sessions.append(&key("s"), &turn("after", "x")).await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Done(_)), "{outcome:?}");
}

async fn fill(path: &Path) {
    let stores = open(path).await.unwrap();
    stores.sessions.create(&key("s"), &minute()).await.unwrap();
    let text = "x".repeat(100_000);
    for n in 0..5 {
        stores.sessions.append(&key("s"), &turn(&n.to_string(), &text)).await.unwrap();
    }
    let mut more = Vec::new();
    let error = loop {
        let key = key(&format!("more{}", more.len()));
        let turn = turn("t", &text);
        match stores.sessions.create(&key, &minute()).await {
            Ok(session) => more.push(session),
            Err(error) => break error,
        }
        if let Err(error) = stores.sessions.append(&key, &turn).await {
            break error;
        }
        assert!(more.len() < 1_000, "the file should have no room");
    };
    assert!(matches!(error, StoreError::Full), "{error:?}");
    assert!(!stores.health().await.reachable);
    let found = stores.sessions.load(&key("s"), MessageRange::ALL).await.unwrap().unwrap();
    assert_eq!(found.entries.len(), 5);
    let error = stores.sessions.append(&key("s"), &turn("more", "x")).await.unwrap_err();
    assert!(matches!(error, StoreError::Full), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relaxed_durability_syncs_within_one_second() {
    let directory = Directory::new();
    let path = directory.path().join("state.redb");
    let copy = directory.path().join("copy.redb");
    let lax =
        EmbeddedSettings { durability: Durability::EverySecond, ..EmbeddedSettings::new(&path) };
    let stores =
        gateway_store::open(StoreSettings::new(StoreBackend::Embedded(lax))).await.unwrap();
    assert_eq!(stores.health().await.durability, DurabilityClass::Volatile);
    stores.sessions.create(&key("s"), &minute()).await.unwrap();
    time::sleep(Duration::from_millis(1_300)).await;
    // What a crash would leave behind.
    fs::copy(&path, &copy).unwrap();
    let left = open(&copy).await.unwrap();
    assert!(left.sessions.load(&key("s"), MessageRange::NONE).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_records_are_removed() {
    let directory = Directory::new();
    let path = directory.path().join("state.redb");
    let stores = open(&path).await.unwrap();
    let new = gateway_core::state::NewSession { ttl: Duration::from_millis(200), ..minute() };
    for n in 0..30 {
        let key = key(&n.to_string());
        stores.sessions.create(&key, &new).await.unwrap();
        stores.sessions.append(&key, &turn("t", "x")).await.unwrap();
    }
    time::sleep(Duration::from_millis(1_500)).await;
    stores.close().await;
    let database = redb::Database::open(&path).unwrap();
    let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
    let state: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("state");
    let table = transaction.open_table(state).unwrap();
    assert!(redb::ReadableTableMetadata::is_empty(&table).unwrap());
}
