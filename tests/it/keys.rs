//! Keys and identities fail closed.

use gateway_tests::{
    OperatedGateway, RawConnection, Script, Setup, Upstream, openai, port, request,
};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::time::{self, Instant};

const TOKEN: &str = OperatedGateway::TOKEN;

#[tokio::test]
async fn key_revoked_while_it_is_rotated_leaves_no_valid_key() {
    let bench = OperatedGateway::start(Setup::new()).await;
    for round in 0..15 {
        let (key, id) = bench.key(json!({ "client": format!("app{round}") })).await;
        let (path, rotate) = (format!("/admin/keys/{id}"), format!("/admin/keys/{id}/rotate"));
        let overlap = json!({ "overlap_seconds": 60 });
        let (revoked, rotated) = tokio::join!(
            bench.send("DELETE", &path, &Value::Null),
            bench.send("POST", &rotate, &overlap)
        );
        assert_eq!(revoked.status(), 200, "{}", revoked.text());
        assert_eq!(bench.chat(&key, "fake/echo").await, "401 invalid_api_key", "round {round}");
        let listed = bench.send("GET", "/admin/keys", &Value::Null).await.json();
        let ids: Vec<_> = listed["data"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert!(!ids.contains(&&json!(id)), "a revoked key came back in round {round}");
        // A rotation that came first made a key of its own; one that came later made none.
        assert!([201, 404].contains(&rotated.status()), "{}", rotated.text());
        if rotated.status() == 404 {
            assert!(ids.is_empty(), "{listed}");
        } else {
            let new = OperatedGateway::secret(&rotated).1;
            bench.send("DELETE", &format!("/admin/keys/{new}"), &Value::Null).await;
        }
    }
}

#[tokio::test]
async fn rotation_inherits_every_restriction() {
    let bench = OperatedGateway::start(Setup::new()).await;
    let (_, id) = bench
        .key(json!({ "client": "app", "models": ["fake/echo"], "tools": [],
            "requests_per_minute": 60, "tags": { "team": "a" }, "expires_in_seconds": 100 }))
        .await;
    let old = bench.send("GET", &format!("/admin/keys/{id}"), &Value::Null).await.json();
    let longer = json!({ "expires_in_seconds": 100_000 });
    for body in [Value::Null, longer] {
        let (_, id) = bench.key(json!({ "client": "app", "expires_in_seconds": 100 })).await;
        let reply = bench.send("POST", &format!("/admin/keys/{id}/rotate"), &body).await;
        let end = reply.json()["expires_at"].as_u64().expect("an end");
        assert!(end <= old["expires_at"].as_u64().unwrap() + 10, "{}", reply.text());
    }
    let new = bench.send("POST", &format!("/admin/keys/{id}/rotate"), &Value::Null).await.json();
    for name in ["client", "models", "tools", "requests_per_minute", "tags", "expires_at"] {
        assert_eq!(new[name], old[name], "{name}");
    }
}

#[tokio::test]
async fn patch_changes_a_key_in_place() {
    let bench = OperatedGateway::start(Setup::new()).await;
    let (key, id) = bench.key(json!({ "client": "app", "models": ["fake/echo"] })).await;
    let path = format!("/admin/keys/{id}");
    assert_eq!(bench.chat(&key, "fake/json").await, "403 model_not_allowed");
    let change = json!({ "models": ["fake/*"], "tags": { "team": "a" },
        "requests_per_minute": 7, "expires_in_seconds": 1000 });
    let reply = bench.send("PATCH", &path, &change).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let known = bench.send("GET", &path, &Value::Null).await.json();
    assert_eq!((&known["tags"]["team"], &known["requests_per_minute"]), (&json!("a"), &json!(7)));
    assert!(known["expires_at"].is_u64(), "{known}");
    assert_eq!(bench.chat(&key, "fake/json").await, "200");
    let none = json!({ "models": [], "expires_in_seconds": null, "tags": null });
    let reply = bench.send("PATCH", &path, &none).await.json();
    assert_eq!((&reply["expires_at"], &reply["tags"]), (&Value::Null, &Value::Null));
    assert_eq!(bench.chat(&key, "fake/json").await, "403 model_not_allowed", "none is none");
    bench.send("PATCH", &path, &json!({ "models": null })).await;
    assert_eq!(bench.chat(&key, "fake/json").await, "200", "missing is all");
    for wrong in [json!({ "client": "b" }), json!({ "tenant": "b" }), json!({ "modles": [] })] {
        assert_eq!(bench.send("PATCH", &path, &wrong).await.status(), 422, "{wrong}");
    }
    let past = json!({ "expires_in_seconds": 0 });
    assert_eq!(bench.send("PATCH", &path, &past).await.status(), 200);
    assert_eq!(bench.chat(&key, "fake/echo").await, "401 invalid_api_key");
    assert_eq!(bench.send("PATCH", "/admin/keys/key_0", &past).await.status(), 404);
}

#[tokio::test]
async fn changes_at_once_are_all_made() {
    let bench = OperatedGateway::start(Setup::new()).await;
    let (_, id) = bench.key(json!({ "client": "app" })).await;
    let path = format!("/admin/keys/{id}");
    let [one, two, three] = [
        json!({ "requests_per_minute": 5 }),
        json!({ "max_concurrent": 6 }),
        json!({ "models": ["m"] }),
    ];
    let replies = tokio::join!(
        bench.send("PATCH", &path, &one),
        bench.send("PATCH", &path, &two),
        bench.send("PATCH", &path, &three)
    );
    assert_eq!([replies.0.status(), replies.1.status(), replies.2.status()], [200; 3]);
    let known = bench.send("GET", &path, &Value::Null).await.json();
    let all = (&known["requests_per_minute"], &known["max_concurrent"], &known["models"]);
    assert_eq!(all, (&json!(5), &json!(6), &json!(["m"])));
}

#[tokio::test]
async fn weak_key_or_token_is_refused_at_start() {
    for (setup, expected) in [
        (Setup::new().set("[clients]", "name", "a").set("[clients]", "key", "x"), "clients[0].key"),
        (Setup::new().env("LLM_GATEWAY_API_KEYS", "a:secret"), "auth.api_keys"),
        (Setup::new().set("admin", "token", "secret"), "admin.token"),
    ] {
        let (code, said) = setup.refused().await;
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains(expected) && said.contains("128 random bits"), "{said}");
        assert!(!said.contains("secret\""), "{said}");
    }
}

