//! Budgets of tenants and clients by period, their alerts, their reset, and what cannot be priced.

use gateway_tests::{
    Gateway, PATIENCE, RawConnection, Reply, Script, Setup, Upstream, openai, port, request,
};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::time::{self, Instant};

const TOKEN: &str = "operators-canary-token-0123456789abcdef";

/// Two clients of one tenant, `a` and `b`, before a model at $1 a token: each answer costs $10, and $19
/// are reserved for it.
fn team(upstream: &Upstream) -> Setup {
    Setup::before(upstream)
        .set("[models]", "id", "m")
        .set("[models]", "provider", "lab")
        .write("[models]", "price", "{ input = 1000000, output = 1000000 }")
        .client("a", "sk-client-a")
        .set("[clients]", "tenant", "team")
        .second_client("b", "sk-client-b", &[("tenant", "\"team\"")])
        .set("[tenants]", "name", "team")
}

async fn ask(gateway: &Gateway, client: &str) -> Reply {
    let bearer = format!("Bearer sk-client-{client}");
    let body = openai::ask("m", json!({ "max_tokens": 1 }));
    let headers = [("Authorization", &*bearer)];
    gateway.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await
}

fn message(reply: &Reply) -> String {
    reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn budget_of_a_tenant_is_shared_by_its_clients() {
    let upstream = Upstream::start().await;
    let setup = team(&upstream).write("[tenants]", "daily_budget_usd", "35");
    let gateway = setup.start().await;
    let first = ask(&gateway, "a").await;
    assert_eq!(first.status_and_code(), "200");
    let left: f64 = first.header("x-gateway-budget-remaining-usd").parse().unwrap();
    assert!((10.0..25.0).contains(&left), "{left}");
    gateway.outcomes(1).await;
    assert_eq!(ask(&gateway, "b").await.status_and_code(), "200");
    gateway.outcomes(2).await;
    for client in ["a", "b"] {
        let refused = ask(&gateway, client).await;
        assert_eq!(refused.status_and_code(), "429 budget_exceeded");
        let message = message(&refused);
        assert!(message.contains("of this tenant is left until 20"), "{message}");
        assert!(message.contains("the request could cost up to $"), "{message}");
    }
}

#[tokio::test]
async fn budget_of_a_client_is_within_that_of_its_tenant() {
    let upstream = Upstream::start().await;
    let setup = team(&upstream).write("[tenants]", "monthly_budget_usd", "1000").write(
        "[clients]",
        "weekly_budget_usd",
        "25",
    );
    let gateway = setup.start().await;
    assert_eq!(ask(&gateway, "a").await.status_and_code(), "200");
    gateway.outcomes(1).await;
    let refused = ask(&gateway, "a").await;
    assert_eq!(refused.status_and_code(), "429 budget_exceeded");
    let text = message(&refused);
    assert!(text.contains("-W") && text.contains("of this API key is left until 20"), "{text}");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!(wait <= 7 * 86_400, "{wait}");
    assert_eq!(ask(&gateway, "b").await.status_and_code(), "200");
    // What a refused request took of its tenant's budget was returned.
    let told = explained(&gateway, "b").await;
    let of_tenant = told.iter().find(|it| it["scope"] == "tenant").unwrap();
    assert_eq!(of_tenant["left"], 980_000_000_000_u64, "{told:?}");
}

/// The limits that a request of `client` meets.
async fn explained(gateway: &Gateway, client: &str) -> Vec<Value> {
    gateway.outcomes(2).await;
    let bearer = format!("Bearer sk-client-{client}");
    let body = openai::ask("m", json!({ "max_tokens": 1 }));
    let headers = [("Authorization", &*bearer)];
    let reply = gateway.send(request("POST", "/v1/explain", &headers, body.as_bytes())).await;
    reply.json()["limits"]["met"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn total_budget_has_no_end() {
    let upstream = Upstream::start().await;
    let gateway = team(&upstream).write("[tenants]", "total_budget_usd", "25").start().await;
    assert_eq!(ask(&gateway, "a").await.status_and_code(), "200");
    gateway.outcomes(1).await;
    let refused = ask(&gateway, "b").await;
    assert_eq!(
        (refused.status_and_code().as_str(), refused.header("retry-after")),
        ("429 budget_exceeded", "")
    );
    let text = message(&refused);
    assert!(text.contains("in all of this tenant") && text.contains("reset it"), "{text}");
}

#[tokio::test]
async fn alert_reaches_the_webhook_the_log_and_the_metrics() {
    let (upstream, hook) = (Upstream::start().await, Upstream::start().await);
    hook.always(Script::json(200, "{}"));
    let setup = team(&upstream)
        .write("[clients]", "total_budget_usd", "40")
        .write("[tenants]", "daily_budget_usd", "1000")
        .write("budgets", "alert_thresholds", "[20, 50, 100]")
        .set("budgets", "alert_webhook", &format!("{}/budgets", hook.url()));
    let gateway = setup.start().await;
    assert!(!gateway.command("config").contains("/budgets"), "the webhook is a secret");
    for number in 1..=2 {
        assert_eq!(ask(&gateway, "a").await.status_and_code(), "200");
        gateway.outcomes(number).await;
        hook.arrived(number).await;
    }
    let sent: Vec<_> = hook.exchanges().iter().map(gateway_tests::Exchange::json).collect();
    let percents: Vec<_> = sent.iter().map(|it| it["percent"].clone()).collect();
    assert_eq!(percents, [20, 50]);
    assert_eq!((&sent[1]["tenant"], &sent[1]["client"]), (&json!("team"), &json!("a")));
    assert_eq!((&sent[1]["budget"], &sent[1]["spent_usd"]), (&json!("total"), &json!(20.0)));
    assert_eq!(sent[1]["limit_usd"], 40.0);
    let metric = gateway.metric("llm_gateway_budget_alerts_total", "percent=\"50\"").await;
    assert!((metric - 1.0).abs() < f64::EPSILON);
    assert!(gateway.stdout().contains("budget threshold passed"));
}

/// A gateway of the team that listens to operators.
async fn with_operators(setup: Setup) -> (Gateway, SocketAddr) {
    let operators: SocketAddr = ([127, 0, 0, 1], port::free()).into();
    let setup = setup
        .set("server", "auth", "on")
        .set("admin", "listen", &operators.to_string())
        .set("admin", "token", TOKEN);
    (setup.start().await, operators)
}

async fn reset(operators: SocketAddr, body: Value) -> Reply {
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", &*bearer), ("Content-Type", "application/json")];
    let mut raw = RawConnection::connect(operators).await;
    let body = body.to_string();
    raw.send(request("POST", "/admin/budgets/reset", &headers, body.as_bytes())).await;
    raw.reply().await
}

#[tokio::test]
async fn operator_resets_a_budget() {
    let upstream = Upstream::start().await;
    let setup = team(&upstream).write("[clients]", "daily_budget_usd", "25").write(
        "[tenants]",
        "total_budget_usd",
        "35",
    );
    let (gateway, operators) = with_operators(setup).await;
    assert_eq!(ask(&gateway, "a").await.status_and_code(), "200");
    gateway.outcomes(1).await;
    assert_eq!(ask(&gateway, "a").await.status_and_code(), "429 budget_exceeded");
    let of_client = json!({ "tenant": "team", "client": "a", "period": "day" });
    let done = reset(operators, of_client).await;
    assert_eq!((done.status(), &done.json()["spent_usd"]), (200, &json!(10.0)), "{}", done.text());
    assert_eq!(ask(&gateway, "a").await.status_and_code(), "200");
    gateway.outcomes(2).await;
    assert_eq!(
        ask(&gateway, "b").await.status_and_code(),
        "429 budget_exceeded",
        "that of the tenant"
    );
    let of_tenant = json!({ "tenant": "team", "period": "total" });
    let done = reset(operators, of_tenant).await.json();
    assert_eq!((&done["budget"], &done["spent_usd"]), (&json!("total"), &json!(20.0)));
    assert_eq!(ask(&gateway, "b").await.status_and_code(), "200");
    for wrong in [json!({}), json!({ "period": "day" }), json!({ "client": "a", "period": "year" })]
    {
        assert_eq!(reset(operators, wrong).await.status(), 422);
    }
    let log = gateway.stdout();
    assert!(log.contains("budgets.reset"), "an audit record");
}

#[tokio::test]
async fn check_and_start_warn_of_unpriced_models() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream)
        .provider("shop", &upstream.url())
        .write("providers.shop", "models", "[\"priced\", \"shop-*\"]")
        .set("[models]", "id", "priced")
        .set("[models]", "provider", "shop")
        .write("[models]", "price", "{ input = 1, output = 1 }")
        .client("a", "sk-client-a")
        .write("[clients]", "daily_budget_usd", "1");
    let gateway = setup.start().await;
    let told = gateway.command("check");
    let refused = "without a price: requests of callers with a budget are refused";
    for part in ["providers.lab: a provider", "providers.shop.models: `shop-*`, a name"] {
        let line = format!("warning: {part} {refused}");
        assert!(told.contains(&line), "{line} in {told}");
        assert!(gateway.stdout().contains(part), "{}", gateway.stdout());
    }
    assert!(!told.contains("`priced`"), "{told}");
}

#[tokio::test]
async fn configured_price_counts_for_a_listed_name() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream)
        .write("providers.lab", "models", "[\"own\"]")
        .set("[models]", "id", "own")
        .set("[models]", "provider", "lab")
        .write("[models]", "price", "{ input = 1000, output = 1000 }");
    let gateway = setup.start().await;
    let reply = gateway.ask("own", json!({})).await;
    assert_eq!(reply.header("x-gateway-cost-usd"), "0.01", "7 and 3 tokens at $0.001");
}

