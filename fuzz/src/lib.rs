//! The fuzz targets: functions of bytes that panic if an invariant is violated.
//!
//! `fuzz/libfuzzer` passes them to libFuzzer (`cargo xtask fuzz`); the test of this crate replays
//! the corpus in `fuzz/corpus`, so that no finding is lost.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a panic is how these tell what they found"
)]

mod answers;
mod http1;
mod json;
mod names;
mod requests;
mod sse;
mod streams;

/// A function that is fuzzed.
pub type Target = fn(&[u8]);

/// All of them, by the names of their folders of inputs.
pub const TARGETS: &[(&str, Target)] = &[
    ("sse_decode", sse::decode),
    ("sse_encode", sse::encode),
    ("json_scan", json::scan),
    ("envelope", json::envelope),
    ("request_chat", requests::chat),
    ("request_responses", requests::responses),
    ("request_messages", requests::messages),
    ("request_completions", requests::completions),
    ("stream_chat", streams::chat),
    ("stream_responses", streams::responses),
    ("stream_messages", streams::messages),
    ("stream_gemini", streams::gemini),
    ("stream_ollama", streams::ollama),
    ("whole", answers::whole),
    ("refusal", answers::refusal),
    ("http1_response", http1::response),
    ("http1_differential", http1::differential),
    ("retry_after", names::retry_after),
    ("names", names::names),
    ("kept_message", names::kept_message),
];

/// Gives `data` to the target called `name`.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.expect("a target of this name").1(data);
}
