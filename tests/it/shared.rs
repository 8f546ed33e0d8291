//! Limits that several gateways keep together, in one Redis.
//!
//! How long the larger ones take can be said in seconds, in `GATEWAY_TEST_SECONDS`: a release is
//! tested for a minute, a change for a few seconds.

use gateway_tests::{Gateway, Redis, Setup, openai, request};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

const KEY: &str = "sk-shared";

fn seconds(usual: u64) -> Duration {
    let said = std::env::var_os("GATEWAY_TEST_SECONDS");
    let said = said.and_then(|text| text.to_str()?.parse().ok());
    Duration::from_secs(said.unwrap_or(usual))
}

/// Starts `count` gateways with one client that has these limits.
async fn start(redis: &Redis, count: usize, settings: &[(&str, &str)]) -> Vec<Arc<Gateway>> {
    let mut gateways = Vec::new();
    for _ in 0..count {
        let mut setup = Setup::new().sharing(redis).env("LOG_LEVEL", "warn").client("app", KEY);
        for (name, value) in settings {
            setup = setup.write("[clients]", name, value);
        }
        gateways.push(Arc::new(setup.start().await));
    }
    gateways
}

fn asking(model: &str, besides: Value) -> Vec<u8> {
    let headers = [("x-api-key", KEY)];
    request("POST", "/v1/chat/completions", &headers, openai::ask(model, besides).as_bytes())
}

/// Workers that ask as often as they can until `end`; how many requests were let in.
async fn hammer(gateways: &[Arc<Gateway>], workers: usize, end: Instant) -> u64 {
    let mut tasks = JoinSet::new();
    for worker in 0..workers {
        let gateway = Arc::clone(&gateways[worker % gateways.len()]);
        tasks.spawn(async move {
            let (mut raw, mut granted) = (gateway.connect().await, 0);
            while Instant::now() < end {
                raw.send(asking("fake/echo", json!({}))).await;
                let reply = raw.reply().await;
                granted += u64::from(reply.status() == 200);
                if reply.status() == 429 {
                    time::sleep(Duration::from_millis(5)).await;
                } else {
                    assert_eq!(reply.status(), 200, "{}", reply.text());
                }
            }
            granted
        });
    }
    tasks.join_all().await.into_iter().sum()
}

const PER_SECOND: u64 = 50;
const BURST: u64 = 100;

/// Returns the number of requests that have refilled since `began`.
fn grown_back(began: Instant) -> u64 {
    PER_SECOND * u64::try_from(began.elapsed().as_millis()).unwrap() / 1_000
}

