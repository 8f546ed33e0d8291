//! The request log: every request to a model and every refusal, found by id, filter and export.

use gateway_tests::{
    Gateway, OperatedGateway, Redis, Reply, Script, Setup, Upstream, openai, request,
};
use serde_json::{Value, json};

async fn send(gateway: &Gateway, key: &str, method: &str, path: &str, body: &str) -> Reply {
    let headers = [("x-api-key", key), ("content-type", "application/json")];
    gateway.send(request(method, path, &headers, body.as_bytes())).await
}

/// Sends a chat request, and waits until it is logged: a request ends after its reply.
async fn chat(gateway: &Gateway, key: &str, model: &str, besides: Value) -> Reply {
    post(gateway, key, &openai::ask(model, besides)).await
}

async fn post(gateway: &Gateway, key: &str, body: &str) -> Reply {
    let reply = send(gateway, key, "POST", "/v1/chat/completions", body).await;
    gateway.logged(reply.header("x-request-id")).await;
    reply
}

async fn get(gateway: &Gateway, key: &str, path: &str) -> Reply {
    send(gateway, key, "GET", path, "").await
}

/// The entries that `path` lists, with their outcomes.
async fn outcomes(gateway: &Gateway, key: &str, path: &str) -> Vec<String> {
    let reply = get(gateway, key, path).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    texts(&reply.json(), "outcome")
}

fn texts(list: &Value, member: &str) -> Vec<String> {
    let data = list["data"].as_array().unwrap();
    data.iter().map(|it| it[member].as_str().unwrap_or_default().to_owned()).collect()
}

fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream)
        .set("[models]", "id", "m")
        .set("[models]", "provider", "lab")
        .write("[models]", "price", "{ input = 100000, output = 200000 }")
        .client("ours", "sk-ours")
        .client("theirs", "sk-theirs")
}

#[tokio::test]
async fn answered_request_is_found_by_its_id() {
    let upstream = Upstream::start().await;
    let setup = setup(&upstream).write("resilience", "retry_max_attempts", "2");
    let gateway = setup.set("aliases", "best", "m").start().await;
    upstream.next(Script::json(503, "{}"));
    let reply = chat(&gateway, "sk-ours", "best", json!({ "n": 1 })).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let path = format!("/v1/requests/{}", reply.header("x-request-id"));
    let found = get(&gateway, "sk-ours", &path).await;
    assert_eq!(found.status(), 200, "{}", found.text());
    let entry = found.json();
    for (member, expected) in [
        ("object", json!("request")),
        ("path", json!("/v1/chat/completions")),
        ("client", json!("ours")),
        ("tenant", json!("ours")),
        ("requested_model", json!("best")),
        ("model", json!("m")),
        ("provider", json!("lab")),
        ("rule", json!("catalogue")),
        ("outcome", json!("ok")),
        ("attempts", json!(2)),
        ("prompt_tokens", json!(7)),
        ("completion_tokens", json!(3)),
        ("cost_usd", json!(1.3)),
    ] {
        assert_eq!(entry[member], expected, "{member} of {entry}");
    }
    assert!(entry["prepared_ms"].is_u64() && entry["duration_ms"].is_u64(), "{entry}");
    let foreign = get(&gateway, "sk-theirs", &path).await;
    assert_eq!(foreign.status_and_code(), "404 request_not_found");
    let missing = get(&gateway, "sk-ours", "/v1/requests/no-such-request").await;
    assert_eq!(missing.status_and_code(), "404 request_not_found");
}

#[tokio::test]
async fn failed_attempts_are_logged_with_their_causes() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream)
        .set("[routes]", "model", "group")
        .write("[routes]", "targets", "[\"fake/error-503\", \"m\"]")
        .start()
        .await;
    let reply = chat(&gateway, "sk-ours", "group", json!({ "stream": true })).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let list = get(&gateway, "sk-ours", "/v1/requests?provider=lab").await.json();
    let entry = &list["data"][0];
    assert_eq!(entry["failed_attempts"][0]["provider"], "fake", "{list}");
    assert_eq!(entry["failed_attempts"][0]["skipped"], false, "{list}");
    assert!(entry["failed_attempts"][0]["cause"].as_str().unwrap().contains("over"), "{list}");
    assert_eq!((&entry["stream"], &entry["requested_model"]), (&json!(true), &json!("group")));
}

