//! Acknowledged turns survive killed processes, exactly once.
//!
//! Callers record each turn after they have read its 2xx, and repeat unacknowledged ones under the
//! same idempotency key. A turn whose response declares that it was not stored may be there or not:
//! the store died before it confirmed. `GATEWAY_TEST_GATEWAY_KILLS` and `GATEWAY_TEST_REDIS_KILLS`
//! set the number of rounds; the default is a few.

use gateway_tests::{BodyEnd, Gateway, RawConnection, Redis, Reply, Setup, openai, request};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

const WRITERS: usize = 6;

/// The time limit of a writer for one turn.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn rounds(variable: &str, usual: u64) -> u64 {
    gateway_tests::number(variable).unwrap_or(usual)
}

/// Sends a request once; `None` without a complete reply.
async fn once(address: SocketAddr, bytes: &[u8]) -> Option<Reply> {
    let mut raw = RawConnection::try_connect(address).await?;
    raw.send(bytes).await;
    raw.try_reply().await.filter(|reply| reply.ending == BodyEnd::Proper)
}

/// A request under a key, sent until it is done.
async fn until_done(addresses: &[SocketAddr], path: &str, key: &str, body: &Value) -> Reply {
    let headers = [("Idempotency-Key", key), ("x-session-conflict", "wait")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let bytes = request("POST", path, &headers, body.as_bytes());
    let began = Instant::now();
    for address in addresses.iter().cycle() {
        match once(*address, &bytes).await {
            Some(reply) if reply.status() < 300 => return reply,
            Some(reply) => assert!([409, 503].contains(&reply.status()), "{}", reply.text()),
            None => {}
        }
        assert!(began.elapsed() < PATIENCE, "{key} is not done");
        time::sleep(Duration::from_millis(20)).await;
    }
    panic!("there is nobody to ask")
}

async fn session(addresses: &[SocketAddr], key: &str) -> String {
    let created = until_done(addresses, "/v1/sessions", key, &Value::Null).await;
    created.json()["id"].as_str().unwrap().to_owned()
}

/// Appends a turn. Returns whether the response promises that it is kept.
async fn turn(addresses: &[SocketAddr], session: &str, text: &str) -> bool {
    let messages = json!([{ "role": "user", "content": text }]);
    let body = json!({ "model": "fake/echo", "session_id": session, "messages": messages });
    let reply = until_done(addresses, "/v1/chat/completions", text, &body).await;
    !reply.header("x-gateway-not-stored").starts_with("session;")
}

/// The acknowledged turns of a session.
#[derive(Default)]
struct AcknowledgedTurns {
    kept: Vec<String>,
    declared: Vec<String>,
}

impl AcknowledgedTurns {
    fn note(&mut self, text: String, is_kept: bool) {
        let turns = if is_kept { &mut self.kept } else { &mut self.declared };
        turns.push(text);
    }
}

/// The acknowledged turns, by session.
type Ledger = HashMap<String, AcknowledgedTurns>;

/// Writes turns into sessions of its own until stopped.
async fn write(address: SocketAddr, writer: usize, stop: Arc<AtomicBool>) -> Ledger {
    let mut ledger = Ledger::new();
    // A session takes 500 turns.
    for book in 0.. {
        let id = session(&[address], &format!("{writer}-{book}")).await;
        let told = ledger.entry(id.clone()).or_default();
        for n in 0..400 {
            if stop.load(Ordering::Relaxed) {
                return ledger;
            }
            let text = format!("{writer}-{book}-{n}");
            let is_kept = turn(&[address], &id, &text).await;
            told.note(text, is_kept);
        }
    }
    ledger
}

/// Checks that the session has exactly the acknowledged turns, in order, each with its response, in
/// dense versions; turns declared as not stored may be there once.
async fn check(gateway: &Gateway, id: &str, told: &AcknowledgedTurns, in_order: bool) {
    let page = gateway.get(&format!("/v1/sessions/{id}/messages?limit=1000")).await.json();
    let kept = page["data"].as_array().unwrap();
    let text = |message: &Value| message["content"].as_str().unwrap().to_owned();
    let mut asked = Vec::new();
    for (turn, pair) in kept.chunks(2).enumerate() {
        let [question, answer] = pair else { panic!("half a turn: {pair:?}") };
        assert_eq!((&question["role"], &answer["role"]), (&json!("user"), &json!("assistant")));
        assert_eq!(text(question), text(answer), "the answer to this question");
        assert_eq!(question["version"], json!(turn + 1), "versions are dense");
        asked.push(text(question));
    }
    let unconfirmed: HashSet<&String> =
        asked.iter().filter(|t| told.declared.contains(t)).collect();
    let count = asked.iter().filter(|text| told.declared.contains(text)).count();
    assert_eq!(count, unconfirmed.len(), "an unconfirmed turn is there once");
    asked.retain(|text| !told.declared.contains(text));
    let mut told = told.kept.clone();
    if !in_order {
        asked.sort();
        told.sort();
    }
    assert_eq!(asked, told, "each once, and no other");
}

/// Has writers write while `trouble` is made, then looks at what is kept.
///
/// Returns the number of turns that were kept, and of those that were declared not stored.
pub(crate) async fn under(
    gateway: &mut Gateway,
    trouble: impl AsyncFnOnce(&mut Gateway),
) -> (usize, usize) {
    let (address, stop) = (gateway.address(), Arc::new(AtomicBool::new(false)));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(address, writer, Arc::clone(&stop)));
    }
    trouble(gateway).await;
    stop.store(true, Ordering::Relaxed);
    let (mut turns, mut declared) = (0, 0);
    for ledger in writers.join_all().await {
        for (session, told) in ledger {
            turns += told.kept.len();
            declared += told.declared.len();
            check(gateway, &session, &told, true).await;
        }
    }
    (turns, declared)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_gateway_loses_and_duplicates_nothing() {
    let kills = rounds("GATEWAY_TEST_GATEWAY_KILLS", 5);
    let setup = Setup::new().env("LLM_GATEWAY_STORE", "embedded");
    let mut gateway = setup.env("LLM_GATEWAY_LOG_LEVEL", "warn").start().await;
    let turns = under(&mut gateway, async |gateway: &mut Gateway| {
        for round in 0..kills {
            time::sleep(Duration::from_millis(300 + 137 * round % 700)).await;
            gateway.kill();
            gateway.revive().await;
        }
    });
    let (turns, declared) = turns.await;
    assert_eq!(declared, 0, "the store is in the process: it is there or nobody is told");
    assert!(turns > 20, "only {turns} turns were told of: nothing was shown");
    gateway_tests::print_measurement(&format!("{kills} kills, {turns} turns: each there once"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_redis_loses_and_duplicates_nothing() {
    let kills = rounds("GATEWAY_TEST_REDIS_KILLS", 3);
    let mut redis = Redis::synchronising("always").await;
    let setup =
        Setup::new().env("LLM_GATEWAY_STORE", "redis").env("LLM_GATEWAY_REDIS_URL", &redis.url());
    let mut gateway = setup.env("LLM_GATEWAY_LOG_LEVEL", "warn").start().await;
    let turns = under(&mut gateway, async |_: &mut Gateway| {
        for round in 0..kills {
            time::sleep(Duration::from_millis(700 + 137 * round % 700)).await;
            redis.kill();
            time::sleep(Duration::from_millis(100)).await;
            redis.revive().await;
        }
    });
    let (turns, declared) = turns.await;
    // Each writer has one turn under way when Redis dies.
    assert!(declared <= WRITERS * usize::try_from(kills).unwrap(), "{declared} turns not stored");
    assert!(turns > 20, "only {turns} turns were told of: nothing was shown");
    gateway_tests::print_measurement(&format!("{kills} kills, {turns} turns: each there once"));
}

/// `GATEWAY_TEST_TURNS` says how many turns each of sixteen writers makes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_append_to_shared_sessions() {
    let turns = rounds("GATEWAY_TEST_TURNS", 12);
    let redis = Redis::start().await;
    let setup = || {
        Setup::new()
            .env("LLM_GATEWAY_STORE", "redis")
            .env("LLM_GATEWAY_REDIS_URL", &redis.url())
            .env("LLM_GATEWAY_LOG_LEVEL", "warn")
    };
    let gateways = [setup().start().await, setup().start().await];
    let addresses = gateways.each_ref().map(Gateway::address);
    // A session takes 500 turns: four hold those of sixteen writers.
    let mut sessions = Vec::new();
    for n in 0..4 {
        sessions.push(session(&addresses, &format!("session-{n}")).await);
    }
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let (address, id) = (addresses[writer % 2], sessions[writer / 4].clone());
        writers.spawn(async move {
            let mut told = Vec::new();
            for n in 0..turns {
                let text = format!("{writer}-{n}");
                assert!(turn(&[address], &id, &text).await, "{text} was not stored");
                told.push(text);
            }
            (id, told)
        });
    }
    let mut ledger = Ledger::new();
    for (id, told) in writers.join_all().await {
        ledger.entry(id).or_default().kept.extend(told);
    }
    for (id, told) in &ledger {
        for gateway in &gateways {
            check(gateway, id, told, false).await;
        }
    }
    let body = openai::ask("fake/echo", json!({}));
    assert_eq!(gateways[0].chat(body).await.status(), 200);
    gateway_tests::print_measurement(&format!("16 writers, {turns} turns each: each there once"));
}
