//! The catalogue of models and prices: its commands, and its reload under load.

use gateway_tests::{Gateway, PATIENCE, Setup, Upstream, openai, request};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
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

/// A catalogue of one model at `dollars` for a token, as of `day`.
fn text(day: &str, dollars: u32) -> String {
    let rate = u64::from(dollars) * 1_000_000;
    format!(
        "# generated {day} by hand\nlab/own n=Own r=2026-01-02 i=1000 o=500\n\t* o i={rate} o={rate}\n"
    )
}

fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{name}-{}.txt", std::process::id()))
}

async fn start(upstream: &Upstream, file: &Path) -> Arc<Gateway> {
    let setup = Setup::before(upstream).set("catalogue", "file", &file.to_string_lossy());
    Arc::new(setup.start().await)
}

#[tokio::test]
async fn changed_catalogue_is_reloaded_under_load() {
    let (upstream, file) = (Upstream::start().await, file("watched-catalogue"));
    write(&file, &text("2026-11-01", 1));
    let gateway = start(&upstream, &file).await;
    let (is_over, failed, dear) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let (gateway, is_over) = (Arc::clone(&gateway), Arc::clone(&is_over));
        let (failed, dear) = (Arc::clone(&failed), Arc::clone(&dear));
        callers.spawn(async move {
            let mut asked = 0;
            let mut is_new = false;
            while !is_over.load(Relaxed) {
                let reply = gateway.ask("lab/own", json!({})).await;
                asked += 1;
                match (reply.status(), reply.header("x-gateway-cost-usd")) {
                    // Once a request has met the new price, no later one meets the old.
                    (200, "10") if !is_new => {}
                    (200, "20") => {
                        is_new = true;
                        dear.fetch_add(1, Relaxed);
                    }
                    _ => {
                        failed.fetch_add(1, Relaxed);
                    }
                }
            }
            asked
        });
    }
    time::sleep(Duration::from_millis(200)).await;
    // One that cannot be read changes nothing.
    write(&file, "nonsense");
    rejected(&gateway).await;
    write(&file, &text("2026-11-30", 2));
    let deadline = Instant::now() + PATIENCE;
    while dear.load(Relaxed) < 40 {
        assert!(Instant::now() < deadline, "the new price does not come: {}", gateway.stdout());
        time::sleep(Duration::from_millis(20)).await;
    }
    is_over.store(true, Relaxed);
    let asked: usize = callers.join_all().await.into_iter().sum();
    assert_eq!(failed.load(Relaxed), 0, "of {asked}");
    assert!(asked > 100, "{asked}");
    let day = gateway.metric("llm_gateway_catalogue_timestamp_seconds", "").await;
    assert!((day - 1_795_996_800.0).abs() < 1.0, "{day} is not 2026-11-30");
    fs::remove_file(file).unwrap();
}

async fn rejected(gateway: &Gateway) {
    let deadline = Instant::now() + PATIENCE;
    while gateway.metric("llm_gateway_config_reloads_total", "rejected").await < 1.0 {
        assert!(Instant::now() < deadline, "{}", gateway.stdout());
        time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn commands_show_compare_and_convert_catalogues() {
    let (upstream, old, new) =
        (Upstream::start().await, file("old-catalogue"), file("new-catalogue"));
    write(&old, &text("2026-11-01", 1));
    write(&new, &(text("2026-11-30", 2) + "lab/own-2 i=2000\n"));
    let gateway = start(&upstream, &old).await;
    let shown = gateway.run(&["catalogue", "show", "own"]);
    for part in [
        "lab/own",
        "2026-01-02",
        "(in force): i=1000000 o=1000000; source override",
        "prices as of 2026-11-01, ",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let unknown = gateway.run(&["catalogue", "show", "no-such-model"]);
    assert!(unknown.contains("nothing is known of the model `no-such-model`"), "{unknown}");
    let names = [old.to_string_lossy(), new.to_string_lossy()];
    let expected = "prices as of 2026-11-01 -> 2026-11-30\n~ lab/own\n    price from always: i=1000000 o=1000000 -> i=2000000 o=2000000\n+ lab/own-2\n2 models differ\n";
    assert_eq!(gateway.run(&["catalogue", "diff", &names[0], &names[1]]), expected);
    assert_eq!(gateway.run(&["catalogue", "diff", &names[1]]), expected, "with the configured one");
    assert_eq!(gateway.run(&["catalogue", "diff", &names[0]]), "no differences\n");
    for path in [&old, &new] {
        fs::remove_file(path).unwrap();
    }
}

#[tokio::test]
async fn imported_data_set_serves_as_catalogue() {
    let (upstream, json, own) = (Upstream::start().await, file("litellm"), file("imported"));
    let model = json!({ "litellm_provider": "openai", "mode": "chat",
        "input_cost_per_token": 1e-3, "output_cost_per_token": 1e-3 });
    write(&json, &json!({ "gpt-5.2": model }).to_string());
    let gateway = Setup::new().start().await;
    let told = gateway.run(&[
        "catalogue",
        "import",
        &json.to_string_lossy(),
        "-o",
        &own.to_string_lossy(),
    ]);
    assert!(told.ends_with("models written\n"), "{told}");
    let setup = Setup::new()
        .provider("openai", &upstream.url())
        .set("providers.openai", "api_key", "sk-upstream")
        .set("catalogue", "file", &own.to_string_lossy());
    let gateway = setup.start().await;
    let reply = gateway.ask("gpt-5.2", Value::Null).await;
    assert_eq!(reply.header("x-gateway-cost-usd"), "0.01", "7 and 3 tokens at $0.001");
    let body = openai::ask("gpt-5.4", json!({}));
    let other = gateway.send(request("POST", "/v1/explain", &[], body.as_bytes())).await.json();
    assert!(other["targets"][0]["assumed"].is_null(), "the rows of the release are there: {other}");
    for path in [json, own] {
        fs::remove_file(path).unwrap();
    }
}

#[tokio::test]
async fn import_keeps_cheaper_hours_and_ranges_of_prompts() {
    let (json, own) = (file("hours"), file("imported-hours"));
    let range = |from: u32, rate: f64| {
        json!({ "range": [from, from + 1000], "input_cost_per_token": rate,
            "output_cost_per_token": rate })
    };
    let models = json!({
        "deepseek/deepseek-x": { "litellm_provider": "deepseek", "mode": "chat",
            "input_cost_per_token": 2e-6, "output_cost_per_token": 4e-6,
            "off_peak_pricing": { "hours_utc": "16:30-00:30", "input_cost_per_token": 1e-6 } },
        "dashscope/qwen-x": { "litellm_provider": "dashscope", "mode": "chat",
            "tiered_pricing": [range(0, 1e-6), range(1000, 2e-6)] },
    });
    write(&json, &models.to_string());
    let gateway = Setup::new().start().await;
    let names = [json.to_string_lossy(), own.to_string_lossy()];
    gateway.run(&["catalogue", "import", &names[0], "-o", &names[1]]);
    let imported = fs::read_to_string(&own).unwrap();
    for row in [
        "deepseek/deepseek-x\n\t* l i=2 o=4 off@1234567/00:00-00:30,16:30-24:00 i=1\n",
        "dashscope/qwen-x\n\t* l i=1 o=1 >1000 i=2 o=2\n",
    ] {
        assert!(imported.contains(row), "{row} in the imported catalogue");
    }
    assert_eq!(gateway.run(&["catalogue", "diff", &names[0], &names[1]]), "no differences\n");
    for path in [&json, &own] {
        fs::remove_file(path).unwrap();
    }
}
