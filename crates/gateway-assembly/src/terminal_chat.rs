//! A conversation with a model through a running gateway, in the terminal.

use crate::{healthcheck::reachable, providers};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use gateway_config::Config;
use gateway_core::MemoryBudget;
use gateway_net::client::{ClientSettings, HttpClient, RequestTemplate, read_roots};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};
use std::{
    future::poll_fn,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// The maximum size of an error reply.
const MAX_ERROR: usize = 64 << 10;

/// The model, the message and the options of a chat.
#[derive(Clone, Debug)]
pub struct TerminalChat {
    /// The model, such as `fake/echo`.
    pub model: String,
    /// The message; without one, each line of the standard input is a turn of one conversation.
    pub message: Option<String>,
    /// The address of the gateway; default: that of the configuration.
    pub url: Option<String>,
    /// The API key of the caller.
    pub key: Option<String>,
}

/// Sends the message, or each line of the standard input, to the gateway of this configuration, and
/// prints the answers as they come; tokens, cost and latency go to the standard error.
///
/// # Errors
///
/// If the gateway cannot be reached, or answers with an error.
pub fn terminal_chat(config: &Config, chat: &TerminalChat) -> anyhow::Result<()> {
    let mut conversation = ChatSession::new(config, chat)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(message) = &chat.message {
        return runtime.block_on(conversation.turn(message));
    }
    let is_prompted = io::stdin().is_terminal();
    loop {
        if is_prompted {
            write!(io::stderr(), "> ")?;
        }
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(());
        }
        if !line.trim().is_empty() {
            runtime.block_on(conversation.turn(line.trim()))?;
        }
    }
}

/// Returns the address of the gateway of this configuration. Certificates are rarely for an IP address,
/// so with TLS this machine is called by its name.
fn address(config: &Config) -> String {
    let address = reachable(config.server.host, config.server.port);
    match (config.tls.certificate(), address.ip().is_loopback()) {
        (None, _) => format!("http://{address}"),
        (Some(_), true) => format!("https://localhost:{}", address.port()),
        (Some(_), false) => format!("https://{address}"),
    }
}

/// Returns the settings of the connection, which trusts the authorities of upstreams and those of the
/// gateway's own certificate.
fn connections(config: &Config) -> anyhow::Result<ClientSettings> {
    let mut settings = providers::connections(config, Arc::new(MemoryBudget::unlimited()))?;
    if let Some((certificate, _)) = config.tls.certificate() {
        settings.extra_roots.extend(read_roots(certificate)?);
    }
    Ok(settings)
}

/// A conversation with one model.
struct ChatSession<'a> {
    client: HttpClient,
    template: RequestTemplate,
    model: &'a str,
    messages: Vec<Value>,
}

impl<'a> ChatSession<'a> {
    fn new(config: &Config, chat: &'a TerminalChat) -> anyhow::Result<Self> {
        let client = HttpClient::new(&connections(config)?)?;
        let base = chat.url.clone().unwrap_or_else(|| address(config));
        let url = format!("{}/v1/chat/completions", base.trim_end_matches('/'));
        let uri = url.parse().with_context(|| format!("`{base}` is not an address"))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-gateway-usage", HeaderValue::from_static("true"));
        if let Some(key) = &chat.key {
            let bearer = HeaderValue::try_from(format!("Bearer {key}"));
            let mut bearer = bearer.context("the key cannot be sent in a header")?;
            bearer.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, bearer);
        }
        let template = client.prepare(Method::POST, uri, headers)?;
        Ok(Self { client, template, model: &chat.model, messages: Vec::new() })
    }

    /// Sends a message and prints the answer.
    async fn turn(&mut self, message: &str) -> anyhow::Result<()> {
        self.messages.push(json!({ "role": "user", "content": message }));
        let body = json!({ "model": self.model, "stream": true, "messages": self.messages });
        let body = [Bytes::from(body.to_string())];
        let begun = Instant::now();
        let sent = self.client.send(&self.template, std::iter::empty(), &body);
        let uri = self.template.uri();
        let response = sent.await.with_context(|| {
            format!("no gateway answers at {uri}; start one with `gateway-server`, or name it with --url")
        })?;
        let mut body = response.body;
        if response.head.status != http::StatusCode::OK {
            bail!(error_message(&body.collect(MAX_ERROR).await?));
        }
        let mut answer = ReceivedReply::default();
        while let Some(data) = poll_fn(|cx| body.poll_data(cx)).await {
            let text = answer.read(&data?, begun)?;
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
        writeln!(io::stdout())?;
        writeln!(io::stderr(), "{}", answer.figures(begun.elapsed()))?;
        self.messages.push(json!({ "role": "assistant", "content": answer.text }));
        Ok(())
    }
}

