//! Keys that are created, rotated, revoked, changed and used over two replicas at once, checked
//! against a model: two seconds after a change, both replicas obey it.
//!
//! `GATEWAY_TEST_KEY_OPERATIONS` sets the number of operations; the default is a few hundred.

use gateway_tests::{OperatedGateway, Redis, Setup, openai, request};
use serde_json::{Value, json};
use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

/// The workers, each with keys of its own.
const WORKERS: u64 = 4;

/// The time after which a change counts on every replica.
const SETTLED: Duration = Duration::from_secs(2);

/// What is to become of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ExpectedAccess {
    Allowed,
    NoModels,
    Invalid,
}

/// A key as the model knows it.
struct Key {
    secret: String,
    id: String,
    expected: ExpectedAccess,
    changed: Instant,
}

/// The counts of what was done.
#[derive(Debug, Default)]
struct OperationCounts {
    uses: u64,
    settled_uses: u64,
    changes: u64,
}

struct Worker {
    replicas: Arc<[OperatedGateway; 2]>,
    seed: u64,
    keys: Vec<Key>,
    counts: OperationCounts,
    /// The address from which keys are used that are valid.
    own: u32,
    /// The next address from which another key is used.
    address: Arc<AtomicU32>,
}

impl Worker {
    fn random(&mut self, below: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
        usize::try_from(self.seed >> 33).expect("31 bits") % below
    }

    /// The place of a key that is not revoked.
    fn valid(&mut self) -> Option<usize> {
        let valid =
            |(at, key): (usize, &Key)| (key.expected != ExpectedAccess::Invalid).then_some(at);
        let places: Vec<_> = self.keys.iter().enumerate().filter_map(valid).collect();
        if places.is_empty() { None } else { Some(places[self.random(places.len())]) }
    }

    async fn step(&mut self) {
        let operation = self.random(10);
        let replica = self.random(2);
        let replicas = Arc::clone(&self.replicas);
        let (bench, other) = (&replicas[replica], &replicas[1 - replica]);
        match (operation, self.valid()) {
            (0, Some(at)) => self.rotate(at, bench).await,
            (1, Some(at)) => self.revoke(at, bench, other).await,
            (2 | 3, Some(at)) => self.patch(at, bench).await,
            (4, _) | (_, None) => self.create(bench).await,
            (5, _) => {
                let at = self.random(self.keys.len());
                self.use_key(at, bench).await;
            }
            (_, Some(at)) => self.use_key(at, bench).await,
        }
    }

    fn add(&mut self, (secret, id): (String, String), expected: ExpectedAccess) {
        self.keys.push(Key { secret, id, expected, changed: Instant::now() });
        self.counts.changes += 1;
    }

    fn change(&mut self, at: usize, expected: ExpectedAccess) {
        let key = &mut self.keys[at];
        (key.expected, key.changed) = (expected, Instant::now());
        self.counts.changes += 1;
    }

    async fn create(&mut self, bench: &OperatedGateway) {
        let made = bench.key(json!({ "client": format!("c{}", self.keys.len()) })).await;
        self.add(made, ExpectedAccess::Allowed);
    }

    async fn rotate(&mut self, at: usize, bench: &OperatedGateway) {
        let path = format!("/admin/keys/{}/rotate", self.keys[at].id);
        let rotated = bench.send("POST", &path, &Value::Null).await;
        assert_eq!(rotated.status(), 201, "{}", rotated.text());
        // A rotation inherits every restriction.
        let expected = self.keys[at].expected;
        self.change(at, ExpectedAccess::Invalid);
        self.add(OperatedGateway::secret(&rotated), expected);
    }

    /// Revokes a key on one replica, while the other rotates it.
    async fn revoke(&mut self, at: usize, bench: &OperatedGateway, other: &OperatedGateway) {
        let path = format!("/admin/keys/{}", self.keys[at].id);
        let rotate = format!("{path}/rotate");
        let (gone, rotated) = tokio::join!(
            bench.send("DELETE", &path, &Value::Null),
            other.send("POST", &rotate, &Value::Null)
        );
        assert!([200, 404].contains(&gone.status()), "{}", gone.text());
        let expected = self.keys[at].expected;
        self.change(at, ExpectedAccess::Invalid);
        if rotated.status() == 201 {
            self.add(OperatedGateway::secret(&rotated), expected);
        }
    }

