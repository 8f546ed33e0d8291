//! The release program as a newcomer has it: no key, no service, no configuration.

use crate::{
    gateway::{Binary, Gateway},
    http::{Reply, Request},
    tally::Tally,
    terminal::say,
    test,
    workspace::Workspace,
};
use anyhow::{Context as _, ensure};
use serde_json::Value;

/// The arguments of `smoke`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    binary: Binary,
}

/// A request, and the check of its response.
struct Check {
    request: Request<'static>,
    holds: fn(&Reply) -> anyhow::Result<()>,
}

const CHAT: &str = "/v1/chat/completions";
const HELLO: &str = r#"{"model":"fake/echo","messages":[{"role":"user","content":"hello there"}]}"#;
const HELLO_STREAMED: &str =
    r#"{"model":"fake/echo","stream":true,"messages":[{"role":"user","content":"hello there"}]}"#;
const NO_MESSAGES: &str = r#"{"model":"fake/echo"}"#;
const NO_MODEL: &str = r#"{"model":"no-such-model","messages":[{"role":"user","content":"x"}]}"#;

/// Starts the program and asks it everything.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let program = arguments.binary.path(workspace)?;
    let gateway = Gateway::start(&program, None, &workspace.scratch("smoke")?)?;
    say(format!("the gateway answered after {:?}", gateway.started_in));
    let tally: Tally = checks().iter().map(|check| check.run(gateway.port)).sum();
    if tally.failed > 0 {
        say(format!("the gateway said:\n{}", gateway.process.last_words()));
    }
    say(tally.to_string());
    test::judge(tally)
}

fn checks() -> Vec<Check> {
    let check = |request, holds| Check { request, holds };
    vec![
        check(Request::get("/health"), |reply| json(reply, 200).map(drop)),
        check(Request::get("/"), |reply| json(reply, 200).map(drop)),
        check(Request::get("/v1/models"), models),
        check(Request::get("/v1/models/fake/echo"), |reply| json(reply, 200).map(drop)),
        check(Request::get("/v1/models/no-such-model"), |reply| error(reply, 404)),
        check(Request::get("/v1/providers"), |reply| json(reply, 200).map(drop)),
        check(Request::post(CHAT, HELLO), whole),
        check(Request::post(CHAT, HELLO_STREAMED), check_stream),
        check(Request::post(CHAT, NO_MESSAGES), |reply| error(reply, 400)),
        check(Request::post(CHAT, NO_MODEL), |reply| error(reply, 404)),
        check(Request::post(CHAT, "{\"model\":"), |reply| error(reply, 400)),
        check(Request::get(CHAT), not_allowed),
        check(Request::post("/health", "{}").method("PUT"), not_allowed),
        check(Request::get("/no/such/path"), |reply| error(reply, 404)),
        check(Request::get("/metrics"), metrics),
    ]
}

impl Check {
    fn run(&self, port: u16) -> Tally {
        let reply = self.request.send(port);
        let seen = reply.as_ref().map(summary).unwrap_or_default();
        let result = reply.and_then(|reply| (self.holds)(&reply));
        let (request, passed) = (&self.request, result.is_ok());
        match result {
            Ok(()) => say(format!("ok    {request}: {seen}")),
            Err(error) => say(format!("FAIL  {request}: {error:#}: {seen}")),
        }
        Tally::one(passed)
    }
}

/// A reply in a line.
fn summary(reply: &Reply) -> String {
    let body: String = reply.body.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = body.chars().take(100).collect();
    format!("{} {short}", reply.status)
}

fn json(reply: &Reply, status: u16) -> anyhow::Result<Value> {
    ensure!(reply.status == status, "not {status}");
    let kind = reply.header("content-type");
    ensure!(kind.starts_with("application/json"), "`{kind}` is not JSON");
    serde_json::from_str(&reply.body).context("the body is not JSON")
}

fn error(reply: &Reply, status: u16) -> anyhow::Result<()> {
    let body = json(reply, status)?;
    let message = body.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
    ensure!(!message.is_empty(), "the error has no message");
    Ok(())
}

fn not_allowed(reply: &Reply) -> anyhow::Result<()> {
    ensure!(!reply.header("allow").is_empty(), "no `allow` header");
    error(reply, 405)
}