#[tokio::test]
async fn cost_of_an_unpriced_model_is_unknown() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).start().await;
    let reply = gateway.ask("lab/own", json!({})).await;
    assert_eq!(reply.header("x-gateway-cost-usd"), "unknown");
    let deadline = Instant::now() + PATIENCE;
    let row = loop {
        let told = gateway.get("/v1/usage?group_by=model").await.json();
        if let Some(row) = told["data"].as_array().and_then(|rows| rows.first()) {
            break row.clone();
        }
        assert!(Instant::now() < deadline, "no usage");
        time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((&row["cost_usd"], &row["unpriced_requests"]), (&Value::Null, &json!(1)));
}

const CATALOGUE: &str = include_str!("../../crates/gateway-catalogue/data/catalogue.txt");

/// A chat model of the catalogue: its provider, its names, and dollars for a million tokens written.
struct ChatModel {
    provider: &'static str,
    names: Vec<String>,
    output: Option<f64>,
}

fn output_rate(word: &str) -> Option<f64> {
    word.strip_prefix("o=")?.parse().ok()
}

fn chat_models() -> Vec<ChatModel> {
    let mut models: Vec<ChatModel> = Vec::new();
    let mut is_chat = false;
    let mut same_as = std::collections::HashMap::new();
    for line in CATALOGUE.lines().filter(|line| !line.starts_with(['#', '@'])) {
        if let Some(price) = line.strip_prefix('\t') {
            let mut words = price.split(' ');
            let from = words.next().unwrap_or_default();
            // The standard rates stand before those of tiers and long prompts; those of the cheaper
            // hours, which may be now, stand at the end.
            let cheaper = line.split_once(" off@").map(|(_, hours)| hours.split(' '));
            let of_hours = cheaper.and_then(|mut rates| rates.find_map(output_rate));
            let mut rates = words.take_while(|word| word.contains('=') || word.len() <= 3);
            let output = of_hours.or_else(|| rates.find_map(output_rate));
            if let Some(model) = models.last_mut().filter(|_| is_chat && from <= "2026-11-30") {
                model.output = output.or(model.output);
            }
            continue;
        }
        let mut words = line.split(' ');
        let (provider, id) = words.next().unwrap_or_default().split_once('/').unwrap();
        let fields: Vec<_> = words.collect();
        is_chat = !fields.iter().any(|it| it.starts_with("k="));
        if !is_chat {
            continue;
        }
        let snapshots = fields.iter().filter_map(|it| it.strip_prefix("s="));
        let snapshots = snapshots.flat_map(|names| names.split(',')).map(str::to_owned);
        if let Some(other) = fields.iter().find_map(|it| it.strip_prefix('=')) {
            same_as.insert(models.len(), format!("{provider}/{other}"));
        }
        let ours = [id.to_owned(), format!("{id}-latest"), format!("{id}-2027-03-05")];
        models.push(ChatModel {
            provider,
            names: ours.into_iter().chain(snapshots).collect(),
            output: None,
        });
    }
    let output_of = |key: &str| {
        let is_it = |it: &&ChatModel| format!("{}/{}", it.provider, it.names[0]) == key;
        models.iter().find(is_it).and_then(|it| it.output)
    };
    let outputs: Vec<_> = same_as.iter().map(|(at, key)| (*at, output_of(key))).collect();
    for (at, output) in outputs {
        models[at].output = output;
    }
    models
}