    async fn patch(&mut self, at: usize, bench: &OperatedGateway) {
        let (models, expected) = match self.random(2) {
            0 => (json!([]), ExpectedAccess::NoModels),
            _ => (Value::Null, ExpectedAccess::Allowed),
        };
        let path = format!("/admin/keys/{}", self.keys[at].id);
        let patched = bench.send("PATCH", &path, &json!({ "models": models })).await;
        assert_eq!(patched.status(), 200, "{}", patched.text());
        self.change(at, expected);
    }

    async fn use_key(&mut self, at: usize, bench: &OperatedGateway) {
        let key = &self.keys[at];
        // What changes during the request counts from its beginning.
        let is_settled = key.changed.elapsed() >= SETTLED;
        // Failures block an address, and many of them all addresses that have never succeeded.
        let is_known = is_settled && key.expected != ExpectedAccess::Invalid;
        let address = if is_known { self.own } else { self.address.fetch_add(1, Relaxed) };
        let from = Ipv4Addr::from_bits(address).to_string();
        let headers = [("x-api-key", &*key.secret), ("X-Forwarded-For", &*from)];
        let body = openai::ask("fake/echo", json!({}));
        let asked = request("POST", "/v1/chat/completions", &headers, body.as_bytes());
        let told = bench.gateway.send(asked).await.status_and_code();
        let seen = match &*told {
            "200" => ExpectedAccess::Allowed,
            "403 model_not_allowed" => ExpectedAccess::NoModels,
            "401 invalid_api_key" | "429 too_many_failed_attempts" => ExpectedAccess::Invalid,
            other => panic!("{other}"),
        };
        if is_settled {
            let age = key.changed.elapsed();
            assert_eq!(seen, key.expected, "{age:?} after the key was changed");
            self.counts.settled_uses += 1;
        }
        self.counts.uses += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_changed_over_two_replicas_are_obeyed_by_both() {
    let operations = gateway_tests::number("GATEWAY_TEST_KEY_OPERATIONS").unwrap_or(400);
    let redis = Redis::start().await;
    let replica = || {
        let setup = Setup::new()
            .write("server", "trusted_proxies", "[\"127.0.0.1\"]")
            .set("log", "level", "warn");
        OperatedGateway::start(setup.sharing(&redis))
    };
    let replicas = Arc::new([replica().await, replica().await]);
    let address = Arc::new(AtomicU32::new(0x0b00_0001));
    let mut workers = JoinSet::new();
    for seed in 0..WORKERS {
        let (replicas, address) = (Arc::clone(&replicas), Arc::clone(&address));
        let (keys, counts) = (Vec::new(), OperationCounts::default());
        let own = 0x0a00_0001 + u32::try_from(seed).expect("a small number");
        let seed = seed * 7_919 + 1;
        let mut worker = Worker { replicas, seed, keys, counts, own, address };
        workers.spawn(async move {
            for _ in 0..operations / WORKERS {
                worker.step().await;
            }
            // In the end, every valid key and the last of the others are used on both replicas.
            time::sleep(SETTLED).await;
            let replicas = Arc::clone(&worker.replicas);
            let last = worker.keys.len().saturating_sub(60);
            let is_valid = |key: &Key| key.expected != ExpectedAccess::Invalid;
            let used =
                (0..worker.keys.len()).filter(|at| *at >= last || is_valid(&worker.keys[*at]));
            for at in used.collect::<Vec<_>>() {
                for bench in replicas.iter() {
                    worker.use_key(at, bench).await;
                }
            }
            worker.counts
        });
    }
    let mut all = OperationCounts::default();
    for counts in workers.join_all().await {
        all.uses += counts.uses;
        all.settled_uses += counts.settled_uses;
        all.changes += counts.changes;
    }
    gateway_tests::print_measurement(&format!(
        "{operations} operations: {all:?}, 0 stale acceptances"
    ));
    assert!(all.settled_uses > operations / 10, "{all:?}");
}
