//! Conversations that fill the windows of their models, and the service that shortens them.

use gateway_tests::{Gateway, Reply, Setup, Upstream, openai, platform::PlatformStub, request};
use serde_json::{Value, json};

struct Bench {
    upstream: Upstream,
    platform: PlatformStub,
    gateway: Gateway,
}

/// A model that reads 1600 tokens: 6400 characters.
fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream).set("[models]", "id", "small").set("[models]", "provider", "lab").write(
        "[models]",
        "context_window",
        "1600",
    )
}

impl Bench {
    async fn start() -> Self {
        let (upstream, platform) = (Upstream::start().await, PlatformStub::start().await);
        let service = platform.context_management.url();
        let gateway = setup(&upstream).env("CMS_URL", &service).start().await;
        Self { upstream, platform, gateway }
    }

    /// Returns the requests to the service, without health checks.
    fn requested_paths(&self) -> Vec<String> {
        let lines = self.platform.context_management.asked();
        lines
            .iter()
            .map(gateway_tests::platform::ServiceCall::line)
            .filter(|it| !it.contains("health"))
            .collect()
    }
}

/// Asks the small model with a conversation of three messages of so many characters.
async fn ask(gateway: &Gateway, length: usize, headers: &[(&str, &str)]) -> Reply {
    let said = |role: &str, letter: &str| json!({ "role": role, "content": letter.repeat(length) });
    let messages = json!([said("user", "a"), said("assistant", "b"), said("user", "c")]);
    let body = json!({ "model": "small", "messages": messages }).to_string();
    gateway.send(request("POST", "/v1/chat/completions", headers, body.as_bytes())).await
}

/// Returns the context window headers: routed, tier and limit; checks that the headroom is
/// consistent.
fn facts(reply: &Reply) -> String {
    let names = ["x-cms-routed", "x-cms-tier", "x-token-limit"];
    let [count, limit, left] = ["x-token-count", "x-token-limit", "x-headroom-pct"]
        .map(|name| reply.header(name).parse::<u64>().unwrap_or_default());
    let percent = limit.saturating_sub(count) * 100;
    assert_eq!(left, percent.checked_div(limit).unwrap_or_default(), "{count} of {limit}");
    names.map(|name| reply.header(name)).join(" ")
}

/// Returns the token count in a reply.
fn count(reply: &Reply) -> u64 {
    reply.header("x-token-count").parse().expect("a number")
}

#[tokio::test]
async fn short_conversation_is_not_sent_to_context_service() {
    let bench = Bench::start().await;
    let reply = ask(&bench.gateway, 10, &[]).await;
    assert_eq!((reply.status(), &*facts(&reply)), (200, "false 1 1600"));
    assert!(bench.requested_paths().is_empty());
}

#[tokio::test]
async fn conversation_over_quarter_window_is_counted_exactly() {
    let bench = Bench::start().await;
    let reply = ask(&bench.gateway, 600, &[]).await;
    assert_eq!((reply.status(), &*facts(&reply)), (200, "true 2 1600"));
    assert_eq!(count(&reply), 450, "as the service counts");
    assert_eq!(bench.requested_paths(), ["POST /v1/context/validate"]);
}

#[tokio::test]
async fn conversation_over_half_window_is_shortened() {
    let bench = Bench::start().await;
    let reply = ask(&bench.gateway, 1100, &[]).await;
    assert_eq!((reply.status(), &*facts(&reply)), (200, "true 1 1600"));
    assert_eq!(bench.requested_paths(), ["POST /v1/context/process"; 2]);
    let sent = bench.upstream.last().json();
    assert_eq!(sent["messages"][0]["content"], "in short: aaaaaaaa");
    assert_eq!(sent["messages"][1]["content"], "in short: bbbbbbbb");
    assert_eq!(sent["messages"][2]["content"], "c".repeat(1100), "the last turn is the user's own");
    let config = |at: usize| {
        bench.platform.context_management.asked()[at].body["optimization_config"].clone()
    };
    assert_eq!(config(1), Value::Null);
    let reply = ask(&bench.gateway, 2000, &[]).await;
    assert_eq!((reply.status(), &*facts(&reply)), (200, "true 2 1600"));
    let last = bench.platform.context_management.asked().len() - 1;
    assert_eq!(config(last), json!({ "chunking": true }));
}

#[tokio::test]
async fn caller_header_controls_shortening() {
    let bench = Bench::start().await;
    let reply = ask(&bench.gateway, 2000, &[("x-cms-mode", "none")]).await;
    assert_eq!((reply.status(), &*facts(&reply)), (200, "false 4 1600"));
    assert!(bench.requested_paths().is_empty());
    let reply = ask(&bench.gateway, 10, &[("x-cms-mode", " Validate ")]).await;
    assert_eq!((reply.status(), &*facts(&reply)), (200, "true 1 1600"));
    assert_eq!(count(&reply), 8);
    assert_eq!(bench.requested_paths(), ["POST /v1/context/validate"]);
    let reply = ask(&bench.gateway, 10, &[("x-cms-mode", "optimize")]).await;
    assert_eq!(facts(&reply), "true 1 1600", "there was nothing to shorten");
}

