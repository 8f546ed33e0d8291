//! Requests of other callers, for the console to show.

use crate::http::Request;
use anyhow::ensure;
use serde_json::{Value, json};
use std::thread::JoinHandle;

/// Asks a model in the dialect of the path; a failure is an answer, too.
pub(super) fn ask(port: u16, path: &str, model: &str) -> anyhow::Result<()> {
    let text = "Why is the sky blue, and the sunset red?";
    let body = match path {
        "/v1/responses" => json!({ "model": model, "input": text }),
        _ => {
            json!({ "model": model, "max_tokens": 100, "messages": [{ "role": "user", "content": text }] })
        }
    };
    Request::post(path, &body.to_string()).send(port).map(drop)
}

/// Reads a streamed answer to its end, beside everything else.
pub(super) fn stream(port: u16, model: &str) -> JoinHandle<anyhow::Result<()>> {
    let body = json!({
        "model": model,
        "stream": true,
        "messages": [{ "role": "user", "content": "Tell me a story." }],
    });
    std::thread::spawn(move || {
        let reply = Request::post("/v1/chat/completions", &body.to_string()).send(port)?;
        ensure!(reply.body.contains("[DONE]"), "the answer is not whole");
        Ok(())
    })
}

/// Says something in a session.
pub(super) fn say(port: u16, session: &str, text: &str) -> anyhow::Result<()> {
    let body = json!({
        "model": "fake/echo",
        "session_id": session,
        "messages": [{ "role": "user", "content": text }],
    });
    let reply = Request::post("/v1/chat/completions", &body.to_string()).send(port)?;
    ensure!(reply.status == 200, "{}", reply.body);
    Ok(())
}

/// Enough of everything for a picture to show.
pub(super) fn plenty(port: u16) -> anyhow::Result<Vec<JoinHandle<anyhow::Result<()>>>> {
    let models = ["fake/echo", "fake/story", "fake/chunks-10-1ms", "fake/error-503", "fake/echo"];
    for round in 0..8 {
        for (at, model) in models.iter().enumerate() {
            let path = ["/v1/chat/completions", "/v1/responses", "/v1/messages"];
            if let Some(path) = path.get((round + at) % path.len()) {
                ask(port, path, model)?;
            }
        }
    }
    let made =
        Request::post("/v1/sessions", r#"{"context":{"taxonomy":"AI-ML_taxonomy"}}"#).send(port)?;
    let session: Value = serde_json::from_str(&made.body)?;
    for text in ["Which patterns limit rates?", "And which of them are fair?"] {
        let id = session.get("id").and_then(Value::as_str).unwrap_or_default();
        say(port, id, text)?;
    }
    Ok(["fake/chunks-80-100ms", "fake/chunks-60-150ms", "fake/chunks-90-100ms"]
        .iter()
        .map(|model| stream(port, model))
        .collect())
}
