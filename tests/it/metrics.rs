//! The metrics, their names and labels.

use gateway_tests::{Gateway, Script, Setup, Upstream, openai};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The metrics of a page, strictly read: the type, the help and the labels of each.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
    series: usize,
}

fn families(page: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (what, name, text) =
                (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or_default());
            let family = families.entry(name.to_owned()).or_default();
            match what {
                "TYPE" => text.clone_into(&mut family.kind),
                "HELP" => text.clone_into(&mut family.help),
                other => panic!("{other} in {line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(seen.insert(series.to_owned()), "{series} twice");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
            name.strip_suffix(end)
                .filter(|base| families.get(*base).is_some_and(|it| it.kind == "histogram"))
        });
        let family =
            families.get_mut(base.unwrap_or(name)).unwrap_or_else(|| panic!("{line} has no type"));
        family.series += 1;
        for label in labels.trim_end_matches('}').split("\",").filter(|it| !it.is_empty()) {
            let (name, _) = label.split_once("=\"").unwrap();
            if name != "le" {
                family.labels.insert(name.to_owned());
            }
        }
    }
    families
}

/// Returns the documented metrics: type and labels.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let page = std::fs::read_to_string("../docs/operations.md").unwrap();
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `llm_gateway_") || line.starts_with("| `process_"));
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let mut next = || cells.next().unwrap_or_default().to_owned();
        let (name, kind, labels) = (next(), next(), next());
        let labels = labels.split(", ").map(|it| it.trim_matches('`').to_owned());
        (name.trim_matches('`').to_owned(), (kind, labels.filter(|it| !it.is_empty()).collect()))
    };
    rows.map(row).collect()
}

async fn exercised() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let setup = Setup::tenacious().provider("lab", &upstream.url());
    let gateway = setup.set("resilience", "circuit_breaker_failure_threshold", "2").start().await;
    for stream in [true, false] {
        gateway.ask("lab/m", json!({ "stream": stream })).await;
        gateway.ask("fake/chunks-5-5ms", json!({ "stream": stream })).await;
        gateway.ask("no-such-model", json!({ "stream": stream })).await;
    }
    upstream.always(Script::json(500, openai::error("x", "x", "x")));
    for _ in 0..3 {
        gateway.ask("lab/m", Value::Null).await;
    }
    gateway.get("/nope").await;
    gateway.signal("HUP");
    let deadline = tokio::time::Instant::now() + gateway_tests::PATIENCE;
    while gateway.metric("llm_gateway_config_reloads_total", "").await == 0.0 {
        assert!(tokio::time::Instant::now() < deadline);
    }
    (upstream, gateway)
}

#[tokio::test]
async fn every_metric_is_documented_with_its_labels() {
    let (_upstream, gateway) = exercised().await;
    let page = gateway.get("/metrics").await;
    let documented = documented();
    let families = families(page.text());
    for (name, family) in &families {
        let (kind, labels) =
            documented.get(name).unwrap_or_else(|| panic!("{name} is not documented"));
        assert_eq!((&family.kind, &family.labels), (kind, labels), "{name}");
        assert!(!family.help.is_empty(), "{name} has no help");
    }
    for contract in [
        "llm_gateway_requests_total",
        "llm_gateway_request_duration_seconds",
        "llm_gateway_requests_in_progress",
        "llm_gateway_tokens_total",
        "llm_gateway_provider_requests_total",
        "llm_gateway_provider_errors_total",
        "llm_gateway_provider_latency_seconds",
        "llm_gateway_circuit_breaker_state_transitions_total",
        "llm_gateway_circuit_breaker_state",
        "llm_gateway_time_to_first_token_seconds",
        "llm_gateway_time_per_output_token_seconds",
        "llm_gateway_streams_total",
        "llm_gateway_config_reloads_total",
        "llm_gateway_build_info",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(families.contains_key(contract), "{contract} is not there");
    }
}

#[tokio::test]
async fn each_request_is_counted_once() {
    let (_upstream, gateway) = exercised().await;
    let count = async |metric: &str, label: &str| gateway.metric(metric, label).await.to_string();
    let path = "path=\"/v1/chat/completions\"";
    assert_eq!(count("llm_gateway_requests_total", path).await, "9");
    assert_eq!(count("llm_gateway_requests_total", "path=\"unmatched\"").await, "1");
    assert_eq!(count("llm_gateway_streams_total", "provider=\"fake\",outcome=\"ok\"").await, "1");
    assert_eq!(count("llm_gateway_provider_requests_total", "lab").await, "5");
    let tokens = "llm_gateway_tokens_total";
    assert_eq!(count(tokens, "provider=\"lab\",model=\"other\",type=\"prompt\"").await, "14");
    assert_eq!(count(tokens, "provider=\"lab\",model=\"other\",type=\"completion\"").await, "6");
    assert!(gateway.metric("llm_gateway_provider_retries_total", "lab").await >= 1.0);
    assert_eq!(count("llm_gateway_time_per_output_token_seconds_count", "fake").await, "1");
    assert_eq!(count("llm_gateway_circuit_breaker_state", "lab/other").await, "2");
    assert_eq!(count("llm_gateway_requests_in_progress", "POST").await, "0");
    // Two answers of the upstream's, seven tokens read and three written each.
    for (kind, tokens) in [("prompt", "14"), ("completion", "6")] {
        let labels = format!("provider=\"lab\",model=\"other\",type=\"{kind}\"");
        assert_eq!(count("llm_gateway_tokens_total", &labels).await, tokens);
    }
}

#[tokio::test]
async fn arbitrary_names_do_not_create_metric_series() {
    let gateway = Setup::new().set("log", "level", "error").start().await;
    let address = gateway.address();
    // Pipelined, a hundred at a time: what matters is how many names are seen.
    for connection in 0..50 {
        let mut raw = gateway_tests::RawConnection::connect(address).await;
        for batch in 0..20 {
            let mut all = Vec::new();
            for number in 0..50 {
                let name = format!("made-up-{connection}-{batch}-{number}");
                all.extend(gateway_tests::request("GET", &format!("/{name}"), &[], b""));
                let path = format!("/v1/models/{name}");
                all.extend(gateway_tests::request("GET", &path, &[], b""));
            }
            raw.send(all).await;
            for _ in 0..100 {
                assert_eq!(raw.reply().await.status(), 404);
            }
        }
    }
    for number in 0..200 {
        gateway.ask(&format!("fake/made-up-{number}"), json!({ "made_up": number })).await;
    }
    let page = gateway.get("/metrics").await;
    let series: usize = families(page.text()).values().map(|family| family.series).sum();
    assert!(series <= 2000, "{series} series");
    assert!(!page.text().contains("made-up"));
    assert!(gateway.metric("llm_gateway_requests_total", "404").await >= 100_000.0);
    println!("{series} series after 100,000 names, {} bytes", page.body.len());
}