#[tokio::test]
async fn tool_definitions_count_against_window() {
    let bench = Bench::start().await;
    // A conversation of 312 tokens is below a quarter; what is told of tools is not.
    let bare = count(&ask(&bench.gateway, 400, &[]).await);
    let off = ask(&bench.gateway, 400, &[("x-gateway-tools", "off")]).await;
    assert_eq!((count(&off), &*facts(&off)), (bare, "false 1 1600"));
    let all = ask(&bench.gateway, 400, &[("x-gateway-tools", "echo, calculator, echo")]).await;
    let told = bench.upstream.last().json()["tools"].to_string();
    let told = told.len() as u64 / 4;
    let tools = count(&all) - count(&ask(&bench.gateway, 400, &[("x-cms-mode", "validate")]).await);
    assert!((told / 2..=told).contains(&tools), "{tools} tokens for about {told}");
    assert_eq!(facts(&all), "true 2 1600", "with them it is counted exactly");
}

#[tokio::test]
async fn context_service_requests_do_not_loop() {
    let bench = Bench::start().await;
    let reply = ask(&bench.gateway, 2000, &[("x-cms-origin", "cms")]).await;
    assert_eq!((reply.status(), &*facts(&reply)), (200, "false 4 1600"));
    assert!(bench.platform.context_management.asked().is_empty());
}

#[tokio::test]
async fn unavailable_context_service_affects_only_full_windows() {
    let upstream = Upstream::start().await;
    let nowhere = {
        let platform = PlatformStub::start().await;
        platform.context_management.url()
    };
    let gateway = setup(&upstream).env("CMS_URL", &nowhere).start().await;
    let reply = ask(&gateway, 600, &[]).await;
    assert_eq!((reply.status(), &*facts(&reply)), (200, "false 2 1600"));
    for _ in 0..3 {
        let reply = ask(&gateway, 1100, &[]).await;
        assert_eq!(reply.status_and_code(), "503 cms_unavailable");
        assert_eq!(facts(&reply), "false 3 1600");
        assert_eq!(reply.header("retry-after"), "5");
        assert!(reply.json()["error"]["message"].as_str().is_some_and(|it| it.contains("tier 3")));
    }
    let reply = ask(&gateway, 1100, &[("x-cms-mode", "none")]).await;
    assert_eq!(reply.status(), 200);
}

#[tokio::test]
async fn disabled_context_service_is_never_called() {
    let (upstream, platform) = (Upstream::start().await, PlatformStub::start().await);
    let service = platform.context_management.url();
    let off = setup(&upstream).env("CMS_URL", &service).env("LLM_GATEWAY_CMS_ENABLED", "false");
    for setup in [off, setup(&upstream)] {
        let gateway = setup.start().await;
        let reply = ask(&gateway, 2000, &[]).await;
        assert_eq!((reply.status(), facts(&reply).trim()), (200, ""));
        let reply = ask(&gateway, 2000, &[("x-cms-mode", "plan")]).await;
        assert_eq!((reply.status(), &*facts(&reply)), (200, "false 4 1600"));
    }
    assert!(platform.context_management.asked().is_empty());
}

/// Asks a local model; what it says.
async fn local(gateway: &Gateway, headers: &[(&str, &str)]) -> Reply {
    let body = openai::ask("inference/phi-4", Value::Null);
    gateway.send(request("POST", "/v1/chat/completions", headers, body.as_bytes())).await
}

fn said(reply: &Reply) -> String {
    reply.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn local_models_use_healthy_context_service() {
    let upstream = Upstream::start().await;
    let PlatformStub { context_management, inference, .. } = PlatformStub::start().await;
    let setup = setup(&upstream).provider("inference", &inference.url());
    let gateway = setup.env("CMS_URL", &context_management.url()).start().await;
    assert_eq!(said(&local(&gateway, &[]).await), "Through the context service.");
    let asked = context_management.asked();
    let asked = asked.iter().find(|it| it.line().contains("proxy")).unwrap();
    assert_eq!(asked.head.header("x-cms-origin"), Some("gateway"));
    assert_eq!(asked.body["model"], "phi-4");
    let back = local(&gateway, &[("x-cms-origin", "cms")]).await;
    assert_eq!(said(&back), "Directly.", "it does not go round in circles");
    // What is there no more is found out by asking it.
    drop(context_management);
    assert_eq!(said(&local(&gateway, &[]).await), "Directly.");
}

#[tokio::test]
async fn local_models_bypass_unhealthy_context_service() {
    let (upstream, platform) = (Upstream::start().await, PlatformStub::start().await);
    let setup = setup(&upstream).provider("inference", &platform.inference.url());
    let gateway = setup.start().await;
    assert_eq!(said(&local(&gateway, &[]).await), "Directly.");
}

#[tokio::test]
async fn local_model_window_comes_from_its_server() {
    let (upstream, platform) = (Upstream::start().await, PlatformStub::start().await);
    let gateway = setup(&upstream).provider("inference", &platform.inference.url()).start().await;
    let mut limit = String::new();
    // It is asked in the background, and has been when it answers for the second time.
    for _ in 0..500 {
        let reply = local(&gateway, &[("x-cms-mode", "none")]).await;
        reply.header("x-token-limit").clone_into(&mut limit);
        if limit == "4096" {
            break;
        }
    }
    assert_eq!(limit, "4096");
}
