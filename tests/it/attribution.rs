//! The attribution of requests: tags and users in the ledger, the request log and the refusals.

use gateway_tests::{
    DataDirectory, Gateway, OperatedGateway, Redis, Reply, Script, Setup, Upstream, openai, request,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::time;

/// The clients: one without tags, one whose key is tagged.
fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream)
        .set("[models]", "id", "m")
        .set("[models]", "provider", "lab")
        .write("[models]", "price", "{ input = 100000, output = 200000 }")
        .client("plain", "sk-plain")
        .second_client("tagged", "sk-tagged", &[("tags", "[\"team=ads\", \"env=prod\"]")])
        .second_client("narrow", "sk-narrow", &[("requests_per_minute", "1")])
}

async fn post(
    gateway: &Gateway,
    key: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let headers = [&[("x-api-key", key)], headers].concat();
    let reply = gateway.send(request("POST", path, &headers, body.as_bytes())).await;
    gateway.logged(reply.header("x-request-id")).await;
    reply
}

async fn chat(gateway: &Gateway, key: &str, headers: &[(&str, &str)], besides: Value) -> Reply {
    post(gateway, key, "/v1/chat/completions", headers, &openai::ask("m", besides)).await
}

async fn get(gateway: &Gateway, key: &str, path: &str) -> Reply {
    gateway.send(request("GET", path, &[("x-api-key", key)], b"")).await
}

async fn entry(gateway: &Gateway, key: &str, reply: &Reply) -> Value {
    let path = format!("/v1/requests/{}", reply.header("x-request-id"));
    let found = get(gateway, key, &path).await;
    assert_eq!(found.status(), 200, "{}", found.text());
    found.json()
}

/// Sends the requests whose attribution the stores have to keep, and checks what they keep.
async fn check_store(upstream: &Upstream, gateway: Gateway) {
    let headers = [("x-gateway-tags", "team=search, feature=x"), ("x-gateway-user", "u-1")];
    let both = chat(&gateway, "sk-tagged", &headers, json!({ "user": "ignored" })).await;
    assert_eq!(both.status(), 200, "{}", both.text());
    assert_eq!(upstream.last().json()["user"], "ignored", "the body passes unedited");
    let head = upstream.last().head;
    let has_own = head.headers.iter().any(|(name, _)| name.starts_with("x-gateway-"));
    assert!(!has_own, "{:?}", head.headers);
    let found = entry(&gateway, "sk-tagged", &both).await;
    assert_eq!(found["tags"], json!(["env=prod", "feature=x", "team=ads", "team=search"]));
    assert_eq!(found["user"], "u-1");
    let body = json!({ "metadata": { "tags": "team=web" }, "safety_identifier": "u-2" });
    let found = entry(&gateway, "sk-plain", &chat(&gateway, "sk-plain", &[], body).await).await;
    assert_eq!((&found["tags"], &found["user"]), (&json!(["team=web"]), &json!("u-2")));
    let claude = json!({ "max_tokens": 9, "metadata": { "user_id": "u-3" } });
    let body = openai::ask("m", claude);
    let reply = post(&gateway, "sk-plain", "/v1/messages", &[], &body).await;
    let found = entry(&gateway, "sk-plain", &reply).await;
    assert_eq!((&found["tags"], &found["user"]), (&Value::Null, &json!("u-3")));
    chat(&gateway, "sk-plain", &[], json!({})).await;
    for (query, expected) in
        [("tag=team%3Dweb", vec!["u-2"]), ("user=u-3", vec!["u-3"]), ("tag=team%3Dads", vec![])]
    {
        let list = get(&gateway, "sk-plain", &format!("/v1/requests?{query}")).await.json();
        let data = list["data"].as_array().unwrap();
        let users: Vec<_> = data.iter().map(|it| it["user"].as_str().unwrap()).collect();
        assert_eq!(users, expected, "{query}: {list}");
    }
    let export = get(&gateway, "sk-plain", "/v1/requests/export?format=csv&user=u-2").await;
    let lines: Vec<_> = export.text().lines().skip(1).map(str::to_owned).collect();
    assert!(lines.len() == 1 && lines[0].contains(",u-2,team=web,"), "{}", export.text());
    let gateway = gateway.restart().await;
    check_sums(&gateway).await;
}

async fn check_sums(gateway: &Gateway) {
    let sums = async |key: &str, group: &str| {
        let path = format!("/v1/usage?group_by={group}");
        let sums = get(gateway, key, &path).await.json();
        let rows = sums["data"].as_array().unwrap();
        rows.iter()
            .map(|row| {
                let names: Vec<_> =
                    group.split(',').map(|name| row[name].as_str().unwrap()).collect();
                format!("{}: {}", names.join("/"), row["requests"])
            })
            .collect::<Vec<_>>()
    };
    let tags = ["env=prod: 1", "feature=x: 1", "team=ads: 1", "team=search: 1"];
    assert_eq!(sums("sk-tagged", "tag").await, tags);
    assert_eq!(sums("sk-plain", "tag:team,user").await, ["/: 1", "/u-3: 1", "web/u-2: 1"]);
    assert_eq!(sums("sk-plain", "user").await, [": 1", "u-2: 1", "u-3: 1"]);
    assert_eq!(sums("sk-plain", "client").await, ["plain: 3"]);
}