/// Asks for all of `models` on one connection, and returns what was let in.
async fn let_in(gateway: &Gateway, models: &[ChatModel]) -> (usize, Vec<String>) {
    let (mut asked, mut admitted) = (0, Vec::new());
    let headers = [("Authorization", "Bearer sk-client-a")];
    for model in models {
        // A model that 100,000 tokens of cost less is asked for more of them.
        let output = model.output.filter(|it| *it > 0.0).unwrap_or(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let tokens = ((0.06 / output * 1e6) as u64).max(100_000);
        for name in &model.names {
            let name = format!("{}/{name}", model.provider);
            let body = openai::ask(&name, json!({ "max_tokens": tokens }));
            let reply = gateway
                .send(request("POST", "/v1/chat/completions", &headers, body.as_bytes()))
                .await;
            asked += 1;
            let told = reply.status_and_code();
            let is_refused = told == "429 budget_exceeded"
                || (model.output.is_none() && told == "429 unpriced_model");
            let is_local = model.provider == "inference";
            let is_free = model.output == Some(0.0) && (is_local || name.contains("free"));
            // A name that no rule ties to a model has no price.
            let is_unknown = told == "429 unpriced_model"
                && name != format!("{}/{}", model.provider, model.names[0]);
            if !(is_refused || is_free || is_unknown) {
                admitted.push(format!("{name}: {told}"));
            }
        }
    }
    (asked, admitted)
}

#[tokio::test]
async fn every_chat_model_of_the_catalogue_meets_a_budget() {
    let upstream = Upstream::start().await;
    let models = chat_models();
    let providers: std::collections::BTreeSet<_> = models.iter().map(|it| it.provider).collect();
    let setup = providers.iter().fold(Setup::new(), |setup, name| {
        let section = format!("providers.{name}");
        setup.provider(name, &upstream.url()).set(&section, "api_key", "sk-upstream")
    });
    let setup = setup.client("a", "sk-client-a").write("[clients]", "daily_budget_usd", "0.05");
    let gateway = setup.set("log", "level", "error").start().await;
    let parts = models.chunks(models.len().div_ceil(8));
    let parts = futures_util::future::join_all(parts.map(|part| let_in(&gateway, part))).await;
    let asked: usize = parts.iter().map(|(asked, _)| asked).sum();
    let admitted: Vec<_> = parts.into_iter().flat_map(|(_, admitted)| admitted).collect();
    assert!(asked > 6_000, "{asked}");
    assert!(admitted.is_empty(), "{} of {asked}:\n{}", admitted.len(), admitted.join("\n"));
}
