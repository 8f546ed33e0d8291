//! Answers that are large, or would be: what they cost is given back.

use gateway_tests::{Gateway, Reply, Script, Setup, Upstream, openai, request};
use serde_json::json;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
    time,
};

/// The size of one response: half a mebibyte.
const LENGTH: usize = 1 << 19;
const ROUNDS: u32 = 30;

/// Returns a compressed response that would decode to gigabytes of zeros.
fn bomb() -> Script {
    let packed = b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec();
    let packed = [packed, [0xec, 0xc1, 0x01].repeat(LENGTH / 3)].concat();
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    Script::whole(200, &headers, packed)
}

async fn post(gateway: &Gateway, path: &str, stream: bool) -> Reply {
    let body = openai::ask("lab/m", json!({ "stream": stream, "max_tokens": 9 }));
    gateway.send(request("POST", path, &[], body.as_bytes())).await
}

/// The memory of the process, in mebibytes.
async fn resident(gateway: &Gateway) -> f64 {
    gateway.metric("process_resident_memory_bytes", "").await / 1_048_576.0
}

/// Whether an answer is passed on, translated, streamed or refused, nothing of it is kept: after the
/// first third memory grows by less than it would if one answer of each round were.
#[tokio::test]
async fn large_buffers_are_released() {
    let upstream = Upstream::start().await;
    // Every word of such an answer in a log would be the log's affair.
    let gateway = Setup::before(&upstream).set("log", "level", "info").start().await;
    let whole = Script::json(200, openai::whole(&"x".repeat(LENGTH)));
    let piece = "x".repeat(LENGTH / 16);
    let streamed = Script::events(openai::streamed(&[piece.as_str(); 16]));
    let bomb = bomb();
    let mut at_a_third = 0.0;
    for round in 0..ROUNDS {
        if round == ROUNDS / 3 {
            at_a_third = resident(&gateway).await;
        }
        for (script, path, stream, status) in [
            (&whole, "/v1/chat/completions", false, 200),
            (&whole, "/v1/messages", false, 200),
            (&streamed, "/v1/chat/completions", true, 200),
            (&bomb, "/v1/chat/completions", false, 502),
        ] {
            upstream.next(script.clone());
            assert_eq!(post(&gateway, path, stream).await.status(), status, "{path}");
        }
    }
    let at_the_end = resident(&gateway).await;
    let told = format!("{at_a_third:.0} MiB after a third, {at_the_end:.0} at the end");
    gateway_tests::print_measurement(&told);
    assert!(at_the_end < at_a_third + 7.0, "{told}");
}

/// The size of the program's code and its resident part, in KiB.
fn code(pid: u32) -> (u64, u64) {
    let mappings = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    let program = program.to_str().unwrap();
    let is_code = |line: &str| line.contains(" r-xp ") && line.ends_with(program);
    let mut lines = mappings.lines().skip_while(|line| !is_code(line));
    let mut field = |name: &str| -> u64 {
        let text = lines.find_map(|line| line.strip_prefix(name)).unwrap();
        text.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    };
    (field("Size:"), field("Rss:"))
}

/// Most of the code that runs at the start does not run again: a second later it is not resident.
#[tokio::test]
async fn code_of_the_start_does_not_stay_resident() {
    let gateway = Setup::new().start().await;
    let deadline = time::Instant::now() + Duration::from_secs(20);
    loop {
        let (size, resident) = code(gateway.pid());
        if resident * 2 < size {
            break;
        }
        assert!(time::Instant::now() < deadline, "{resident} of {size} KiB");
        time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(gateway.ask("fake/echo", json!({})).await.status(), 200);
}

/// The bytes that an upstream can write of an answer whose caller reads none of it.
async fn taken_from_upstream(receive_buffer: &str) -> usize {
    let socket = TcpSocket::new_v4().unwrap();
    // What the upstream's own system holds is the same each time, and little.
    socket.set_send_buffer_size(16 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let setup = Setup::new().provider("lab", &url);
    let setup = setup.set("server", "upstream_receive_buffer", receive_buffer);
    let gateway = setup.start().await;
    let _caller = gateway.asking("lab/m", json!({ "stream": true })).await;
    let (mut upstream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        upstream.read_buf(&mut request).await.unwrap();
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    upstream.write_all(head.as_bytes()).await.unwrap();
    let event = openai::written(&[openai::says(&"x".repeat(1000))]);
    let (mut taken, mut rest) = (0, event.as_bytes());
    while let Ok(written) = time::timeout(Duration::from_secs(1), upstream.write(rest)).await {
        let written = written.unwrap();
        taken += written;
        rest = &rest[written..];
        if rest.is_empty() {
            rest = event.as_bytes();
        }
    }
    taken
}

#[tokio::test]
async fn receive_buffer_bounds_memory_of_unread_response() {
    let (small, large) = tokio::join!(taken_from_upstream("8KiB"), taken_from_upstream("1MiB"));
    gateway_tests::print_measurement(&format!("{} and {} KiB", small >> 10, large >> 10));
    assert!(small + (64 << 10) < large, "{small} and {large}");
}
