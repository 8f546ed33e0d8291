//! Spans, as a collector gets them.

use gateway_tests::{
    DataDirectory, Gateway, PATIENCE, Redis, Reply, Script, Setup, Upstream, UpstreamDialect,
    openai, request,
};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value as Any},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message as _;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A collector, a provider, and a gateway between them.
struct TracingBench {
    collector: Upstream,
    upstream: Upstream,
    gateway: Gateway,
}

async fn lab(content: bool) -> TracingBench {
    lab_with(content, |setup| setup).await
}

async fn lab_with(content: bool, change: impl FnOnce(Setup) -> Setup) -> TracingBench {
    let (collector, upstream) = (Upstream::start().await, Upstream::start().await);
    collector.always(Script::whole(200, &[("content-type", "application/x-protobuf")], ""));
    let endpoint = format!("http://127.0.0.1:{}", collector.port());
    let setup = Setup::before(&upstream)
        .env("OTLP_ENDPOINT", &endpoint)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "200")
        .write("tracing", "content", &content.to_string());
    TracingBench { collector, upstream, gateway: change(setup).start().await }
}

impl TracingBench {
    /// Every span so far.
    fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for exchange in self.collector.exchanges() {
            if exchange.head.word(1) == "/v1/traces" {
                let batch = ExportTraceServiceRequest::decode(&*exchange.body).unwrap();
                let scopes = batch.resource_spans.into_iter().flat_map(|it| it.scope_spans);
                spans.extend(scopes.flat_map(|it| it.spans));
            }
        }
        spans
    }

    /// Waits for so many spans.
    async fn collected(&self, number: usize) -> Vec<Span> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let spans = self.spans();
            if spans.len() >= number {
                return spans;
            }
            assert!(Instant::now() < deadline, "{number} spans expected, there are {spans:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks as a caller who traces.
    async fn ask(&self, model: &str, besides: Value) -> Reply {
        self.post("/v1/chat/completions", &[], &openai::ask(model, besides)).await
    }

    /// Sends a POST with any body.
    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let traceparent = format!("00-{TRACE}-{PARENT}-01");
        let own = [("traceparent", traceparent.as_str()), ("Content-Type", "application/json")];
        self.gateway.send(request("POST", path, &[&own, headers].concat(), body.as_bytes())).await
    }
}

fn hex(bytes: &[u8]) -> String {
    let number = bytes.iter().fold(0u128, |all, byte| all << 8 | u128::from(*byte));
    format!("{number:0width$x}", width = bytes.len() * 2)
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let told = |it: &KeyValue| {
        let value = it.value.as_ref().and_then(|value| value.value.as_ref());
        let value = match value {
            Some(Any::StringValue(text)) => text.clone(),
            Some(Any::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        (it.key.clone(), value)
    };
    all.iter().map(told).collect()
}

#[tokio::test]
async fn request_and_attempt_spans_join_caller_trace() {
    let lab = lab(false).await;
    for stream in [false, true] {
        assert_eq!(lab.ask("lab/m", json!({ "stream": stream })).await.status(), 200);
    }
    let spans = lab.collected(4).await;
    let server: Vec<_> = spans.iter().filter(|it| it.kind == SpanKind::Server as i32).collect();
    let client: Vec<_> = spans.iter().filter(|it| it.kind == SpanKind::Client as i32).collect();
    assert_eq!((server.len(), client.len()), (2, 2), "{spans:#?}");
    for span in &server {
        assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.into(), PARENT.into()));
        assert_eq!(span.name, "POST /v1/chat/completions");
        let told = attributes(&span.attributes);
        assert_eq!(told["http.request.method"], "POST");
        assert_eq!(told["http.route"], "/v1/chat/completions");
        assert_eq!(told["url.path"], "/v1/chat/completions");
        assert_eq!(told["url.scheme"], "http");
        assert_eq!(told["http.response.status_code"], "200");
    }
    for span in &client {
        assert_eq!(span.name, "chat m");
        assert!(server.iter().any(|it| it.span_id == span.parent_span_id));
        let told = attributes(&span.attributes);
        assert_eq!(told["gen_ai.operation.name"], "chat");
        assert_eq!(told["gen_ai.provider.name"], "lab");
        assert_eq!(told["gen_ai.request.model"], "m");
        assert_eq!(told["gen_ai.usage.input_tokens"], "7");
        assert_eq!(told["gen_ai.usage.output_tokens"], "3");
        assert!(told["gen_ai.response.finish_reasons"].contains("stop"));
        assert!(span.events.is_empty(), "content is told only if it is wanted");
    }
    // The provider is told of the attempt's span.
    for exchange in lab.upstream.exchanges() {
        let told = exchange.head.header("traceparent").unwrap().to_owned();
        assert!(
            client.iter().any(|it| told == format!("00-{TRACE}-{}-01", hex(&it.span_id))),
            "{told}"
        );
    }
    assert_eq!(lab.gateway.outcomes(1).await[0]["trace_id"], TRACE);
}