fn models(reply: &Reply) -> anyhow::Result<()> {
    let body = json(reply, 200)?;
    let listed = body.pointer("/data").and_then(Value::as_array).map_or(0, Vec::len);
    ensure!(listed > 0, "no model is listed");
    Ok(())
}

fn metrics(reply: &Reply) -> anyhow::Result<()> {
    ensure!(reply.status == 200, "not 200");
    ensure!(reply.body.contains("# TYPE "), "no metric is described");
    Ok(())
}

fn whole(reply: &Reply) -> anyhow::Result<()> {
    let body = json(reply, 200)?;
    let said = body.pointer("/choices/0/message/content").and_then(Value::as_str);
    ensure!(said == Some("hello there"), "the answer is {said:?}");
    let finish = body.pointer("/choices/0/finish_reason").and_then(Value::as_str);
    ensure!(finish == Some("stop"), "the answer finished with {finish:?}");
    Ok(())
}

fn check_stream(reply: &Reply) -> anyhow::Result<()> {
    let kind = reply.header("content-type");
    ensure!(reply.status == 200 && kind.starts_with("text/event-stream"), "`{kind}` is no stream");
    let events: Vec<&str> =
        reply.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let (last, chunks) = events.split_last().context("the stream is empty")?;
    ensure!(*last == "[DONE]", "the stream ends with {last}");
    let mut text = String::new();
    for chunk in chunks {
        let chunk: Value = serde_json::from_str(chunk)?;
        let delta = chunk.pointer("/choices/0/delta/content").and_then(Value::as_str);
        text.push_str(delta.unwrap_or_default());
    }
    ensure!(text == "hello there", "the answer is `{text}`");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check_stream, error, not_allowed, whole};
    use crate::http::Reply;

    type ReplyCheck = fn(&Reply) -> anyhow::Result<()>;

    /// `headers` are `name: value`, separated by `;`. `wrong` is a part of the complaint.
    fn check(holds: ReplyCheck, status: u16, headers: &str, body: &str, wrong: Option<&str>) {
        let headers = headers.split(';').filter_map(|header| header.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let complaint = holds(&Reply { status, headers, body: body.to_owned() }).err();
        let complaint = complaint.map(|error| error.to_string());
        match (complaint, wrong) {
            (None, None) => {}
            (Some(complaint), Some(part)) if complaint.contains(part) => {}
            (complaint, wrong) => panic!("{complaint:?}, not {wrong:?}"),
        }
    }

    const JSON: &str = "content-type: application/json";
    const SSE: &str = "content-type: text/event-stream";
    const ANSWER: &str =
        r#"{"choices":[{"message":{"content":"hello there"},"finish_reason":"stop"}]}"#;
    const CHUNK: &str = r#"data: {"choices":[{"delta":{"content":"hello there"}}]}"#;

    #[test]
    fn smoke_check_compares_answer_text() {
        check(whole, 200, JSON, ANSWER, None);
        check(whole, 200, JSON, &ANSWER.replace("there", "where"), Some("the answer is"));
        check(whole, 200, JSON, &ANSWER.replace("stop", "length"), Some("finished with"));
        check(whole, 200, "content-type: text/plain", ANSWER, Some("not JSON"));
    }

    #[test]
    fn stream_needs_its_end_marker() {
        check(check_stream, 200, SSE, &format!("{CHUNK}\n\ndata: [DONE]\n\n"), None);
        check(check_stream, 200, SSE, &format!("{CHUNK}\n\n"), Some("ends with"));
        check(check_stream, 200, SSE, "data: [DONE]\n\n", Some("the answer is"));
        check(check_stream, 200, JSON, ANSWER, Some("no stream"));
    }

    #[test]
    fn smoke_check_requires_error_message() {
        check(|reply| error(reply, 404), 404, JSON, r#"{"error":{"message":"no"}}"#, None);
        check(|reply| error(reply, 404), 404, JSON, "{}", Some("no message"));
        check(|reply| error(reply, 404), 200, JSON, "{}", Some("not 404"));
        check(not_allowed, 405, JSON, r#"{"error":{"message":"no"}}"#, Some("allow"));
    }
}
