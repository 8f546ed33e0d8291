//! A measurement of state costs: appends, reads, and idle sessions.
//!
//! ```text
//! cargo run --release -p gateway-store --example measure -- redis://127.0.0.1:6379 \
//!     postgres://user@127.0.0.1/database
//! ```
//!
//! Redis and Postgres are measured if their URLs are given; the data left in them expires within a
//! minute.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a measurement that fails has nothing to tell"
)]

use gateway_core::{
    Message, Role,
    state::{Key, MessageRange, NewSession, SessionTurn, Tenant},
};
use gateway_store::{
    EmbeddedSettings, PostgresSettings, RedisSettings, StoreBackend, StoreLimits, StoreSettings,
    Stores,
};
use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// The duration of the append measurement.
const SPAN: Duration = Duration::from_secs(5);

/// The number of idle sessions.
const IDLE: usize = 20_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = env::temp_dir().join(format!("gateway-measure-{}", std::process::id()));
        measure("memory", StoreBackend::Memory).await;
        let file = EmbeddedSettings::new(directory.join("state.redb"));
        measure("embedded", StoreBackend::Embedded(file)).await;
        for url in env::args().skip(1) {
            if url.starts_with("postgres") {
                let postgres = PostgresSettings::new(url);
                measure("postgres", StoreBackend::Postgres(postgres, None)).await;
            } else {
                measure("redis", StoreBackend::Redis(RedisSettings::new(url))).await;
            }
        }
        fs::remove_dir_all(directory).ok();
    });
}

async fn measure(name: &str, backend: StoreBackend) {
    let limits = StoreLimits {
        session_messages: u64::MAX,
        session_bytes: u64::MAX,
        memory_bytes: u64::MAX,
        ..StoreLimits::default()
    };
    let stores = Arc::new(gateway_store::open(StoreSettings { backend, limits }).await.unwrap());
    for clients in [1, 64] {
        let mut took = appends(&stores, clients).await;
        took.sort_unstable();
        let per_second = took.len() as u64 / SPAN.as_secs();
        let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
        let (half, most) = (at(50), at(99));
        tell(&format!(
            "{name}: {clients} clients: {per_second} appends/s, p50 {half:?}, p99 {most:?}"
        ));
    }
    for messages in [2, 100] {
        let each = reads(&stores, messages).await;
        tell(&format!("{name}: a session of {messages} messages of 1 KiB is read in {each:?}"));
    }
    let bytes = idle(&stores).await;
    tell(&format!(
        "{name}: {IDLE} idle sessions of two messages: {bytes} bytes each, of this process"
    ));
}

fn tell(line: &str) {
    io::stdout().write_all([line, "\n"].concat().as_bytes()).unwrap();
}

fn key(id: &str) -> Key {
    Tenant::new("measure").unwrap().key(id)
}

fn turn(id: String) -> SessionTurn {
    let messages = vec![Message::text(Role::User, "x".repeat(1 << 10))];
    SessionTurn { id, messages, ..SessionTurn::default() }
}

async fn create(stores: &Stores, id: &str) {
    let new = NewSession { ttl: Duration::from_mins(1), context: BTreeMap::new() };
    stores.sessions.create(&key(id), &new).await.unwrap();
}

/// Each client appends to sessions of its own; how long each append took.
async fn appends(stores: &Arc<Stores>, clients: usize) -> Vec<Duration> {
    let mut writers = JoinSet::new();
    let end = Instant::now() + SPAN;
    for client in 0..clients {
        let stores = Arc::clone(stores);
        writers.spawn(async move {
            let mut took = Vec::new();
            for n in 0_usize.. {
                let id = format!("{clients}-{client}-{}", n / 500);
                if n.is_multiple_of(500) {
                    create(&stores, &id).await;
                }
                let began = Instant::now();
                if began > end {
                    break;
                }
                stores.sessions.append(&key(&id), &turn(n.to_string())).await.unwrap();
                took.push(began.elapsed());
            }
            took
        });
    }
    writers.join_all().await.concat()
}

/// Returns the time to read a session.
async fn reads(stores: &Stores, messages: u32) -> Duration {
    const TIMES: u32 = 2_000;
    let id = format!("read-{messages}");
    create(stores, &id).await;
    for n in 0..messages {
        stores.sessions.append(&key(&id), &turn(n.to_string())).await.unwrap();
    }
    let began = Instant::now();
    for _ in 0..TIMES {
        let found = stores.sessions.load(&key(&id), MessageRange::ALL).await.unwrap().unwrap();
        assert_eq!(found.entries.len(), messages as usize);
    }
    began.elapsed() / TIMES
}

/// Returns the memory of an idle session in this process, in bytes.
async fn idle(stores: &Arc<Stores>) -> u64 {
    let before = resident();
    let mut writers = JoinSet::new();
    for part in 0..64 {
        let stores = Arc::clone(stores);
        writers.spawn(async move {
            for n in 0..IDLE / 64 {
                let id = format!("idle-{part}-{n}");
                create(&stores, &id).await;
                let messages = vec![
                    Message::text(Role::User, "What is the capital of France?"),
                    Message::text(Role::Assistant, "The capital of France is Paris."),
                ];
                let turn = SessionTurn { id: "t".to_owned(), messages, ..SessionTurn::default() };
                stores.sessions.append(&key(&id), &turn).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    resident().saturating_sub(before) / IDLE as u64
}

/// The memory that this process has, in bytes.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}