#[tokio::test]
async fn failed_span_carries_error_code() {
    let lab = lab(false).await;
    lab.upstream.next(Script::json(503, "{}"));
    lab.ask("lab/m", Value::Null).await;
    let spans = lab.collected(2).await;
    let client = spans.iter().find(|it| it.kind == SpanKind::Client as i32).unwrap();
    let told = attributes(&client.attributes);
    assert_eq!(told["error.type"], "upstream_overloaded");
    assert_eq!(told["http.response.status_code"], "503");
    assert_eq!(client.status.as_ref().unwrap().code, 2);
}

#[tokio::test]
async fn span_content_is_opt_in_and_redacted() {
    let lab = lab(true).await;
    let messages = json!([{ "role": "user", "content": "my key is sk-canary-12345678, hello" }]);
    lab.ask("lab/m", json!({ "stream": true, "messages": messages })).await;
    let spans = lab.collected(2).await;
    let client = spans.iter().find(|it| it.kind == SpanKind::Client as i32).unwrap();
    let events: Vec<_> =
        client.events.iter().map(|it| (&*it.name, attributes(&it.attributes))).collect();
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events.iter().all(|(name, _)| *name == "gen_ai.client.inference.operation.details"));
    let asked = &events[0].1["gen_ai.input.messages"];
    assert!(
        asked.contains("hello") && asked.contains("[redacted]") && !asked.contains("canary"),
        "{asked}"
    );
    assert!(events[1].1["gen_ai.output.messages"].contains("finish_reason"));
}

