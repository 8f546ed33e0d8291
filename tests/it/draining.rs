//! A gateway that stops in the middle of work, and several that are replaced one after the other.

use gateway_tests::{Balancer, BodyEnd, Gateway, PATIENCE, RawConnection, Setup, openai, request};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

fn ask(model: &str, stream: bool) -> Vec<u8> {
    let body = openai::ask(model, json!({ "stream": stream }));
    request("POST", "/v1/chat/completions", &[], body.as_bytes())
}

/// Streams for so many tenths of a second, and returns the number of events and the result.
async fn stream(address: SocketAddr, tenths: usize) -> (usize, String) {
    let mut raw = RawConnection::connect(address).await;
    raw.send(ask(&format!("fake/chunks-{tenths}-100ms"), true)).await;
    (tenths, raw.reply().await.event_text())
}

#[tokio::test]
async fn readiness_fails_before_requests_are_refused() {
    let setup = Setup::new().set("server", "drain_delay", "1s");
    let mut gateway = setup.start().await;
    gateway.terminate();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = gateway.get("/health/ready").await;
        if reply.status() == 503 {
            assert_eq!(reply.json()["status"], "draining");
            break;
        }
        assert!(Instant::now() < deadline);
    }
    assert_eq!(gateway.get("/health").await.status(), 200);
    assert_eq!(gateway.ask("fake/echo", Value::Null).await.status(), 200);
    assert!(gateway.stopped().await.success());
}

#[tokio::test]
async fn two_hundred_streams_finish_during_drain() {
    let setup = Setup::new().set("server", "drain_delay", "1s").set("log", "level", "info");
    let mut gateway = setup.set("server", "drain_timeout", "7s").start().await;
    let address = gateway.address();
    let mut streams = JoinSet::new();
    // Half of them end in time, and none is near the edge.
    for number in 0..200 {
        streams
            .spawn(stream(address, if number % 2 == 0 { 25 + number % 20 } else { 300 + number }));
    }
    let deadline = Instant::now() + PATIENCE;
    while gateway.metric("llm_gateway_requests_in_progress", "POST").await < 200.0 {
        assert!(Instant::now() < deadline, "200 streams do not begin");
        time::sleep(Duration::from_millis(5)).await;
    }
    gateway.terminate();
    // New requests are taken for the whole delay.
    let began = Instant::now();
    let mut late = 0;
    while began.elapsed() < Duration::from_millis(800) {
        let reply = gateway.ask("fake/echo", Value::Null).await;
        assert_eq!(reply.status(), 200, "after {:?}", began.elapsed());
        late += 1;
    }
    while let Some(ended) = streams.join_next().await {
        let (tenths, said) = ended.unwrap();
        let expected = if tenths < 300 { "[stop][DONE]" } else { "<server_shutting_down>" };
        assert!(said.ends_with(expected), "{tenths}: {said}");
    }
    assert!(gateway.stopped().await.success());
    let outcomes = gateway.outcomes(200 + late).await;
    assert_eq!(outcomes.len(), 200 + late);
    let told = |outcome: &str| outcomes.iter().filter(|it| it["outcome"] == outcome).count();
    assert_eq!((told("ok"), told("server_shutting_down")), (100 + late, 100));
}

#[tokio::test]
async fn second_signal_forces_shutdown() {
    let setup = Setup::new().set("server", "drain_delay", "60s");
    let mut gateway = setup.set("server", "drain_timeout", "120s").start().await;
    let mut raw = gateway.asking("fake/chunks-600-100ms", json!({ "stream": true })).await;
    let mut stream = raw.begin().await;
    stream.block().await.unwrap();
    gateway.terminate();
    while gateway.get("/health/ready").await.status() != 503 {}
    let began = Instant::now();
    gateway.terminate();
    while stream.block().await.is_some() {}
    assert_eq!(stream.ending(), BodyEnd::Proper);
    assert!(gateway.stopped().await.success());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// Sends requests through the balancer until stopped; counts the failed ones.
async fn load(address: SocketAddr, stop: Arc<AtomicBool>, number: usize) -> (usize, Vec<String>) {
    let (mut asked, mut failed) = (0, Vec::new());
    while !stop.load(Relaxed) {
        let mut raw = RawConnection::connect(address).await;
        raw.send(ask("fake/chunks-5-10ms", (asked + number).is_multiple_of(2))).await;
        match raw.try_reply().await {
            Some(reply) if reply.status() == 200 && reply.ending == BodyEnd::Proper => {}
            Some(reply) => failed.push(format!("{} {:?}", reply.status_and_code(), reply.ending)),
            None => failed.push("no reply".to_owned()),
        }
        asked += 1;
    }
    (asked, failed)
}

#[tokio::test]
async fn rolling_replacement_under_load_fails_no_request() {
    let setup = Setup::new().set("server", "drain_delay", "1s").set("log", "level", "info");
    let mut gateways: Vec<Gateway> = Vec::new();
    for _ in 0..3 {
        gateways.push(setup.clone().start().await);
    }
    let addresses: Vec<_> = gateways.iter().map(Gateway::address).collect();
    let balancer = Balancer::start(&addresses).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for number in 0..8 {
        callers.spawn(load(balancer.address(), Arc::clone(&stop), number));
    }
    let told = AtomicUsize::new(0);
    for gateway in &mut gateways {
        let new = setup.clone().start().await;
        gateway.terminate();
        assert!(gateway.stopped().await.success());
        told.fetch_add(gateway.outcomes(1).await.len(), Relaxed);
        balancer.replace(gateway.address(), new.address());
        let deadline = Instant::now() + PATIENCE;
        while !balancer.is_ready(new.address()) {
            assert!(Instant::now() < deadline, "the new gateway is not seen");
            time::sleep(Duration::from_millis(5)).await;
        }
        *gateway = new;
    }
    stop.store(true, Relaxed);
    let (mut asked, mut failed) = (0, Vec::new());
    while let Some(ended) = callers.join_next().await {
        let (more, worse) = ended.unwrap();
        asked += more;
        failed.extend(worse);
    }
    assert!(failed.is_empty(), "{} of {asked} failed: {failed:?}", failed.len());
    assert!(asked > 100, "{asked}");
    println!("{asked} requests over three replacements, 0 failed");
}
