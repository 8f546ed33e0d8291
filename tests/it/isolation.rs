//! Tenants share the memory and the slots of a gateway: what one does, others do not notice.
//!
//! The tests of load last for some seconds; `GATEWAY_TEST_SECONDS` says for how many.

use gateway_tests::{Gateway, RawConnection, Script, Setup, Upstream, number, openai, request};
use serde_json::json;
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

const MIB: usize = 1 << 20;

/// A gateway with the adversary `a`, who may have two requests at a time, and another tenant `b`.
fn two_tenants(upstream: &Upstream) -> Setup {
    Setup::before(upstream)
        .client("a", "sk-a")
        .set("[clients]", "tenant", "a")
        .write("[clients]", "max_concurrent", "2")
        .write("[clients]", "requests_per_minute", "60")
        .client("b", "sk-b")
        .set("log", "level", "warn")
}

/// A chat request of the client with `key`, padded to `length` bytes.
fn asking(key: &str, length: usize) -> Vec<u8> {
    let bare = openai::ask("lab/m", json!({ "user": "" }));
    let padding = "x".repeat(length.saturating_sub(bare.len()));
    let body = openai::ask("lab/m", json!({ "user": padding }));
    request("POST", "/v1/chat/completions", &[("x-api-key", key)], body.as_bytes())
}

/// The head of a request that announces `length` bytes, and nothing of its body.
fn head(key: &str, length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nx-api-key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// The memory of the process, in mebibytes.
fn resident(gateway: &Gateway) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: f64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kib / 1024.0
}

/// Sends large bodies byte by byte, on as many connections as it can have, until `end`.
async fn drip(gateway: Arc<Gateway>, end: Instant) {
    while Instant::now() < end {
        let mut raw = gateway.connect().await;
        raw.send(head("sk-a", 10 * MIB)).await;
        // 40 KiB/s over 36 connections.
        while Instant::now() < end && raw.gone().is_none() {
            raw.send(vec![b' '; 1138]).await;
            let _ = time::timeout(Duration::from_secs(1), raw.try_head()).await;
        }
    }
}

/// Requests of `b` until `end`: how many succeeded, how many failed, and the time of each.
async fn ordinary(gateway: &Gateway, end: Instant) -> (usize, Vec<String>, Vec<Duration>) {
    let (mut raw, mut succeeded) = (gateway.connect().await, 0);
    let (mut failed, mut took) = (Vec::new(), Vec::new());
    while Instant::now() < end {
        // Now and then a larger one, which needs memory of its own.
        let length = if took.len() % 10 == 9 { MIB } else { 500 };
        let began = Instant::now();
        raw.send(asking("sk-b", length)).await;
        match raw.reply().await.status_and_code().as_str() {
            "200" => succeeded += 1,
            told => failed.push(told.to_owned()),
        }
        took.push(began.elapsed());
        for path in ["/health/ready", "/v1/models"] {
            let began = Instant::now();
            raw.send(request("GET", path, &[("x-api-key", "sk-b")], b"")).await;
            assert_eq!(raw.reply().await.status(), 200, "{path}");
            assert!(began.elapsed() < Duration::from_secs(1), "{path}: {:?}", began.elapsed());
        }
        time::sleep(Duration::from_millis(10)).await;
    }
    took.sort_unstable();
    (succeeded, failed, took)
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() * 99 / 100).copied().unwrap_or_default()
}

/// Asks for large answers and does not read them, until `end`.
async fn leave_unread(gateway: Arc<Gateway>, end: Instant) {
    while Instant::now() < end {
        let mut raw = gateway.connect().await;
        let body = openai::ask("lab/m", json!({ "user": "large" }));
        let headers = [("x-api-key", "sk-a")];
        raw.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await;
        let left = end.saturating_duration_since(Instant::now());
        let _ = time::timeout(left.min(Duration::from_secs(5)), raw.try_head()).await;
        time::sleep(left.min(Duration::from_secs(2))).await;
    }
}

