//! Dropped parameters are reported, or rejected in strict mode.

use gateway_tests::{Gateway, Reply, Script, Setup, Upstream, openai, request};
use serde_json::json;

/// A response of the Anthropic API.
const ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hello."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":3}}"#;

async fn ask(gateway: &Gateway, key: &str, strict: Option<&str>) -> Reply {
    let bearer = format!("Bearer {key}");
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(strict.map(|strict| ("x-gateway-strict", strict)));
    let body = openai::ask("anthropic/claude-x", json!({ "seed": 7, "logit_bias": { "1": 1 } }));
    gateway.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await
}

/// A gateway with a client that is careful, one that is not, and one of whom nothing is said.
async fn start(upstream: &Upstream, strict: &str) -> Gateway {
    upstream.always(Script::json(200, ANSWER));
    let setup = Setup::new()
        .provider("anthropic", &upstream.url())
        .set("providers.anthropic", "api_key", "sk-upstream")
        .write("routing", "strict", strict);
    setup
        .client("careful", "key-careful")
        .write("[clients]", "strict", "true")
        .client("usual", "key-usual")
        .start()
        .await
}

const REFUSED: &str = "400 unsupported_parameter";

#[tokio::test]
async fn dropped_parameters_are_reported_in_header() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream, "false").await;
    let reply = ask(&gateway, "key-usual", None).await;
    assert_eq!((reply.status(), reply.header("x-gateway-dropped")), (200, "seed,logit_bias"));
}

#[tokio::test]
async fn strict_request_with_dropped_parameters_is_rejected() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream, "false").await;
    assert_eq!(ask(&gateway, "key-usual", Some("true")).await.status_and_code(), REFUSED);
    let reply = ask(&gateway, "key-careful", None).await;
    assert_eq!(reply.status_and_code(), REFUSED);
    assert_eq!(reply.json()["error"]["param"], "seed");
    assert!(upstream.exchanges().is_empty(), "nothing was sent");
    let gateway = start(&upstream, "true").await;
    assert_eq!(ask(&gateway, "key-usual", None).await.status_and_code(), REFUSED);
}
