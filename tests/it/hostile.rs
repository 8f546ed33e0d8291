//! Hostile load of all kinds at the same time.
//!
//! Lasts for some seconds; `GATEWAY_TEST_SECONDS` says for how many: 1800 for half an hour. To limit the
//! memory of the process as well, let `GATEWAY_SERVER_BIN` name a script that enters a control group
//! and then starts the program.

use gateway_tests::{Gateway, Script, Setup, Upstream, number, openai, request};
use serde_json::json;
use std::{
    future::Future,
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

const MIB: usize = 1 << 20;

/// The memory of the process, in mebibytes.
fn resident(gateway: &Gateway) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<f64>().unwrap() / 1024.0
}

fn chat(besides: serde_json::Value) -> Vec<u8> {
    let body = openai::ask("lab/m", besides);
    request("POST", "/v1/chat/completions", &[], body.as_bytes())
}

/// A large body, sent as fast as it goes, sometimes left in the middle.
async fn large_bodies(gateway: Arc<Gateway>) {
    let bytes = chat(json!({ "user": "x".repeat(8 * MIB) }));
    for round in 0_usize.. {
        let mut raw = gateway.connect().await;
        let length = if round % 3 == 0 { bytes.len() / 2 } else { bytes.len() };
        raw.send(&bytes[..length]).await;
        if length == bytes.len() {
            let _ = time::timeout(Duration::from_secs(15), raw.try_head()).await;
        }
    }
}

/// A large answer of which nothing is read for a while.
async fn unread_answers(gateway: Arc<Gateway>) {
    loop {
        let mut raw = gateway.connect().await;
        raw.send(chat(json!({ "user": "large" }))).await;
        time::sleep(Duration::from_secs(2)).await;
        raw.abort();
    }
}

/// Heads, bodies and streams that are broken or slow.
async fn broken_requests(gateway: Arc<Gateway>) {
    let shapes: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"GET /health HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for round in 0.. {
        let mut raw = gateway.connect().await;
        raw.send(shapes[round % shapes.len()]).await;
        let _ = time::timeout(Duration::from_millis(50), raw.try_head()).await;
    }
}

/// Streams that their callers leave after the first events.
async fn left_streams(gateway: Arc<Gateway>) {
    loop {
        let mut raw = gateway.connect().await;
        raw.send(chat(json!({ "stream": true }))).await;
        if let Ok(Some(_)) = time::timeout(Duration::from_secs(5), raw.try_head()).await {
            raw.abort();
        }
    }
}

/// Sessions and stored responses without end.
async fn hoarding(gateway: Arc<Gateway>) {
    let body = json!({ "model": "fake/echo", "input": "x".repeat(200 << 10) }).to_string();
    let bytes = request("POST", "/v1/responses", &[], body.as_bytes());
    loop {
        let mut raw = gateway.connect().await;
        raw.send(&bytes).await;
        let _ = time::timeout(Duration::from_secs(10), raw.try_head()).await;
    }
}

fn start<F: Future<Output = ()> + Send + 'static>(
    tasks: &mut JoinSet<()>,
    gateway: &Arc<Gateway>,
    number: usize,
    attack: impl Fn(Arc<Gateway>) -> F,
) {
    for _ in 0..number {
        tasks.spawn(attack(Arc::clone(gateway)));
    }
}

/// An answer of 8 MiB to those who want it, a small one to others.
fn answer(_: usize, body: &[u8]) -> Script {
    static LARGE: LazyLock<Script> =
        LazyLock::new(|| Script::json(200, openai::whole(&"y".repeat(8 * MIB))));
    // To search a large body would take the tests longer than the gateway.
    let wants = |text: &[u8]| body.len() < 400 && body.windows(text.len()).any(|it| it == text);
    if wants(br#""user":"large""#) {
        return LARGE.clone();
    }
    if wants(br#""stream":true"#) {
        return Script::events(openai::streamed(&["a"; 20]));
    }
    Script::json(200, openai::whole("Hello."))
}

/// The process is not killed, answers all the time, and its memory does not grow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_load_neither_kills_nor_grows_the_process() {
    let upstream = Upstream::start().await;
    upstream.numbered(answer);
    upstream.forget();
    let setup = Setup::before(&upstream)
        .set("log", "level", "error")
        .set("admission", "body_memory", "96MiB")
        .set("store", "tenant_bytes", "32MiB")
        .timeout("body", "5s")
        .timeout("header", "3s");
    let gateway = Arc::new(setup.start().await);
    let length = Duration::from_secs(number("GATEWAY_TEST_SECONDS").unwrap_or(20));
    // Made before it is needed.
    answer(0, br#""user":"large""#);
    let mut attackers = JoinSet::new();
    start(&mut attackers, &gateway, 6, large_bodies);
    start(&mut attackers, &gateway, 8, unread_answers);
    start(&mut attackers, &gateway, 4, broken_requests);
    start(&mut attackers, &gateway, 4, left_streams);
    start(&mut attackers, &gateway, 2, hoarding);
    let began = Instant::now();
    // The least that is resident in each tenth of the time: peaks are work, not growth.
    let (mut least, mut most) = ([f64::MAX; 10], 0.0_f64);
    let (mut answered, mut slowest) = (0, Duration::ZERO);
    while began.elapsed() < length {
        let asked = Instant::now();
        assert_eq!(gateway.get("/health/ready").await.status(), 200);
        slowest = slowest.max(asked.elapsed());
        answered += 1;
        let memory = resident(&gateway);
        let tenth = (began.elapsed().as_secs_f64() / length.as_secs_f64() * 10.0).min(9.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 9")]
        let place = &mut least[tenth as usize];
        *place = place.min(memory);
        most = most.max(memory);
        time::sleep(Duration::from_millis(50)).await;
    }
    attackers.shutdown().await;
    let growth = least[9] - least[4];
    let per_ten_minutes = growth / (length.as_secs_f64() / 2.0) * 600.0;
    gateway_tests::print_measurement(&format!(
        "{answered} probes, the slowest {slowest:?}; {:.0} MiB at least, {most:.0} at most; \
         {growth:+.1} MiB in the second half, {per_ten_minutes:+.1} in ten minutes",
        least[4]
    ));
    assert!(gateway.ask("lab/m", json!({})).await.status() == 200, "{}", gateway.stderr());
    assert!(most < 512.0, "{most} MiB");
    // A short run cannot show a slope of a MiB in ten minutes; a long one has to.
    let bound = if length > Duration::from_mins(10) { 1.0 } else { f64::INFINITY };
    assert!(per_ten_minutes < bound && growth < 24.0, "{growth} MiB");
}