/// An answer of 30 MiB for those who want it, a small one for others.
fn answer(_: usize, body: &[u8]) -> Script {
    static LARGE: LazyLock<Script> =
        LazyLock::new(|| Script::json(200, openai::whole(&"x".repeat(30 * MIB))));
    let is_large = body.len() < 400 && body.windows(14).any(|it| it == br#""user":"large""#);
    if is_large { LARGE.clone() } else { Script::json(200, openai::whole("Hello.")) }
}

/// The requests of the other tenant during a part of the test.
#[derive(Default)]
struct TenantMeasurements {
    succeeded: usize,
    failed: Vec<String>,
    took: Vec<Duration>,
    /// The most memory that the gateway held, in mebibytes.
    memory: f64,
}

impl TenantMeasurements {
    fn add(&mut self, other: Self) {
        self.succeeded += other.succeeded;
        self.failed.extend(other.failed);
        self.took.extend(other.took);
        self.took.sort_unstable();
        self.memory = self.memory.max(other.memory);
    }
}

/// Drips 36 bodies to `attacked` and leaves 10 large answers unread there, for `length`; meanwhile
/// the other tenant asks `gateway`.
async fn attack(
    attacked: &Arc<Gateway>,
    gateway: &Arc<Gateway>,
    length: Duration,
) -> TenantMeasurements {
    let end = Instant::now() + length;
    let mut adversary = JoinSet::new();
    for _ in 0..36 {
        adversary.spawn(drip(Arc::clone(attacked), end));
    }
    for _ in 0..10 {
        adversary.spawn(leave_unread(Arc::clone(attacked), end));
    }
    let (measured, mut memory) = (Arc::clone(gateway), JoinSet::new());
    memory.spawn(async move {
        let mut most = 0.0_f64;
        while Instant::now() < end {
            most = most.max(resident(&measured));
            time::sleep(Duration::from_millis(50)).await;
        }
        most
    });
    time::sleep(Duration::from_millis(200)).await;
    let (succeeded, failed, took) = ordinary(gateway, end).await;
    let memory = memory.join_next().await.unwrap().unwrap();
    adversary.shutdown().await;
    TenantMeasurements { succeeded, failed, took, memory }
}

/// One gateway is attacked, and the other tenant notices nothing. The generator of the load and the
/// upstream take processor time, too: what that costs is measured by attacking a second gateway, of
/// which this one knows nothing, in turn with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adversary_does_not_fail_requests_of_another_tenant() {
    let upstream = Upstream::start().await;
    upstream.numbered(answer);
    let setup = || {
        let setup = two_tenants(&upstream).write("[clients]", "max_concurrent", "38");
        setup.write("[clients]", "requests_per_minute", "6000")
    };
    let gateway = Arc::new(setup().start().await);
    let stranger = Arc::new(setup().start().await);
    let seconds = number("GATEWAY_TEST_SECONDS").unwrap_or(5);
    // Made before it is needed.
    answer(0, br#""user":"large""#);
    let (_, _, alone) = ordinary(&gateway, Instant::now() + Duration::from_secs(2)).await;
    let idle = resident(&gateway);
    let (mut here, mut elsewhere) = (TenantMeasurements::default(), TenantMeasurements::default());
    for _ in 0..seconds.div_ceil(10) {
        let length = Duration::from_secs(seconds.min(10));
        elsewhere.add(attack(&stranger, &gateway, length).await);
        here.add(attack(&gateway, &gateway, length).await);
    }
    let deadline = Instant::now() + Duration::from_secs(40);
    let bound = 1.3 * idle + 8.0;
    while resident(&gateway) > bound && Instant::now() < deadline {
        time::sleep(Duration::from_millis(100)).await;
    }
    let after = resident(&gateway);
    let [alone, apart, slowest] = [&alone, &elsewhere.took, &here.took].map(|took| p99(took));
    let TenantMeasurements { succeeded, failed, memory, .. } = here;
    gateway_tests::print_measurement(&format!(
        "{succeeded} succeeded, failed {failed:?}; 99 % in {slowest:?}, in {apart:?} while the \
         other gateway is attacked, in {alone:?} alone; {idle:.0} MiB idle, at most {memory:.0}, \
         {after:.0} after",
    ));
    assert_eq!(failed, Vec::<String>::new());
    assert!(succeeded > 0 && memory < 400.0, "{memory} MiB");
    assert!(after <= bound, "{after} MiB");
    // A short run has too few requests for a percentile.
    assert!(seconds < 60 || slowest <= apart.mul_f64(1.2), "{slowest:?} instead of {apart:?}");
}

/// What is announced costs nothing; only what came is charged.
#[tokio::test]
async fn announced_length_is_not_charged() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).set("admission", "body_memory", "16MiB");
    let gateway = setup.start().await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut raw = gateway.connect().await;
        raw.send(head("", 8 * MIB)).await;
        silent.push(raw);
    }
    assert_eq!(gateway.send(asking("", 4 * MIB)).await.status_and_code(), "200");
}