#[tokio::test]
async fn configured_client_with_empty_lists_may_use_nothing() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).client("app", "sk-app");
    let setup = setup.write("[clients]", "models", "[]").write("[clients]", "tools", "[]");
    let gateway = setup.start().await;
    assert_eq!(gateway.chat_with_key("sk-app", "lab/m").await, "403 model_not_allowed");
    let headers = [("x-api-key", "sk-app")];
    let tools = gateway.send(request("GET", "/v1/tools", &headers, b"")).await.json();
    assert!(tools["tools"].as_array().is_none_or(Vec::is_empty), "{tools}");
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn guesses_are_stopped_even_by_the_right_key() {
    let gateway = Setup::new()
        .client("app", "sk-app")
        .write("server", "trusted_proxies", "[\"127.0.0.1\"]")
        .start()
        .await;
    let ask = async |key: &str, from: &str| {
        let headers = [("x-api-key", key), ("X-Forwarded-For", from)];
        gateway.send(request("GET", "/v1/models", &headers, b"")).await.status_and_code()
    };
    for _ in 0..20 {
        assert_eq!(ask("sk-guess", "192.0.2.1").await, "401 invalid_api_key");
    }
    assert_eq!(ask("sk-app", "192.0.2.1").await, "429 too_many_failed_attempts");
    assert_eq!(ask("sk-app", "192.0.2.2").await, "200", "others are not hindered");
}

#[tokio::test]
async fn guesses_from_everywhere_are_stopped_but_not_known_callers() {
    let gateway = Setup::new()
        .client("app", "sk-app")
        .write("server", "trusted_proxies", "[\"127.0.0.1\"]")
        .start()
        .await;
    let mut raw = gateway.connect().await;
    let mut ask = async |key: &str, from: &str| {
        let headers = [("x-api-key", key), ("X-Forwarded-For", from)];
        raw.send(request("GET", "/v1/models", &headers, b"")).await;
        raw.reply().await.status_and_code()
    };
    assert_eq!(ask("sk-app", "192.0.2.1").await, "200");
    let mut refused = 0;
    for number in 0..1100_u32 {
        let from = std::net::Ipv4Addr::from_bits(0xcb00_0000 + number).to_string();
        refused += u32::from(ask("sk-guess", &from).await.starts_with("429"));
    }
    assert!(refused > 10, "{refused}");
    assert_eq!(ask("sk-app", "192.0.2.1").await, "200");
}

#[tokio::test]
async fn name_of_another_client_is_not_given_out() {
    let setup = Setup::new().client("ours", "sk-ours");
    let bench = OperatedGateway::start(setup).await;
    let taken = "409 client_name_taken";
    let ask = async |body: Value| bench.send("POST", "/admin/keys", &body).await.status_and_code();
    assert_eq!(ask(json!({ "client": "ours" })).await, taken);
    assert_eq!(ask(json!({ "client": "ours", "tenant": "theirs" })).await, taken);
    assert_eq!(ask(json!({ "client": "new", "tenant": "a" })).await, "201");
    assert_eq!(ask(json!({ "client": "new", "tenant": "b" })).await, taken);
    assert_eq!(ask(json!({ "client": "new", "tenant": "a" })).await, "201");
}