/// Every kind of refusal, by the code in the reply.
#[tokio::test]
async fn every_refusal_is_logged_with_client_model_and_limit() {
    let upstream = Upstream::start().await;
    let setup = setup(&upstream)
        .second_client("limited", "sk-limited", &[("requests_per_minute", "1")])
        .second_client("poor", "sk-poor", &[("daily_budget_usd", "0.000001")])
        .second_client("narrow", "sk-narrow", &[("models", "[\"other\"]")]);
    let bench = OperatedGateway::start(setup).await;
    let gateway = &bench.gateway;
    let cases = [
        ("sk-unknown", "m", "401 invalid_api_key", Value::Null, Value::Null),
        ("sk-narrow", "m", "403 model_not_allowed", json!("narrow"), Value::Null),
        ("sk-ours", "no-such-model", "404 model_not_found", json!("ours"), Value::Null),
        ("sk-poor", "m", "429 budget_exceeded", json!("poor"), json!("daily_budget_usd")),
        ("sk-limited", "m", "200", json!("limited"), Value::Null),
        (
            "sk-limited",
            "m",
            "429 rate_limit_exceeded",
            json!("limited"),
            json!("requests_per_minute"),
        ),
    ];
    for (key, model, told, client, limit) in &cases {
        let reply = chat(gateway, key, model, json!({ "max_tokens": 5 })).await;
        assert_eq!(reply.status_and_code(), *told);
        let path = format!("/admin/requests/{}", reply.header("x-request-id"));
        let (status, entry) = bench.ask("GET", &path, Value::Null).await;
        assert_eq!(status, 200, "{told}: {entry}");
        let outcome = told.split(' ').nth(1).unwrap_or("ok");
        assert_eq!(entry["outcome"], outcome, "{entry}");
        assert_eq!((&entry["client"], &entry["limit"]), (client, limit), "{entry}");
        if *told != "200" {
            assert_eq!(entry["status"], reply.status(), "{entry}");
        }
        // Without a key nothing of the body is read.
        if !client.is_null() {
            assert_eq!(entry["requested_model"], *model, "{entry}");
        }
    }
    let malformed = post(gateway, "sk-ours", "{").await;
    assert_eq!(malformed.status(), 400);
    assert_eq!(
        outcomes(gateway, "sk-ours", "/v1/requests?outcome=failed").await,
        ["invalid_json", "model_not_found"]
    );
    let refused: Vec<_> =
        gateway.log().into_iter().filter(|line| line["target"] == "gateway::refused").collect();
    let limited = refused.iter().find(|line| line["code"] == "rate_limit_exceeded").unwrap();
    for (member, expected) in [
        ("client", "limited"),
        ("tenant", "limited"),
        ("model", "m"),
        ("limit", "requests_per_minute"),
    ] {
        assert_eq!(limited[member], expected, "{limited}");
    }
    let series = "code=\"rate_limit_exceeded\",limit=\"requests_per_minute\",tenant=\"limited\",\
                  client=\"limited\",model=\"m\"";
    let count = gateway.metric("llm_gateway_refused_requests_total", series).await;
    assert!((count - 1.0).abs() < f64::EPSILON, "{count}");
}