#[tokio::test]
async fn large_requests_wait_for_memory() {
    let upstream = Upstream::start().await;
    let answer = openai::whole("Hello.");
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
    upstream.always(Script::new().wait(200).bytes(head + &answer));
    let setup = Setup::before(&upstream).set("admission", "body_memory", "16MiB");
    let gateway = Arc::new(setup.set("log", "level", "warn").start().await);
    let mut requests = JoinSet::new();
    for _ in 0..8 {
        let gateway = Arc::clone(&gateway);
        requests.spawn(async move { gateway.send(asking("", 5 * MIB)).await.status_and_code() });
    }
    assert_eq!(requests.join_all().await, ["200"; 8]);
}

#[tokio::test]
async fn unfinished_body_holds_no_slot() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).write("admission", "max_concurrent_requests", "1");
    let gateway = setup.write("admission", "queue", "0").start().await;
    let mut unfinished = gateway.connect().await;
    unfinished.send(head("", 100)).await;
    unfinished.send("{").await;
    let mut large = gateway.connect().await;
    large.send(head("", MIB)).await;
    large.send("{").await;
    gateway.get("/health").await;
    assert_eq!(gateway.ask("lab/m", json!({})).await.status_and_code(), "200");
}

#[tokio::test]
async fn limits_are_checked_before_a_large_body_is_read() {
    let upstream = Upstream::start().await;
    let setup = two_tenants(&upstream).write("[clients]", "requests_per_minute", "2");
    let gateway = setup.start().await;
    // As many bodies are read as requests may run: two of four.
    let mut unfinished = Vec::new();
    for _ in 0..4 {
        let mut raw = gateway.connect().await;
        raw.send(head("sk-a", MIB)).await;
        raw.send("{").await;
        unfinished.push(raw);
    }
    let mut refused = 0;
    for raw in &mut unfinished {
        if let Ok(reply) = time::timeout(Duration::from_secs(1), raw.reply()).await {
            assert_eq!(reply.status_and_code(), "429 too_many_requests_at_once");
            refused += 1;
        }
    }
    assert_eq!(refused, 2);
    drop(unfinished);
    for _ in 0..2 {
        assert_eq!(gateway.send(asking("sk-a", 500)).await.status_and_code(), "200");
    }
    assert_eq!(
        gateway.send(asking("sk-a", 500)).await.status_and_code(),
        "429 rate_limit_exceeded"
    );
    let mut limited = gateway.connect().await;
    limited.send(head("sk-a", MIB)).await;
    let refused = limited.reply().await;
    assert_eq!(refused.status_and_code(), "429 rate_limit_exceeded");
    assert_eq!(refused.header("x-ratelimit-remaining"), "0");
}

