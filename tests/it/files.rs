//! A file in trouble, as callers of the gateway see it.

use gateway_tests::{FaultInjection, Gateway, RawConnection, Reply, Setup, Upstream, request};
use serde_json::json;
use std::{fs, path::PathBuf, time::Duration};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).env("LLM_GATEWAY_STORE", "embedded").start().await;
    (upstream, gateway)
}

async fn create(gateway: &Gateway) -> Reply {
    gateway.send(request("POST", "/v1/sessions", &[], b"")).await
}

async fn create_path(gateway: &Gateway) -> String {
    format!("/v1/sessions/{}", create(gateway).await.json()["id"].as_str().unwrap())
}

async fn chats(gateway: &Gateway) {
    for _ in 0..10 {
        assert_eq!(gateway.ask("lab/m", json!({})).await.status(), 200);
    }
}

#[tokio::test]
async fn failed_fsync_stops_acknowledgements_until_restart() {
    let (_upstream, mut gateway) = start().await;
    let kept = create_path(&gateway).await;
    let injection = "fsync,fdatasync:error=EIO:when=1";
    let Some(meddling) = FaultInjection::with(gateway.pid(), injection) else { return };
    for _ in 0..3 {
        let refused = create(&gateway).await;
        assert_eq!(refused.status_and_code(), "503 store_read_only");
        assert!(!refused.header("retry-after").is_empty());
        assert_eq!(gateway.get(&kept).await.status(), 200, "what is there can be read");
        chats(&gateway).await;
    }
    drop(meddling);
    time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(
        create(&gateway).await.status_and_code(),
        "503 store_read_only",
        "the disk may be well again"
    );
    gateway.kill();
    gateway.revive().await;
    assert_eq!(gateway.get(&kept).await.status(), 200);
    assert_eq!(create(&gateway).await.status(), 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_disk_does_not_affect_stateless_requests() {
    let (_upstream, gateway) = start().await;
    chats(&gateway).await;
    let injection = "fsync,fdatasync:delay_exit=500000";
    let Some(_meddling) = FaultInjection::with(gateway.pid(), injection) else { return };
    let (address, mut writers) = (gateway.address(), JoinSet::new());
    for _ in 0..1_500 {
        writers.spawn(async move {
            let mut raw = RawConnection::connect(address).await;
            raw.send(request("POST", "/v1/sessions", &[], b"")).await;
            raw.reply().await.status_and_code()
        });
    }
    // The rush is over by then, the work of the disk is not.
    time::sleep(Duration::from_secs(1)).await;
    for _ in 0..5 {
        let began = Instant::now();
        assert_eq!(gateway.ask("lab/m", json!({})).await.status(), 200);
        assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
    }
    let told = writers.join_all().await;
    let count = |wanted: &str| told.iter().filter(|told| *told == wanted).count();
    let (kept, busy) = (count("201"), count("503 store_busy"));
    assert_eq!(kept + busy, 1_500, "{told:?}");
    assert!(kept >= 1_024 && busy > 0, "{kept} kept, {busy} refused: the queue has a bound");
}

/// Starting on this file is refused with one line that names it, and why.
async fn check_refused(setup: Setup, why: &str) {
    let (code, said) = setup.env("LLM_GATEWAY_STORE", "embedded").refused().await;
    assert_eq!(code, Some(78), "{said}");
    let lines: Vec<_> = said.lines().filter(|line| line.contains("gateway.redb")).collect();
    assert!(lines.len() == 1 && lines[0].contains(why), "{said}");
}

#[tokio::test]
async fn unusable_store_file_fails_start_with_one_line() {
    let home = std::env::temp_dir().join(format!("gateway-files-{}", std::process::id()));
    let at = |name: &str| -> (PathBuf, Setup) {
        let data = home.join(name);
        fs::create_dir_all(&data).unwrap();
        let setup = Setup::new().env("LLM_GATEWAY_DATA_DIR", data.to_str().unwrap());
        (data.join("gateway.redb"), setup)
    };
    let (file, setup) = at("used");
    let first = setup.clone().env("LLM_GATEWAY_STORE", "embedded").start().await;
    check_refused(setup, "another process has it open").await;
    assert_eq!(create(&first).await.status(), 201, "the first is not disturbed");
    drop(first);
    let whole = fs::read(&file).unwrap();
    for (name, bytes, why) in [
        ("empty", &whole[..0], "the file is empty"),
        ("cut", &whole[..whole.len() / 2], "damaged"),
        ("foreign", &b"a letter to a friend ".repeat(500)[..], "not a gateway's file"),
    ] {
        let (file, setup) = at(name);
        fs::write(&file, bytes).unwrap();
        check_refused(setup, why).await;
        let left = fs::read(&file).unwrap();
        // What is ours is marked as being mended before it is seen that it cannot be.
        assert!(left == bytes || name == "cut", "{name} is left as it was");
        assert_eq!(left.len(), bytes.len(), "nothing is cut off or added");
    }
    let (file, setup) = at("directory");
    fs::create_dir_all(file).unwrap();
    check_refused(setup, "it is not a file").await;
    let _ = fs::remove_dir_all(home);
}