#[tokio::test]
async fn model_metrics_are_exported() {
    let lab = lab(false).await;
    lab.ask("lab/m", json!({ "stream": true })).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut names = Vec::new();
        for exchange in lab.collector.exchanges() {
            if exchange.head.word(1) == "/v1/metrics" {
                let batch = ExportMetricsServiceRequest::decode(&*exchange.body).unwrap();
                let scopes = batch.resource_metrics.into_iter().flat_map(|it| it.scope_metrics);
                names.extend(scopes.flat_map(|it| it.metrics).map(|it| it.name));
            }
        }
        let there = |name: &str| names.iter().any(|it| it == name);
        if there("gen_ai.client.token.usage")
            && there("gen_ai.client.operation.duration")
            && there("gen_ai.server.time_to_first_token")
        {
            break;
        }
        assert!(Instant::now() < deadline, "{names:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Checks that session operations are spans of the request, with the store's `db.system.name`.
async fn check_store(change: impl FnOnce(Setup) -> Setup, system: &str) {
    let lab = lab_with(false, change).await;
    let made = lab.post("/v1/sessions", &[], "{}").await;
    assert_eq!(made.status(), 201, "{}", made.text());
    let spans = lab.collected(2).await;
    let store = spans.iter().find(|it| it.name == "store.session.create").unwrap();
    let server = spans.iter().find(|it| it.kind == SpanKind::Server as i32).unwrap();
    assert_eq!(store.parent_span_id, server.span_id);
    let told = attributes(&store.attributes);
    assert_eq!(told["db.operation.name"], "session.create");
    assert_eq!(told["db.system.name"], system);
}

#[tokio::test]
async fn store_operations_are_child_spans() {
    check_store(|setup| setup, "memory").await;
    let data = DataDirectory::new();
    check_store(|setup| setup.keeping(&data), "redb").await;
    let redis = Redis::start().await;
    check_store(|setup| setup.sharing(&redis), "redis").await;
}

/// A gateway with the tool `find`, which `service` runs.
async fn lab_with_tool(service: &Upstream) -> TracingBench {
    service.always(Script::json(200, "{}"));
    let url = format!("http://127.0.0.1:{}", service.port());
    let change = |setup: Setup| {
        setup
            .set("services.others", "library", &url)
            .set("[tools]", "name", "find")
            .set("[tools]", "description", "Finds.")
            .set("[tools]", "service", "library")
            .set("[tools]", "path", "/v1/find")
            .set("[tools]", "parameters", r#"{"type":"object"}"#)
    };
    lab_with(false, change).await
}

#[tokio::test]
async fn tool_call_is_child_span() {
    let service = Upstream::start().await;
    let lab = lab_with_tool(&service).await;
    for stream in [false, true] {
        let calls = [("call_1", "find", json!({})), ("call_2", "echo", json!({}))];
        lab.upstream.next(UpstreamDialect::Chat.turn(stream, "", &calls));
        lab.upstream.next(UpstreamDialect::Chat.turn(stream, "Done.", &[]));
        let ask = openai::ask("lab/m", json!({ "stream": stream }));
        let headers = [("x-gateway-tools", "find, echo")];
        let reply = lab.post("/v1/chat/completions", &headers, &ask).await;
        assert!(reply.text().contains("Done."), "{}", reply.text());
    }
    // Of each request: itself, two turns of the model, two tools, and what is written down of one.
    let spans = lab.collected(14).await;
    let server: Vec<_> = spans.iter().filter(|it| it.kind == SpanKind::Server as i32).collect();
    let tools: Vec<_> = spans.iter().filter(|it| it.kind == SpanKind::Internal as i32).collect();
    assert_eq!((server.len(), tools.len(), spans.len()), (2, 4, 14), "{spans:#?}");
    for span in &tools {
        assert_eq!(hex(&span.trace_id), TRACE);
        assert!(server.iter().any(|it| it.span_id == span.parent_span_id), "{span:?}");
        let told = attributes(&span.attributes);
        assert_eq!(told["gen_ai.operation.name"], "execute_tool");
        assert_eq!(told["gen_ai.tool.type"], "extension");
        let name = &told["gen_ai.tool.name"];
        assert_eq!(span.name, format!("execute_tool {name}"));
        let failed = told.get("error.type").map(String::as_str);
        let status = span.status.as_ref().map_or(0, |status| status.code);
        let expected = match name.as_str() {
            "find" => ("call_1", None, 0),
            _ => ("call_2", Some("invalid_arguments"), 2),
        };
        assert_eq!((&*told["gen_ai.tool.call.id"], failed, status), expected);
    }
    check_services_trace(&service, &tools);
    for noted in spans.iter().filter(|it| it.name.starts_with("store.")) {
        let tool = tools.iter().find(|it| it.span_id == noted.parent_span_id);
        assert_eq!(tool.map(|it| &*it.name), Some("execute_tool find"), "{noted:?}");
    }
}

/// Checks that a service got the trace context of the tools' spans.
fn check_services_trace(service: &Upstream, tools: &[&Span]) {
    for exchange in service.exchanges() {
        let told = exchange.head.header("traceparent").unwrap().to_owned();
        let is_it = |it: &&&Span| told == format!("00-{TRACE}-{}-01", hex(&it.span_id));
        let span = tools.iter().find(is_it).unwrap_or_else(|| panic!("{told} is no tool's"));
        assert_eq!(span.name, "execute_tool find");
    }
}

#[tokio::test]
async fn direct_tool_call_is_a_span() {
    let service = Upstream::start().await;
    let lab = lab_with_tool(&service).await;
    let ran = lab.post("/v1/tools/execute", &[], r#"{"name":"find"}"#).await;
    assert_eq!(ran.json()["success"], true, "{}", ran.text());
    let spans = lab.collected(4).await;
    let server = spans.iter().find(|it| it.kind == SpanKind::Server as i32).unwrap();
    let tool = spans.iter().find(|it| it.kind == SpanKind::Internal as i32).unwrap();
    assert_eq!((&tool.parent_span_id, &*tool.name), (&server.span_id, "execute_tool find"));
    assert!(!attributes(&tool.attributes).contains_key("gen_ai.tool.call.id"), "nobody named it");
    check_services_trace(&service, &[tool]);
}

#[tokio::test]
async fn unavailable_collector_does_not_affect_requests() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).env("OTLP_ENDPOINT", "http://127.0.0.1:1");
    let mut gateway = setup.env("OTEL_BSP_SCHEDULE_DELAY", "20").start().await;
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(gateway.ask("lab/m", Value::Null).await.status(), 200);
        assert!(began.elapsed() < Duration::from_secs(1));
    }
    let deadline = Instant::now() + PATIENCE;
    while gateway.metric("llm_gateway_otlp_exports_total", "failed").await == 0.0 {
        assert!(Instant::now() < deadline, "{}", gateway.stdout());
    }
    let began = Instant::now();
    gateway.terminate();
    assert!(gateway.stopped().await.success());
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn trace_context_is_forwarded_without_exporter() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", traceparent.as_str())];
    let body = openai::ask("lab/m", Value::Null);
    gateway.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await;
    assert_eq!(upstream.last().head.header("traceparent"), Some(traceparent.as_str()));
}
