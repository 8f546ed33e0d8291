//! A tool that must not be run twice is not, whatever becomes of the gateway in between.

use gateway_tests::{
    DataDirectory, Gateway, Reply, Script, Setup, Upstream, UpstreamDialect, request,
};
use serde_json::{Value, json};

struct Bench {
    service: Upstream,
    upstream: Upstream,
    data: DataDirectory,
}

impl Bench {
    async fn start() -> Self {
        let (service, upstream) = (Upstream::start().await, Upstream::start().await);
        Self { service, upstream, data: DataDirectory::new() }
    }

    /// A gateway with the tool `pay`, which is not idempotent unless that is said of it.
    async fn gateway(&self, idempotent: bool) -> Gateway {
        let url = format!("http://127.0.0.1:{}", self.service.port());
        Setup::before(&self.upstream)
            .keeping(&self.data)
            .set("services.others", "bank", &url)
            .set("[tools]", "name", "pay")
            .set("[tools]", "description", "Pays.")
            .set("[tools]", "service", "bank")
            .set("[tools]", "path", "/v1/payments")
            .set("[tools]", "parameters", r#"{"type":"object","properties":{"sum":{}}}"#)
            .set("[tools]", "timeout", "1s")
            .write("[tools]", "idempotent", &idempotent.to_string())
            .start()
            .await
    }

    /// The keys under which the service was asked.
    fn keys(&self) -> Vec<String> {
        let asked = self.service.exchanges().into_iter();
        asked.map(|it| it.head.header("idempotency-key").unwrap().to_owned()).collect()
    }
}

fn execute() -> Vec<u8> {
    let body = json!({ "name": "pay", "arguments": { "sum": 7 } }).to_string();
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "order-1")];
    request("POST", "/v1/tools/execute", &headers, body.as_bytes())
}

/// Returns the result of a tool, or its error code.
fn outcome(reply: &Reply) -> Value {
    let told = reply.json();
    if told["success"] == true { told["result"].clone() } else { told["error_code"].clone() }
}

#[tokio::test]
async fn crashed_gateway_does_not_repeat_tool_call() {
    let bench = Bench::start().await;
    bench.service.next(Script::new().stall());
    bench.service.always(Script::json(200, r#"{"paid":7}"#));
    let gateway = bench.gateway(false).await;
    let mut raw = gateway.connect().await;
    raw.send(execute()).await;
    bench.service.arrived(1).await;
    // The process is killed, not asked to stop.
    drop(gateway);
    let gateway = bench.gateway(false).await;
    for _ in 0..2 {
        assert_eq!(outcome(&gateway.send(execute()).await), "timeout", "nobody knows");
    }
    assert_eq!(bench.keys().len(), 1);
}

#[tokio::test]
async fn unanswered_tool_call_is_not_repeated() {
    let bench = Bench::start().await;
    bench.service.next(Script::new().stall());
    bench.service.always(Script::json(200, r#"{"paid":7}"#));
    let gateway = bench.gateway(false).await;
    for _ in 0..2 {
        assert_eq!(outcome(&gateway.send(execute()).await), "timeout", "nobody knows");
    }
    assert_eq!(bench.keys().len(), 1, "it was paid once at most");
}

/// Runs `pay` under a name of the call's own.
async fn pay(gateway: &Gateway, id: &str) -> Value {
    let body = json!({ "name": "pay", "arguments": { "sum": 7 }, "tool_call_id": id }).to_string();
    let headers = [("Content-Type", "application/json")];
    outcome(&gateway.send(request("POST", "/v1/tools/execute", &headers, body.as_bytes())).await)
}

#[tokio::test]
async fn tool_call_carries_idempotency_key() {
    let bench = Bench::start().await;
    bench.service.always(Script::json(200, r#"{"paid":7}"#));
    let gateway = bench.gateway(false).await;
    assert_eq!(outcome(&gateway.send(execute()).await), json!({ "paid": 7 }));
    for id in ["call_1", "call_2"] {
        assert_eq!(pay(&gateway, id).await, json!({ "paid": 7 }));
    }
    let mut keys = bench.keys();
    assert!(keys.iter().all(|key| key.len() == 64), "{keys:?}");
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3, "each call has its own");
}

#[tokio::test]
async fn recorded_tool_result_is_replayed() {
    let bench = Bench::start().await;
    bench.service.next(Script::json(200, r#"{"paid":1}"#));
    bench.service.next(Script::json(200, r#"{"paid":2}"#));
    let gateway = bench.gateway(false).await;
    assert_eq!(outcome(&gateway.send(execute()).await), json!({ "paid": 1 }));
    drop(gateway);
    let gateway = bench.gateway(false).await;
    assert_eq!(outcome(&gateway.send(execute()).await), json!({ "paid": 1 }));
    assert_eq!(bench.keys().len(), 1);
}

#[tokio::test]
async fn read_only_tool_call_is_repeated_with_same_key() {
    let bench = Bench::start().await;
    bench.service.always(Script::json(200, r#"{"paid":7}"#));
    let gateway = bench.gateway(true).await;
    for _ in 0..2 {
        assert_eq!(outcome(&gateway.send(execute()).await), json!({ "paid": 7 }));
    }
    let keys = bench.keys();
    assert_eq!((keys.len(), &keys[0]), (2, &keys[1]));
}

#[tokio::test]
async fn repeated_conversation_runs_tools_once() {
    let bench = Bench::start().await;
    bench.service.next(Script::new().stall());
    bench.service.always(Script::json(200, r#"{"paid":7}"#));
    let pay = || ("call_1", "pay", json!({ "sum": 7 }));
    bench.upstream.next(UpstreamDialect::Chat.turn(false, "", &[pay()]));
    bench.upstream.next(UpstreamDialect::Chat.turn(false, "", &[pay()]));
    bench.upstream.next(UpstreamDialect::Chat.turn(false, "Done.", &[]));
    let ask = gateway_tests::openai::ask("lab/m", json!({}));
    let asking = || {
        let headers = [
            ("Content-Type", "application/json"),
            ("x-gateway-tools", "pay"),
            ("x-request-id", "order-0001"),
        ];
        request("POST", "/v1/chat/completions", &headers, ask.as_bytes())
    };
    let gateway = bench.gateway(false).await;
    let mut raw = gateway.connect().await;
    raw.send(asking()).await;
    bench.service.arrived(1).await;
    drop(gateway);
    let gateway = bench.gateway(false).await;
    let reply = gateway.send(asking()).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let told = bench.upstream.last().json();
    assert!(told["messages"][2]["content"].as_str().unwrap().contains("timeout"), "{told}");
    assert_eq!(bench.keys().len(), 1);
}
