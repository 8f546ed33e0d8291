//! A new configuration for a gateway that is at work.

use gateway_tests::{Gateway, PATIENCE, RawConnection, Setup, Upstream, openai, request};
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

const RELOADS: &str = "llm_gateway_config_reloads_total";

/// Reloads, and waits until that has this result for the nth time.
async fn reload(gateway: &Gateway, result: &str, number: usize) {
    gateway.signal("HUP");
    until(gateway, result, number).await;
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
async fn until(gateway: &Gateway, result: &str, number: usize) {
    let deadline = Instant::now() + PATIENCE;
    while gateway.metric(RELOADS, result).await < number as f64 {
        assert!(Instant::now() < deadline, "no reload is {result}: {}", gateway.stdout());
        time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn reloaded_configuration_takes_effect_and_is_reported() {
    let setup = Setup::new();
    let gateway = setup.clone().start().await;
    assert_eq!(gateway.ask("best", Value::Null).await.status_and_code(), "404 model_not_found");
    let new = setup.set("aliases", "best", "fake/echo").set("log", "level", "info");
    let new = new.set("providers.lab", "base_url", "http://127.0.0.1:1/v1");
    new.clone().set("providers.lab", "api_key", "sk-canary").overwrite(&gateway);
    assert!(gateway.command("plan").contains("aliases.\"best\": not set -> \"fake/echo\""));
    reload(&gateway, "applied", 1).await;
    assert_eq!(gateway.ask("best", Value::Null).await.status(), 200);
    assert_eq!(gateway.outcomes(1).await[0]["epoch"], 2);
    let log = gateway.stdout();
    assert!(log.contains("aliases.\\\"best\\\": not set -> \\\"fake/echo\\\""), "{log}");
    assert!(log.contains("providers.lab.api_key: not set -> \\\"[redacted]\\\""), "{log}");
    assert!(!log.contains("canary"));
    // The log is turned down from trace.
    let before = gateway.log().len();
    gateway.get("/v1/models").await;
    assert_eq!(gateway.log().len(), before);
    reload(&gateway, "unchanged", 1).await;
    assert!(gateway.command("plan").contains("no changes"));
}

#[tokio::test]
async fn invalid_reload_is_rejected() {
    let setup = Setup::new().set("aliases", "best", "fake/echo");
    let gateway = setup.clone().start().await;
    let unbuildable = setup.clone().set("routing", "default_provider", "nobody");
    unbuildable.overwrite(&gateway);
    reload(&gateway, "rejected", 1).await;
    for (number, text) in
        ["[server]\nport = \"x\"", "[nope]", "[aliases\n", "\u{1}"].iter().enumerate()
    {
        gateway.write(text);
        reload(&gateway, "rejected", 2 + number).await;
        assert_eq!(gateway.ask("best", Value::Null).await.status(), 200);
    }
    assert!(gateway.command("plan").contains("gateway.toml"), "{}", gateway.command("plan"));
    setup.overwrite(&gateway);
    reload(&gateway, "unchanged", 1).await;
}

#[tokio::test]
async fn changed_configuration_file_is_reloaded() {
    let setup = Setup::new();
    let gateway = setup.clone().start().await;
    setup.set("aliases", "best", "fake/echo").overwrite(&gateway);
    until(&gateway, "applied", 1).await;
    assert_eq!(gateway.ask("best", Value::Null).await.status(), 200);
}

#[tokio::test]
async fn running_request_keeps_its_configuration() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).start().await;
    let script = gateway_tests::Script::streaming().event(&openai::opening());
    let script = script.event(&openai::says("a")).wait(700).event(&openai::says("b"));
    upstream.next(script.event(&openai::stops()).event("[DONE]").end());
    let mut raw = gateway.asking("lab/m", json!({ "stream": true })).await;
    upstream.arrived(1).await;
    let mut stream = raw.begin().await;
    let mut said = stream.block().await.unwrap();
    // The provider is gone from the new configuration.
    Setup::new().overwrite(&gateway);
    reload(&gateway, "applied", 1).await;
    assert_eq!(gateway.ask("lab/m", Value::Null).await.status_and_code(), "404 model_not_found");
    while let Some(block) = stream.block().await {
        said.push_str(&block);
    }
    assert!(said.contains("[DONE]"), "{said}");
}

#[tokio::test]
async fn gateway_can_start_with_last_good_configuration() {
    let setup = Setup::new().env("LLM_GATEWAY_START_FROM_LAST_GOOD", "true");
    let gateway = setup.set("aliases", "best", "fake/echo").start().await;
    gateway.write("[aliases\n");
    let gateway = gateway.restart().await;
    assert_eq!(gateway.ask("best", Value::Null).await.status(), 200);
    assert!(
        gateway.stdout().contains("starting with the last known good one"),
        "{}",
        gateway.stdout()
    );
}

/// Sends requests over persistent connections until stopped; counts the failed ones.
async fn load(
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    (asked, failed): (Arc<AtomicUsize>, Arc<AtomicUsize>),
) {
    let mut raw = RawConnection::connect(address).await;
    let bodies = [json!({}), json!({ "stream": true })].map(|ask| openai::ask("best", ask));
    let mut turn = 0;
    while !stop.load(Relaxed) {
        turn += 1;
        let body = &bodies[turn % 2];
        raw.send(request("POST", "/v1/chat/completions", &[], body.as_bytes())).await;
        let reply = raw.try_reply().await;
        let closes = reply.as_ref().is_none_or(|it| it.header("connection") == "close");
        let well = reply
            .is_some_and(|it| it.status() == 200 && it.ending == gateway_tests::BodyEnd::Proper);
        asked.fetch_add(1, Relaxed);
        failed.fetch_add(usize::from(!well), Relaxed);
        if closes {
            raw = RawConnection::connect(address).await;
        }
    }
}

#[tokio::test]
async fn hundred_reloads_under_load_fail_no_request() {
    let setup = Setup::new().set("aliases", "best", "fake/echo").set("log", "level", "info");
    let gateway = setup.clone().start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let counts: (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        callers.spawn(load(gateway.address(), Arc::clone(&stop), counts.clone()));
    }
    let resident = async || {
        let detailed = gateway.get("/health/detailed").await.json();
        detailed["memory"]["rss_mb"].as_f64().unwrap()
    };
    let (mut applied, mut rejected, mut early) = (0, 0, 0.0);
    for number in 0..100 {
        if number % 4 == 3 {
            gateway.write(["[server]\nport = 0", "[aliases\nbest ="][number / 4 % 2]);
            rejected += 1;
            reload(&gateway, "rejected", rejected).await;
        } else {
            let name = format!("other-{number}");
            let url = format!("http://127.0.0.1:1/{}", number % 3);
            setup
                .clone()
                .set("aliases", &name, "fake/echo")
                .provider("lab", &url)
                .overwrite(&gateway);
            applied += 1;
            reload(&gateway, "applied", applied).await;
        }
        if number == 20 {
            early = resident().await;
        }
    }
    stop.store(true, Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    let late = resident().await;
    let (asked, failed) = (counts.0.load(Relaxed), counts.1.load(Relaxed));
    assert_eq!((failed, asked > 100), (0, true), "{failed} of {asked} failed");
    assert!(late < early * 1.3 + 8.0, "memory grew from {early} to {late} MiB");
    println!("{asked} requests, {applied} reloads, {rejected} rejected, {early} -> {late} MiB");
}

/// A lowered limit applies at once, and rejects for no longer than its own window.
#[tokio::test]
async fn lowered_limit_applies_immediately() {
    let limits = |per_minute: &str, burst: &str| {
        let setup = Setup::new().client("app", "sk-app");
        let setup = setup.write("[clients]", "requests_per_minute", per_minute);
        setup.write("[clients]", "burst", burst)
    };
    let gateway = limits("60", "1000").start().await;
    let ask = async || {
        let body = openai::ask("fake/echo", json!({}));
        let key = [("x-api-key", "sk-app")];
        gateway.send(request("POST", "/v1/chat/completions", &key, body.as_bytes())).await
    };
    for _ in 0..300 {
        assert_eq!(ask().await.status(), 200);
    }
    // Five minutes' worth is taken.
    limits("120", "2").overwrite(&gateway);
    reload(&gateway, "applied", 1).await;
    let refused = ask().await;
    assert_eq!(refused.status_and_code(), "429 rate_limit_exceeded");
    assert_eq!(refused.header("x-ratelimit-limit-requests"), "120");
    assert_eq!(refused.header("retry-after"), "1");
    let deadline = Instant::now() + PATIENCE;
    let reply = loop {
        time::sleep(Duration::from_millis(50)).await;
        let reply = ask().await;
        if reply.status() == 200 {
            break reply;
        }
        assert!(Instant::now() < deadline, "locked out: {}", reply.text());
    };
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), "0");
}