#[tokio::test]
async fn search_filters_and_pages_within_the_tenant() {
    let upstream = Upstream::start().await;
    let bench = OperatedGateway::start(setup(&upstream)).await;
    let gateway = &bench.gateway;
    for model in ["m", "fake/echo", "m", "no-such", "m"] {
        chat(gateway, "sk-ours", model, json!({})).await;
    }
    chat(gateway, "sk-theirs", "m", json!({})).await;
    let all = get(gateway, "sk-ours", "/v1/requests").await.json();
    assert_eq!(texts(&all, "requested_model"), ["m", "no-such", "m", "fake/echo", "m"]);
    assert_eq!((&all["has_more"], &all["next"]), (&json!(false), &Value::Null));
    assert_eq!(outcomes(gateway, "sk-ours", "/v1/requests?model=m").await, ["ok"; 3]);
    assert_eq!(outcomes(gateway, "sk-ours", "/v1/requests?provider=fake").await, ["ok"]);
    assert_eq!(outcomes(gateway, "sk-ours", "/v1/requests?client=theirs").await, [""; 0]);
    assert_eq!(outcomes(gateway, "sk-ours", "/v1/requests?to=2020-01-01").await, [""; 0]);
    assert_eq!(outcomes(gateway, "sk-ours", "/v1/requests?from=2020-01-01").await.len(), 5);
    let (mut before, mut models) = (String::new(), Vec::new());
    loop {
        let page = get(gateway, "sk-ours", &format!("/v1/requests?limit=2&before={before}")).await;
        let page = page.json();
        models.extend(texts(&page, "requested_model"));
        let Some(next) = page["next"].as_str() else { break };
        before = next.to_owned();
    }
    assert_eq!(models, ["m", "no-such", "m", "fake/echo", "m"]);
    for (query, param) in [("before=x", "before"), ("limit=0", "limit"), ("colour=red", "colour")] {
        let reply = get(gateway, "sk-ours", &format!("/v1/requests?{query}")).await;
        assert_eq!((reply.status(), &reply.json()["error"]["param"]), (400, &json!(param)));
    }
    let foreign = get(gateway, "sk-ours", "/v1/requests?tenant=theirs").await;
    assert_eq!(foreign.status(), 400, "a tenant may not choose another");
    let (_, theirs) = bench.ask("GET", "/admin/requests?tenant=theirs", Value::Null).await;
    assert_eq!(texts(&theirs, "client"), ["theirs"]);
    let (_, everything) = bench.ask("GET", "/admin/requests", Value::Null).await;
    assert_eq!(everything["data"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn export_is_complete_as_csv_and_as_json_lines() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    for _ in 0..3 {
        chat(&gateway, "sk-ours", "m", json!({})).await;
    }
    chat(&gateway, "sk-theirs", "m", json!({})).await;
    let lines = get(&gateway, "sk-ours", "/v1/requests/export").await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let entries: Vec<Value> =
        lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.len(), 3);
    assert!(
        entries.iter().all(|it| it["tenant"] == "ours" && it["cost_usd"] == 1.3),
        "{entries:?}"
    );
    let csv = get(&gateway, "sk-ours", "/v1/requests/export?format=csv&model=m").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let csv = csv.text().to_owned();
    let rows: Vec<_> = csv.lines().collect();
    assert_eq!(rows.len(), 4, "{csv}");
    let at = |name: &str| rows[0].split(',').position(|it| it == name).unwrap();
    let (cost, client) = (at("cost_usd"), at("client"));
    for row in &rows[1..] {
        let fields: Vec<_> = row.split(',').collect();
        assert_eq!((fields[cost], fields[client]), ("1.3", "ours"), "{row}");
    }
    let wrong = get(&gateway, "sk-ours", "/v1/requests/export?format=xml").await;
    assert_eq!(wrong.status(), 400);
}

#[tokio::test]
async fn requests_are_logged_across_a_restart_until_their_lifetime_ends() {
    let upstream = Upstream::start().await;
    let mut gateway = setup(&upstream).set("store", "backend", "embedded").start().await;
    let reply = chat(&gateway, "sk-ours", "m", json!({})).await;
    let path = format!("/v1/requests/{}", reply.header("x-request-id"));
    gateway.terminate();
    gateway.stopped().await;
    gateway.revive().await;
    let found = get(&gateway, "sk-ours", &path).await;
    assert_eq!(found.status(), 200, "{}", found.text());
}

#[tokio::test]
async fn refusal_of_one_replica_is_found_on_another() {
    let redis = Redis::start().await;
    let upstream = Upstream::start().await;
    let first = setup(&upstream).sharing(&redis).start().await;
    let second = OperatedGateway::start(setup(&upstream).sharing(&redis)).await;
    let refused = chat(&first, "sk-ours", "no-such-model", json!({})).await;
    let answered = chat(&first, "sk-ours", "m", json!({})).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    for (reply, outcome) in [(refused, "model_not_found"), (answered, "ok")] {
        let path = format!("/admin/requests/{}", reply.header("x-request-id"));
        loop {
            let (status, entry) = second.ask("GET", &path, Value::Null).await;
            if status == 200 {
                assert_eq!(
                    (&entry["outcome"], &entry["client"]),
                    (&json!(outcome), &json!("ours"))
                );
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{outcome}: {entry}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn request_log_that_is_off_keeps_nothing() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).write("request_log", "enabled", "false").start().await;
    chat(&gateway, "sk-ours", "m", json!({})).await;
    assert_eq!(
        get(&gateway, "sk-ours", "/v1/requests").await.status_and_code(),
        "404 request_log_off"
    );
    let metric = "llm_gateway_store_operation_duration_seconds_count";
    let count = gateway.metric(metric, "request_log").await;
    assert!(count.abs() < f64::EPSILON, "{count}");
}