/// An answer, as far as it has come.
#[derive(Debug, Default)]
struct ReceivedReply {
    /// The bytes after the last complete line.
    rest: Vec<u8>,
    text: String,
    first_token: Option<Duration>,
    report: Option<Value>,
}

impl ReceivedReply {
    /// Reads bytes of the stream; returns the text in them.
    fn read(&mut self, data: &Bytes, begun: Instant) -> anyhow::Result<String> {
        self.rest.extend_from_slice(data);
        let mut new = String::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let Some(event) = line.strip_prefix(b"data: ") else { continue };
            let Ok(event) = serde_json::from_slice::<Value>(event) else { continue };
            if event.get("error").is_some() {
                bail!(error_message(event.to_string().as_bytes()));
            }
            if let Some(report) = event.get("x_gateway") {
                self.report = Some(report.clone());
            }
            let text = event.pointer("/choices/0/delta/content").and_then(Value::as_str);
            new.push_str(text.unwrap_or_default());
        }
        if !new.is_empty() && self.first_token.is_none() {
            self.first_token = Some(begun.elapsed());
        }
        self.text.push_str(&new);
        Ok(new)
    }

    /// Returns tokens, cost and latency in a line.
    fn figures(&self, total: Duration) -> String {
        let report = self.report.as_ref();
        let tokens = |name: &str| {
            let number = report.and_then(|it| it.get(name)?.as_u64());
            number.map_or_else(|| "?".to_owned(), |number| number.to_string())
        };
        let cost = report.and_then(|it| it.get("cost_usd")?.as_str());
        let cost = cost.map_or_else(|| "cost unknown".to_owned(), |cost| format!("{cost} USD"));
        let first = self.first_token.unwrap_or(total).as_millis();
        format!(
            "{} tokens in, {} out; {cost}; first token after {first} ms, whole after {} ms",
            tokens("prompt_tokens"),
            tokens("completion_tokens"),
            total.as_millis(),
        )
    }
}

/// Returns the message and the code of an error reply.
fn error_message(body: &[u8]) -> String {
    let reply: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| reply.pointer(&format!("/error/{name}")).and_then(Value::as_str);
    let message = text("message").unwrap_or("the gateway answered with an error");
    text("code").map_or_else(|| message.to_owned(), |code| format!("{message} ({code})"))
}

#[cfg(test)]
mod tests {
    use super::{ReceivedReply, error_message};
    use bytes::Bytes;
    use std::time::Duration;
    use tokio::time::Instant;

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi \"}}]}\n\n\
        : a comment\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"th\u{e9}re\"}}]}\n\n\
        data: {\"choices\":[],\"x_gateway\":{\"prompt_tokens\":3,\"completion_tokens\":2,\
        \"cost_usd\":\"0.001\"}}\n\ndata: [DONE]\n\n";

    #[test]
    fn answer_is_the_same_however_it_is_cut() {
        for cut in 0..STREAM.len() {
            let (one, two) = STREAM.as_bytes().split_at(cut);
            let mut answer = ReceivedReply::default();
            for part in [one, two] {
                answer.read(&Bytes::copy_from_slice(part), Instant::now()).unwrap();
            }
            assert_eq!(answer.text, "Hi th\u{e9}re", "{cut}");
            let figures = answer.figures(Duration::from_millis(7));
            assert!(figures.starts_with("3 tokens in, 2 out; 0.001 USD; "), "{figures}");
        }
    }

    #[test]
    fn unknown_figures_are_not_invented() {
        let figures = ReceivedReply::default().figures(Duration::from_millis(7));
        assert!(figures.starts_with("? tokens in, ? out; cost unknown; "), "{figures}");
    }

    #[test]
    fn error_in_a_stream_ends_the_turn() {
        let event = Bytes::from_static(b"data: {\"error\":{\"message\":\"no\",\"code\":\"c\"}}\n");
        let error = ReceivedReply::default().read(&event, Instant::now()).unwrap_err();
        assert_eq!(error.to_string(), "no (c)");
        assert_eq!(error_message(b"<html>"), "the gateway answered with an error");
    }
}