fn fast() -> [(&'static str, &'static str); 2] {
    [("requests_per_minute", "3000"), ("burst", "100")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_replicas_share_rate_limit() {
    let redis = Redis::start().await;
    let gateways = start(&redis, 4, &fast()).await;
    let began = Instant::now();
    let granted = hammer(&gateways, 8, began + seconds(5)).await;
    let ideal = BURST + grown_back(began);
    eprintln!("{granted} of {ideal} in {:?}", began.elapsed());
    assert!(granted <= ideal + 1, "{granted} of {ideal}");
    assert!(granted * 100 >= ideal * 99 - 200, "{granted} of {ideal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_outage_stays_within_admission_bound() {
    let mut redis = Redis::start().await;
    let gateways = start(&redis, 4, &fast()).await;
    // By now each gateway has been counted by the others.
    time::sleep(Duration::from_secs(4)).await;
    let (began, all) = (Instant::now(), seconds(6));
    let mut hammering = JoinSet::new();
    hammering.spawn({
        let gateways = gateways.clone();
        async move { hammer(&gateways, 8, began + all).await }
    });
    let away = (all / 6).min(Duration::from_secs(10));
    time::sleep(all / 3).await;
    redis.kill();
    time::sleep(away).await;
    redis.revive().await;
    let granted: u64 = hammering.join_all().await.into_iter().sum();
    let regular = grown_back(began);
    let most = regular + 3 * BURST;
    eprintln!("{granted} of at most {most} in {:?}, {away:?} without Redis", began.elapsed());
    assert!(granted <= most, "{granted} of {most}");
    assert!(granted * 10 > regular * 8, "{granted} of {regular}: callers were served throughout");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_budget_overspend_is_bounded_by_estimates() {
    let redis = Redis::start().await;
    let budget = [("daily_budget_usd", "1")];
    let mut gateways = Vec::new();
    for _ in 0..4 {
        // fake/echo says what it is told: six words for one token written, at a cent each.
        let setup = Setup::new().sharing(&redis).client("app", KEY);
        let setup = setup.write("[clients]", budget[0].0, budget[0].1);
        let setup = setup
            .set("[models]", "id", "costly")
            .set("[models]", "provider", "fake")
            .set("[models]", "upstream", "echo")
            .write("[models]", "price", "{ input = 0, output = 10000 }");
        gateways.push(Arc::new(setup.start().await));
    }
    let mut tasks = JoinSet::new();
    for worker in 0..64 {
        let gateway = Arc::clone(&gateways[worker % 4]);
        tasks.spawn(async move {
            let (mut raw, mut seen) = (gateway.connect().await, Vec::new());
            for _ in 0..8 {
                raw.send(asking("costly", json!({ "max_tokens": 4 }))).await;
                let reply = raw.reply().await;
                seen.push((reply.status_and_code(), reply.header("x-gateway-cost-usd").to_owned()));
            }
            seen
        });
    }
    let seen: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    let paid = seen.iter().filter(|(told, _)| told == "200");
    let spent: f64 = paid.clone().map(|(_, cost)| cost.parse::<f64>().unwrap()).sum();
    let refused = seen.iter().filter(|(told, _)| told == "429 budget_exceeded").count();
    let most = paid.clone().map(|(_, cost)| cost.parse::<f64>().unwrap()).fold(0.0, f64::max);
    eprintln!(
        "{} paid, {refused} refused, ${spent:.4} of $1, at most ${most:.4} each",
        paid.clone().count()
    );
    assert_eq!(paid.count() + refused, seen.len(), "{seen:?}");
    assert!(refused > 0);
    assert!(spent > 0.9 && spent <= 1.0 + 1e-9, "{spent}: no answer cost more than its estimate");
}

/// The slots of a replica that was killed are free again within thirty seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_of_killed_gateway_are_free_within_thirty_seconds() {
    let redis = Redis::start().await;
    let setup = || {
        let setup = Setup::new().sharing(&redis).client("app", KEY);
        setup.write("[clients]", "max_concurrent", "2")
    };
    let (mut doomed, other) = (setup().start().await, setup().start().await);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut raw = doomed.connect().await;
        raw.send(asking("fake/chunks-100-500ms", json!({ "stream": true }))).await;
        raw.begin().await;
        held.push(raw);
    }
    let refused = "429 too_many_requests_at_once";
    assert_eq!(other.send(asking("fake/echo", json!({}))).await.status_and_code(), refused);
    // Slots of a replica that lives stay taken, beyond the time after which it would count as dead.
    time::sleep(Duration::from_secs(17)).await;
    assert_eq!(other.send(asking("fake/echo", json!({}))).await.status_and_code(), refused);
    doomed.kill();
    let killed = Instant::now();
    assert_eq!(other.send(asking("fake/echo", json!({}))).await.status_and_code(), refused);
    loop {
        let told = other.send(asking("fake/echo", json!({}))).await.status_and_code();
        if told == "200" {
            break;
        }
        assert_eq!(told, refused);
        assert!(killed.elapsed() < Duration::from_secs(30));
        time::sleep(Duration::from_millis(200)).await;
    }
    eprintln!("free after {:?}", killed.elapsed());
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_replica_requests_are_accounted() {
    let redis = Redis::start().await;
    let setup = || Setup::new().sharing(&redis).client("app", KEY);
    let mut doomed = setup().start().await;
    let mut raw = doomed.connect().await;
    raw.send(asking("fake/chunks-100-500ms", json!({ "stream": true }))).await;
    raw.begin().await;
    // It is written down within a tenth of a second.
    let deadline = Instant::now() + Duration::from_secs(5);
    while redis.ask("KEYS gw:u:*:o").await.len() < 10 {
        assert!(Instant::now() < deadline);
        time::sleep(Duration::from_millis(20)).await;
    }
    doomed.kill();
    let name = redis.ask("KEYS gw:u:*:o").await;
    let name = name.lines().find(|line| line.starts_with("gw:")).unwrap().to_owned();
    assert_eq!(redis.ask(&format!("HLEN {name}")).await.trim(), ":1");
    // A gateway that starts later than its lease finds it.
    let id = redis.ask(&format!("HKEYS {name}")).await;
    let id = id.lines().find(|line| line.starts_with("app/")).unwrap().to_owned();
    let row = redis.ask(&format!("HGET {name} {id}")).await;
    let row = row.lines().find(|line| line.starts_with('{')).unwrap();
    let mut row: Value = serde_json::from_str(row).unwrap();
    let at = row["at"].as_u64().unwrap() - 2_460_000;
    row["at"] = json!(at);
    // The rows of a day are a hash, and the lease may have begun on the day before.
    redis.ask(&format!("HDEL {name} {id}")).await;
    let name = format!("gw:u:{{ledger:{}}}:o", at / 86_400_000);
    redis.ask(&format!("HSET {name} {id} '{row}'")).await;
    let next = setup().start().await;
    let question = request("GET", "/v1/usage?group_by=outcome", &[("x-api-key", KEY)], b"");
    let used = loop {
        let used = next.send(&question).await.json();
        if used["data"] != json!([]) {
            break used;
        }
        assert!(Instant::now() < deadline + Duration::from_secs(5));
        time::sleep(Duration::from_millis(20)).await;
    };
    let row = &used["data"][0];
    assert_eq!((&row["outcome"], &row["requests"]), (&json!("lost_in_crash"), &json!(1)), "{used}");
}
