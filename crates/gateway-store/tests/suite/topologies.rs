//! Servers as they are run in earnest: Redis as a cluster, behind Sentinel, over TLS, and beside
//! Postgres. The same facts hold.

use crate::{
    backend::{BackendFactory, Bench, Directory, key, minute, turn},
    postgres_server::PostgresServer,
    redis_server::{Server, free_port},
};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use gateway_core::state::MessageRange;
use gateway_store::{
    PostgresSettings, RedisSettings, StoreBackend, StoreLimits, StoreSettings, Stores,
};
use std::{
    collections::HashSet,
    fs,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

/// Maximum number of concurrent checks.
const AT_ONCE: usize = 4;

/// Backends at `settings`, each with keys of its own.
fn apart(settings: RedisSettings) -> BackendFactory {
    let next = AtomicU64::new(0);
    Arc::new(move |limits: StoreLimits| {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let own = RedisSettings { prefix: format!("fact{n}:"), ..settings.clone() };
        Bench::at(StoreSettings { backend: StoreBackend::Redis(own), limits })
    })
}

/// Every fact of the suite holds on these backends.
async fn check_all(on: BackendFactory) {
    let looking = crate::facts().into_iter().map(|(name, fact)| {
        let on = Arc::clone(&on);
        async move { (name, AssertUnwindSafe(fact(on)).catch_unwind().await.is_ok()) }
    });
    let held: Vec<_> = stream::iter(looking).buffer_unordered(AT_ONCE).collect().await;
    let broken: Vec<_> = held.iter().filter(|(_, holds)| !holds).map(|(name, _)| name).collect();
    assert!(held.len() > 30 && broken.is_empty(), "of {} facts: {broken:?}", held.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_facts_hold_on_postgres_with_redis_beside_it() {
    let (postgres, redis) = (PostgresServer::start(), Server::start());
    let (durable, limits) =
        (PostgresSettings::new(postgres.url()), RedisSettings::new(redis.url()));
    let next = AtomicU64::new(0);
    check_all(Arc::new(move |its_limits: StoreLimits| {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let durable = PostgresSettings { schema: format!("fact{n}"), ..durable.clone() };
        let beside = RedisSettings { prefix: format!("fact{n}:"), ..limits.clone() };
        let backend = StoreBackend::Postgres(durable, Some(beside));
        Bench::at(StoreSettings { backend, limits: its_limits })
    }))
    .await;
}

/// Three primaries, each with a third of the slots.
fn cluster() -> (Vec<Server>, String) {
    let servers: Vec<_> = (0..3)
        .map(|_| {
            let bus = free_port().to_string();
            let server = Server::start_with(&[
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus,
                "--cluster-node-timeout",
                "2000",
            ]);
            (server, bus)
        })
        .collect();
    for ((server, _), slots) in servers.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
        assert!(server.ask(&format!("CLUSTER ADDSLOTSRANGE {slots}")).starts_with("+OK"));
    }
    let (first, _) = &servers[0];
    for (server, bus) in &servers[1..] {
        first.ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", server.port()));
    }
    let nodes: Vec<_> = servers.iter().map(|(it, _)| format!("127.0.0.1:{}", it.port())).collect();
    let (servers, _): (Vec<_>, Vec<_>) = servers.into_iter().unzip();
    for server in &servers {
        server.until("CLUSTER INFO", "cluster_state:ok");
        server.until("CLUSTER INFO", "cluster_known_nodes:3");
    }
    let url = format!("redis-cluster://{}?node={}&node={}", nodes[0], nodes[1], nodes[2]);
    (servers, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_suite_passes_on_cluster() {
    let (servers, url) = cluster();
    check_all(apart(RedisSettings::new(url))).await;
    for server in &servers {
        assert_ne!(server.ask("DBSIZE"), ":0\r\n", "each node has a part");
    }
}

/// A primary, its replica, and what watches over them.
struct SentinelTopology {
    primary: Server,
    replica: Server,
    sentinel: Server,
}

impl SentinelTopology {
    fn start() -> Self {
        let primary = Server::start();
        let port = primary.port().to_string();
        let replica = Server::start_with(&["--replicaof", "127.0.0.1", &port]);
        replica.until("INFO replication", "master_link_status:up");
        let directory = Directory::new();
        let file = directory.path().join("sentinel.conf");
        let settings = format!(
            "sentinel monitor main 127.0.0.1 {port} 1\n\
             sentinel down-after-milliseconds main 400\n\
             sentinel failover-timeout main 2000\n"
        );
        fs::write(&file, settings).unwrap();
        let sentinel = Server::start_sentinel(&file, directory);
        sentinel.until("SENTINEL MASTER main", "num-slaves\r\n$1\r\n1");
        Self { primary, replica, sentinel }
    }

    fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:{}?sentinelServiceName=main", self.sentinel.port())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_suite_passes_behind_sentinel_across_failover() {
    let watched = SentinelTopology::start();
    check_all(apart(RedisSettings::new(watched.url()))).await;
    watched.sentinel.ask("SENTINEL FAILOVER main");
    watched.replica.until("INFO replication", "role:master");
    watched.primary.until("INFO replication", "role:slave");
    watched.primary.ask("FLUSHALL");
    watched.replica.ask("FLUSHALL");
    check_all(apart(RedisSettings::new(watched.url()))).await;
}

/// Appends as a caller does: repeats until acknowledged.
async fn write(stores: Arc<Stores>, writer: usize, told: Arc<Mutex<Vec<(Instant, String)>>>) {
    for n in 0..250 {
        let id = format!("{writer}-{n}");
        let began = Instant::now();
        while stores.sessions.append(&key("s"), &turn(&id, &id)).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(15), "nobody takes over");
            time::sleep(Duration::from_millis(20)).await;
        }
        told.lock().unwrap().push((Instant::now(), id));
        time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failover_duplicates_nothing_and_loses_only_last_moment() {
    let mut watched = SentinelTopology::start();
    let backend = StoreBackend::Redis(RedisSettings::new(watched.url()));
    let limits = StoreLimits { session_messages: 5_000, ..StoreLimits::default() };
    let stores = Arc::new(gateway_store::open(StoreSettings { backend, limits }).await.unwrap());
    stores.sessions.create(&key("s"), &minute()).await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        writers.spawn(write(Arc::clone(&stores), writer, Arc::clone(&told)));
    }
    time::sleep(Duration::from_millis(800)).await;
    let died = Instant::now();
    watched.primary.kill();
    writers.join_all().await;
    let found = stores.sessions.load(&key("s"), MessageRange::ALL).await.unwrap().unwrap();
    let kept: HashSet<_> = found.entries.iter().map(|entry| entry.turn.as_str()).collect();
    assert_eq!(kept.len(), found.entries.len(), "nothing is there twice");
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1_000);
    let moment = Duration::from_secs(1);
    let lost = told.iter().filter(|(_, id)| !kept.contains(id.as_str()));
    let lost: Vec<_> = lost.map(|(at, id)| (died.saturating_duration_since(*at), id)).collect();
    assert!(lost.iter().all(|(before, _)| *before < moment), "lost, and how long before: {lost:?}");
    assert!(told.iter().any(|(at, _)| *at > died), "it went on");
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use std::{path::Path, process::Command};

    fn openssl(directory: &Path, words: &str) {
        let mut command = Command::new("openssl");
        let made = command.args(words.split(' ')).current_dir(directory).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// A certificate (`own.pem`, `own.key`), and that of who vouches for it (`ca.pem`).
    fn certificates() -> Directory {
        let directory = Directory::new();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        openssl(
            directory.path(),
            &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ca"),
        );
        openssl(
            directory.path(),
            &format!(
                "req -x509 {key} -keyout own.key -out own.pem -subj /CN=server -CA ca.pem -CAkey \
                 ca.key -addext basicConstraints=critical,CA:FALSE -addext \
                 subjectAltName=IP:127.0.0.1"
            ),
        );
        directory
    }

    /// A server that speaks TLS, and the certificate of who vouches for it.
    fn server() -> (Server, std::path::PathBuf, Directory) {
        let directory = certificates();
        let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let server = Server::start_with_tls(&[
            "--tls-cert-file",
            &at("own.pem"),
            "--tls-key-file",
            &at("own.key"),
            "--tls-ca-cert-file",
            &at("ca.pem"),
            "--tls-auth-clients",
            "no",
        ]);
        let ca = directory.path().join("ca.pem");
        (server, ca, directory)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn conformance_suite_passes_over_tls() {
        let (server, ca, _directory) = server();
        let url = server.url().replace("redis://", "rediss://");
        check_all(apart(RedisSettings { ca: Some(ca), ..RedisSettings::new(url) })).await;
    }

    /// A Postgres that offers TLS, with the certificate of who vouches for it, or not.
    fn postgres(is_trusted: bool) -> (PostgresServer, PostgresSettings, Directory) {
        let directory = certificates();
        let at = |name: &str| directory.path().join(name);
        PostgresServer::give(&at("own.key"));
        let file = |setting: &str, name| format!("{setting} = '{}'", at(name).display());
        let server = PostgresServer::start_with(&[
            "ssl = on",
            &file("ssl_cert_file", "own.pem"),
            &file("ssl_key_file", "own.key"),
        ]);
        let url = server.url().replace("sslmode=disable", "sslmode=verify-full");
        let ca = is_trusted.then(|| at("ca.pem"));
        (server, PostgresSettings { ca, ..PostgresSettings::new(url) }, directory)
    }

    async fn open(settings: PostgresSettings) -> Stores {
        let backend = StoreBackend::Postgres(settings, None);
        gateway_store::open(StoreSettings::new(backend)).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn postgres_is_used_over_tls() {
        let (server, settings, _directory) = postgres(true);
        let stores = open(settings).await;
        stores.sessions.create(&key("s"), &minute()).await.unwrap();
        let encrypted = "SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_ssl \
                         JOIN pg_stat_activity USING (pid) WHERE application_name = 'llm-gateway'";
        assert_eq!(server.ask(encrypted), "t");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn untrusted_postgres_certificate_is_rejected() {
        let (_server, settings, _directory) = postgres(false);
        let url =
            secrecy::ExposeSecret::expose_secret(&settings.url).replace("verify-full", "prefer");
        for settings in [settings, PostgresSettings::new(url)] {
            let stores = open(settings).await;
            assert!(stores.sessions.create(&key("s"), &minute()).await.is_err());
            assert!(!stores.health().await.reachable);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn untrusted_redis_certificate_is_rejected() {
        let (server, _ca, _directory) = server();
        let url = server.url().replace("redis://", "rediss://");
        let backend = StoreBackend::Redis(RedisSettings::new(url));
        let stores = gateway_store::open(StoreSettings::new(backend)).await.unwrap();
        assert!(stores.sessions.create(&key("s"), &minute()).await.is_err());
        assert!(!stores.health().await.reachable);
    }
}
