//! Every dialect of callers before every dialect of providers, a story at a time: what is asked
//! arrives, and what is answered is heard.
//!
//! To see the table: `cargo nextest run -p gateway-tests matrix --no-capture`.

mod caller;
mod clis;
mod hearing;
mod story;

use self::{caller::CallerDialect, story::MatrixCase};
use gateway_tests::{Dialect, Gateway, Setup, Upstream, request};
use std::io::Write as _;

/// A provider for each dialect, called by its name, all at one upstream.
async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let url = upstream.url();
    let mut setup = Dialect::ALL.into_iter().fold(Setup::new(), |setup, dialect| {
        let name = format!("lab-{}", dialect.name());
        setup.provider(&name, &url)
    });
    for (dialect, key, value) in [
        (Dialect::Responses, "api", "responses"),
        (Dialect::Messages, "kind", "anthropic"),
        (Dialect::Gemini, "kind", "gemini"),
        (Dialect::Ollama, "kind", "ollama"),
    ] {
        setup = setup.set(&format!("providers.lab-{}", dialect.name()), key, value);
    }
    // Who offers both of OpenAI's APIs is asked in the caller's own, unless the model wants one.
    setup = setup.model("m-responses", "lab-responses", "responses");
    (upstream, setup.start().await)
}

/// The model of a provider that speaks `dialect`.
fn model(dialect: Dialect) -> String {
    if dialect == Dialect::Responses {
        return "m-responses".to_owned();
    }
    format!("lab-{}/m", dialect.name())
}

/// Returns the defect of one cell, if there is one.
async fn check(
    (upstream, gateway): &(Upstream, Gateway),
    (caller, dialect): (CallerDialect, Dialect),
    story: &MatrixCase,
    stream: bool,
) -> Result<(), String> {
    upstream.next(story.plays(dialect, stream));
    let mut body = caller.ask(story.wish);
    body["model"] = model(dialect).into();
    body["stream"] = stream.into();
    let headers = [("Content-Type", "application/json")];
    let before = upstream.exchanges().len();
    let ask = request("POST", caller.path(), &headers, body.to_string().as_bytes());
    let reply = gateway.send(ask).await;
    let exchanges = upstream.exchanges();
    let [sent] = exchanges.get(before..).unwrap_or_default() else {
        return Err(format!("asked {} times: {}", exchanges.len() - before, reply.text()));
    };
    for needle in story.arrives(dialect) {
        if !sent.text().contains(needle) {
            return Err(format!("{needle} does not arrive: {}", sent.text()));
        }
    }
    let heard = hearing::heard(caller, &reply);
    let expected = story.heard(stream);
    if heard == expected {
        Ok(())
    } else {
        Err(format!("heard {heard}, not {expected}: {}", reply.text()))
    }
}

#[tokio::test]
async fn every_inbound_dialect_reaches_every_provider() {
    let bench = start().await;
    let mut table = vec![format!("{:34}", "")];
    table[0].extend(Dialect::ALL.map(|dialect| format!("{:11}", dialect.name())));
    let mut wrong = Vec::new();
    for caller in CallerDialect::ALL {
        for story in &MatrixCase::all() {
            for stream in [false, true] {
                let how = if stream { "streamed" } else { "whole" };
                let mut cells = vec![format!("{:10} {:14} {how:9}", caller.name(), story.name)];
                for dialect in Dialect::ALL {
                    let told = check(&bench, (caller, dialect), story, stream).await;
                    cells.push(format!("{:11}", if told.is_ok() { "ok" } else { "WRONG" }));
                    let place =
                        format!("{} {} {how} {}", caller.name(), story.name, dialect.name());
                    wrong.extend(told.err().map(|told| format!("{place}: {told}")));
                }
                table.push(cells.concat());
            }
        }
    }
    writeln!(std::io::stdout(), "{}", table.join("\n")).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