#[tokio::test]
async fn stream_ends_soon_after_its_key_is_revoked() {
    let upstream = Upstream::start().await;
    let bench = OperatedGateway::start(Setup::before(&upstream)).await;
    let (key, id) = bench.key(json!({ "client": "app" })).await;
    let (ending_key, _) = bench.key(json!({ "client": "app", "expires_in_seconds": 2 })).await;
    let begun = Script::streaming().event(&openai::opening()).event(&openai::says("a"));
    let mut streams = Vec::new();
    for key in [&key, &ending_key] {
        upstream.next(begun.clone().stall());
        let mut raw = bench.gateway.connect().await;
        let body = openai::ask("lab/m", json!({ "stream": true }));
        let headers = [("x-api-key", &**key)];
        raw.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await;
        streams.push(raw);
    }
    upstream.next(Script::new().stall());
    let mut whole = bench.gateway.connect().await;
    let (headers, body) = ([("x-api-key", &*key)], openai::ask("lab/m", json!({})));
    whole.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await;
    upstream.arrived(3).await;
    bench.send("DELETE", &format!("/admin/keys/{id}"), &Value::Null).await;
    let revoked = Instant::now();
    assert_eq!(whole.reply().await.status_and_code(), "401 api_key_revoked");
    for mut raw in streams {
        let reply = raw.reply().await;
        assert!(reply.text().contains("api_key_revoked"), "{}", reply.text());
        assert!(!reply.text().contains("[DONE]"));
    }
    assert!(revoked.elapsed() < Duration::from_secs(5), "{:?}", revoked.elapsed());
    upstream.ended().await;
}

#[tokio::test]
async fn every_action_of_an_operator_leaves_an_audit_record() {
    let bench = OperatedGateway::start(Setup::new()).await;
    let (key, id) = bench.key(json!({ "client": "app" })).await;
    let path = format!("/admin/keys/{id}");
    bench.send("PATCH", &path, &json!({ "requests_per_minute": 5, "tags": {} })).await;
    let rotated = bench.send("POST", &format!("{path}/rotate"), &Value::Null).await;
    bench.send("DELETE", &path, &Value::Null).await;
    bench.send("DELETE", &path, &Value::Null).await;
    bench.send("GET", "/admin/keys", &Value::Null).await;
    let mut raw = RawConnection::connect(bench.operators).await;
    raw.send(request("DELETE", &path, &[("Authorization", "Bearer wrong")], b"")).await;
    raw.reply().await;
    let deadline = Instant::now() + Duration::from_secs(5);
    while bench.audit().len() < 7 && Instant::now() < deadline {
        time::sleep(Duration::from_millis(10)).await;
    }
    let brief: Vec<_> =
        bench.audit().iter().map(|it| json!([it["action"], it["status"], it["error"]])).collect();
    let expected = json!([
        ["keys.create", 201, null],
        ["keys.update", 200, null],
        ["keys.rotate", 201, null],
        ["keys.revoke", 200, null],
        ["keys.revoke", 404, "not_found"],
        ["keys.list", 200, null],
        ["keys.revoke", 401, "invalid_api_key"]
    ]);
    assert_eq!(json!(brief), expected);
    let records = bench.audit();
    assert_eq!(records[1]["changed"], "requests_per_minute,tags");
    assert_eq!(records[2]["new_key"], json!(OperatedGateway::secret(&rotated).1));
    assert_eq!((&records[3]["key"], &records[3]["peer"]), (&json!(id), &json!("127.0.0.1")));
    assert!(!bench.gateway.stdout().contains(&key) && !bench.gateway.stdout().contains(TOKEN));
}

#[tokio::test]
async fn operators_listener_may_leave_loopback_with_a_token() {
    let operators: SocketAddr = ([0, 0, 0, 0], port::free()).into();
    let setup = Setup::new()
        .set("server", "auth", "on")
        .set("admin", "listen", &operators.to_string())
        .set("admin", "token", TOKEN);
    let _gateway = setup.start().await;
    let mut raw = RawConnection::connect(([127, 0, 0, 1], operators.port()).into()).await;
    raw.send(request("GET", "/admin/keys", &[], b"")).await;
    assert_eq!(raw.reply().await.status_and_code(), "401 invalid_api_key");
    let (code, said) = Setup::new().set("admin", "listen", "0.0.0.0:1").refused().await;
    assert_eq!(code, Some(78), "{said}");
}