#[tokio::test]
async fn file_store_holds_attribution_across_restarts() {
    let (upstream, data) = (Upstream::start().await, DataDirectory::new());
    let gateway = setup(&upstream).keeping(&data).start().await;
    check_store(&upstream, gateway).await;
}

#[tokio::test]
async fn redis_store_holds_attribution_across_restarts() {
    let (upstream, redis) = (Upstream::start().await, Redis::start().await);
    let gateway = setup(&upstream).sharing(&redis).start().await;
    check_store(&upstream, gateway).await;
}

#[tokio::test]
async fn memory_store_holds_attribution() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).set("store", "backend", "memory").start().await;
    let headers = [("x-gateway-tags", "team=search"), ("x-gateway-user", "u-1")];
    let reply = chat(&gateway, "sk-plain", &headers, json!({})).await;
    let found = entry(&gateway, "sk-plain", &reply).await;
    assert_eq!((&found["tags"], &found["user"]), (&json!(["team=search"]), &json!("u-1")));
    let sums = get(&gateway, "sk-plain", "/v1/usage?group_by=tag,user").await.json();
    assert_eq!(sums["data"][0]["tag"], "team=search", "{sums}");
    assert_eq!(sums["data"][0]["user"], "u-1", "{sums}");
}

#[tokio::test]
async fn attribution_beyond_the_bounds_is_refused() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    let many: Vec<_> = (0..33).map(|n| format!("t{n}")).collect();
    let many = many.join(",");
    let (tag, user) = ("x".repeat(257), "u".repeat(513));
    for (headers, besides, param) in [
        (vec![("x-gateway-tags", &*many)], json!({}), "x-gateway-tags"),
        (vec![("x-gateway-tags", &*tag)], json!({}), "x-gateway-tags"),
        (vec![("x-gateway-user", &*user)], json!({}), "x-gateway-user"),
        (vec![], json!({ "metadata": { "tags": many } }), "metadata.tags"),
        (vec![], json!({ "metadata": { "tags": ["a,b"] } }), "metadata.tags"),
    ] {
        let reply = chat(&gateway, "sk-plain", &headers, besides).await;
        assert_eq!(reply.status(), 400, "{param}: {}", reply.text());
        assert_eq!(reply.json()["error"]["param"], param, "{}", reply.text());
    }
    assert!(upstream.exchanges().is_empty());
    let most: Vec<_> = (0..32).map(|n| format!("t{n}")).collect();
    let reply = chat(&gateway, "sk-plain", &[("x-gateway-tags", &most.join(","))], json!({})).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    // Metadata of other forms belongs to the provider.
    let foreign = json!({ "metadata": { "tags": { "a": 1 }, "user_id": 7 }, "user": null });
    let reply = chat(&gateway, "sk-plain", &[], foreign).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    // So are the bounds of its own members: such a user passes on, and is not booked.
    for besides in [
        json!({ "user": user }),
        json!({ "safety_identifier": "a\nb" }),
        json!({ "metadata": { "user_id": user } }),
    ] {
        let reply = chat(&gateway, "sk-plain", &[], besides.clone()).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let sent = upstream.last().json();
        assert!(besides.as_object().unwrap().iter().all(|(name, value)| sent[name] == *value));
        assert_eq!(entry(&gateway, "sk-plain", &reply).await["user"], Value::Null);
    }
}

#[tokio::test]
async fn tags_of_an_issued_key_are_booked() {
    let upstream = Upstream::start().await;
    let bench = OperatedGateway::start(setup(&upstream)).await;
    let grant = json!({ "client": "issued", "tags": { "team": "web", "cost-centre": "7" } });
    let (key, _) = bench.key(grant).await;
    let reply = chat(&bench.gateway, &key, &[("x-gateway-tags", "feature=x")], json!({})).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let (status, sums) = bench.ask("GET", "/admin/usage?group_by=tag,client", Value::Null).await;
    assert_eq!(status, 200, "{sums}");
    let rows = sums["data"].as_array().unwrap();
    let tags: Vec<_> = rows.iter().map(|row| row["tag"].as_str().unwrap()).collect();
    assert_eq!(tags, ["cost-centre=7", "feature=x", "team=web"], "{sums}");
    let wrong = json!({ "client": "other", "tags": { "team": "a,b" } });
    let (status, refused) = bench.ask("POST", "/admin/keys", wrong).await;
    assert_eq!((status, &refused["error"]["param"]), (422, &json!("tags")), "{refused}");
}