/// Unread answers take as much memory as there is for them: the others stay with their
/// upstreams. Once the callers have left, the memory is free again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_responses_take_bounded_memory() {
    const SIZE: usize = 16 * MIB;
    let upstream = Upstream::start().await;
    let setup = two_tenants(&upstream).set("admission", "body_memory", "64MiB");
    let gateway = setup.write("[clients]", "max_concurrent", "100").start().await;
    assert_eq!(gateway.send(asking("sk-b", 500)).await.status_and_code(), "200");
    let idle = resident(&gateway);
    let whole = Script::json(200, openai::whole(&"x".repeat(SIZE)));
    let mut callers: Vec<RawConnection> = Vec::new();
    for _ in 0..20 {
        upstream.next(whole.clone());
        let mut raw = gateway.connect().await;
        raw.send(asking("sk-a", 500)).await;
        callers.push(raw);
    }
    upstream.arrived(21).await;
    let mut most = 0.0_f64;
    for _ in 0..20 {
        time::sleep(Duration::from_millis(100)).await;
        most = most.max(resident(&gateway));
        let began = Instant::now();
        assert_eq!(gateway.send(asking("sk-b", 500)).await.status_and_code(), "200");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    drop(callers);
    let deadline = Instant::now() + Duration::from_secs(40);
    let limit = 1.3 * idle + 8.0;
    while resident(&gateway) > limit && Instant::now() < deadline {
        time::sleep(Duration::from_millis(100)).await;
    }
    let after = resident(&gateway);
    gateway_tests::print_measurement(&format!(
        "{idle:.0} MiB idle, at most {most:.0}, {after:.0} after"
    ));
    // One body may exceed the limit, and each thread works on one.
    assert!(most < idle + 2.0 * 64.0, "{most} MiB");
    assert!(after <= limit, "{after} MiB");
}

/// A body of many small parts takes twenty times its size once it is decoded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decoded_requests_take_bounded_memory() {
    let upstream = Upstream::start().await;
    let answer = openai::whole("Hello.");
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
    upstream.always(Script::new().wait(1_000).bytes(head + &answer));
    let setup = two_tenants(&upstream).write("[clients]", "max_concurrent", "9");
    let setup = setup.set("admission", "body_memory", "64MiB").set("log", "level", "warn");
    let gateway = Arc::new(setup.start().await);
    assert_eq!(gateway.send(asking("sk-b", 500)).await.status_and_code(), "200");
    let idle = resident(&gateway);
    let part = r#"{"type":"text","text":"a"},"#.repeat(60_000);
    let part = part.trim_end_matches(',');
    let body = format!(
        r#"{{"model":"lab/m","max_tokens":9,"messages":[{{"role":"user","content":[{part}]}}]}}"#
    );
    let headers = [("x-api-key", "sk-a"), ("Content-Type", "application/json")];
    let bytes: Arc<[u8]> = request("POST", "/v1/messages", &headers, body.as_bytes()).into();
    let mut adversary = JoinSet::new();
    for _ in 0..6 {
        let (gateway, bytes) = (Arc::clone(&gateway), Arc::clone(&bytes));
        adversary.spawn(async move {
            for _ in 0..2 {
                let told = gateway.send(&*bytes).await.status_and_code();
                assert!(matches!(&*told, "200" | "503"), "{told}");
            }
        });
    }
    let (mut most, mut answered) = (0.0_f64, 0);
    while !adversary.is_empty() {
        let done = time::timeout(Duration::from_millis(20), adversary.join_next()).await;
        if let Ok(Some(done)) = done {
            done.unwrap();
        }
        most = most.max(resident(&gateway));
        if answered < 20 {
            assert_eq!(gateway.send(asking("sk-b", 500)).await.status_and_code(), "200");
            answered += 1;
        }
    }
    gateway_tests::print_measurement(&format!("{idle:.0} MiB idle, at most {most:.0}"));
    // Six at a time take 400 MiB.
    assert!(most < idle + 160.0, "{most} MiB");
}