/// The response to request `number`: each uses other tokens.
fn bill(number: usize, _: &[u8]) -> Script {
    let (prompt, completion) = tokens(number);
    let usage = json!({
        "prompt_tokens": prompt, "completion_tokens": completion,
        "total_tokens": prompt + completion,
    });
    Script::json(200, openai::whole("ok").replace(openai::USAGE, &usage.to_string()))
}

fn tokens(number: usize) -> (u64, u64) {
    let number = u64::try_from(number).unwrap();
    (number + 5, number * 3 + 1)
}

/// The bill of the upstream by what it sees of each request, in nano-dollars.
fn billed(upstream: &Upstream, seen: impl Fn(&Value) -> String) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    let exchanges = upstream.exchanges();
    for (number, exchange) in exchanges.iter().enumerate() {
        let (prompt, completion) = tokens(number);
        *sums.entry(seen(&exchange.json())).or_default() +=
            (prompt * 100_000 + completion * 200_000) * 1_000;
    }
    sums
}

/// The spend of all replicas by `group`, as an operator sees it at one of them.
async fn spent(bench: &OperatedGateway, group: &str) -> BTreeMap<String, u64> {
    let path = format!("/admin/usage?group_by={group}");
    let (status, sums) = bench.ask("GET", &path, Value::Null).await;
    assert_eq!(status, 200, "{sums}");
    let rows = sums["data"].as_array().unwrap();
    let sum = |row: &Value| {
        (row[group].as_str().unwrap().to_owned(), row["cost_nano_usd"].as_u64().unwrap())
    };
    rows.iter().map(sum).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spend_of_two_replicas_by_team_and_tag_equals_the_upstream_bill() {
    let (upstream, redis) = (Upstream::start().await, Redis::start().await);
    upstream.numbered(bill);
    let one = OperatedGateway::start(setup(&upstream).sharing(&redis)).await;
    let two = OperatedGateway::start(setup(&upstream).sharing(&redis)).await;
    for number in 0..40_usize {
        let gateway = if number % 3 == 0 { &one.gateway } else { &two.gateway };
        let team = ["search", "ads", "web"][number % 3 % 2 + number % 2];
        let feature = ["x", "y"][number / 2 % 2];
        let tags = format!("team={team},feature={feature}");
        let mut body = json!({ "user": team, "seed": number / 2 % 2 });
        let headers = [("x-gateway-tags", &*tags)];
        let reply = if number % 4 == 0 {
            body["metadata"] = json!({ "tags": tags });
            chat(gateway, "sk-plain", &[], body).await
        } else {
            chat(gateway, "sk-plain", &headers, body).await
        };
        assert_eq!(reply.status(), 200, "{}", reply.text());
    }
    let teams = billed(&upstream, |body| body["user"].as_str().unwrap().to_owned());
    let features =
        billed(&upstream, |body| format!("feature={}", ["x", "y"][usize::from(body["seed"] == 1)]));
    assert_eq!((teams.len(), features.len()), (3, 2));
    let all: u64 = teams.values().sum();
    for bench in [&one, &two] {
        // Each replica writes its records within a tenth of a second.
        let is_complete = async || {
            while spent(bench, "client").await.get("plain") != Some(&all) {
                time::sleep(Duration::from_millis(20)).await;
            }
        };
        time::timeout(Duration::from_secs(5), is_complete()).await.expect("the bill is complete");
        assert_eq!(spent(bench, "tag:team").await, teams);
        assert_eq!(spent(bench, "user").await, teams);
        let mut tags = spent(bench, "tag").await;
        tags.retain(|tag, _| tag.starts_with("feature="));
        assert_eq!(tags, features);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_request_is_found_by_id_at_another_replica() {
    let (upstream, redis) = (Upstream::start().await, Redis::start().await);
    let one = OperatedGateway::start(setup(&upstream).sharing(&redis)).await;
    let two = OperatedGateway::start(setup(&upstream).sharing(&redis)).await;
    let headers = [("x-gateway-tags", "team=search")];
    let body = json!({ "user": "u-9" });
    assert_eq!(chat(&one.gateway, "sk-narrow", &headers, body.clone()).await.status(), 200);
    let refused = chat(&one.gateway, "sk-narrow", &headers, body).await;
    assert_eq!(refused.status(), 429, "{}", refused.text());
    let path = format!("/admin/requests/{}", refused.header("x-request-id"));
    let finding = async {
        loop {
            let (status, found) = two.ask("GET", &path, Value::Null).await;
            if status == 200 {
                return found;
            }
            time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = time::timeout(Duration::from_secs(5), finding).await.expect("it is found");
    for (member, expected) in [
        ("client", json!("narrow")),
        ("tenant", json!("narrow")),
        ("tags", json!(["team=search"])),
        ("user", json!("u-9")),
        ("requested_model", json!("m")),
        ("limit", json!("requests_per_minute")),
        ("status", json!(429)),
    ] {
        assert_eq!(found[member], expected, "{member} of {found}");
    }
}
