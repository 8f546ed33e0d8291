//! Whether views show what the gateway says: they are held against its own answers.

use super::{
    checks::{Page, click, content_has},
    traffic,
};
use crate::{clock::pause, http::Request};
use anyhow::{bail, ensure};
use serde_json::Value;
use std::time::Duration;

/// Returns the JSON of `GET path`.
fn fetch_json(page: &Page<'_>, path: &str) -> anyhow::Result<Value> {
    let reply = Request::get(path).send(page.port)?;
    ensure!(reply.status == 200, "{path}: {} {}", reply.status, reply.body);
    Ok(serde_json::from_str(&reply.body)?)
}

/// The accounts, once nothing is added any more: rows are written a little later.
fn accounts(page: &Page<'_>, path: &str) -> anyhow::Result<Vec<Value>> {
    let mut before = Value::Null;
    for _ in 0..50 {
        let now = fetch_json(page, path)?;
        let rows = now.get("data").and_then(Value::as_array).filter(|rows| !rows.is_empty());
        if let Some(rows) = rows.filter(|_| now == before) {
            return Ok(rows.clone());
        }
        before = now;
        pause(Duration::from_millis(300));
    }
    bail!("{path}: {before}")
}

/// Whether the table has a row that begins so.
fn has_row(cells: &[&str]) -> String {
    let expected = serde_json::json!(cells);
    format!(
        "[...document.querySelectorAll('#content tbody tr')].some((row) => \
         {expected}.every((text, at) => row.children[at].textContent === text))"
    )
}

pub(super) fn tells_usage(page: &Page<'_>) -> anyhow::Result<()> {
    traffic::ask(page.port, "/v1/chat/completions", "fake/echo")?;
    for by in ["model", "provider"] {
        let rows = accounts(page, &format!("/v1/usage?group_by={by}"))?;
        page.view("live")?;
        page.view("usage")?;
        page.run(&format!(
            "const it = document.getElementById('usage-by'); it.value = '{by}'; \
             it.dispatchEvent(new Event('change'))"
        ))?;
        for row in &rows {
            let name = row[by].as_str().filter(|name| !name.is_empty()).unwrap_or("\u{2013}");
            let number = |members: &[&str]| {
                members.iter().filter_map(|it| row[it].as_u64()).sum::<u64>().to_string()
            };
            let read = number(&["input_tokens", "cache_read_tokens", "cache_write_tokens"]);
            let written = number(&["output_tokens", "reasoning_tokens"]);
            page.until(&has_row(&[name, &number(&["requests"]), &read, &written]))?;
        }
        let used: u64 = rows.iter().filter_map(|row| row["total_tokens"].as_u64()).sum();
        ensure!(used > 0, "nothing was used");
    }
    // What the fake provider says costs nothing, and so has no bars.
    page.until("document.querySelector('#content').textContent.includes('None in this period')")?;
    page.run(
        "const it = document.getElementById('usage-measure'); it.value = 'tokens'; \
         it.dispatchEvent(new Event('change'))",
    )?;
    page.until("document.querySelectorAll('#content figure.chart > svg rect').length > 0")
}

pub(super) fn tries_tools(page: &Page<'_>) -> anyhow::Result<()> {
    let all = fetch_json(page, "/v1/tools")?.as_array().map_or(0, Vec::len);
    ensure!(all > 2, "there are {all} tools");
    page.view("tools")?;
    page.until(&format!(
        "document.querySelectorAll('#content .list [data-name]').length === {all}"
    ))?;
    page.run("document.querySelector('#content .list [data-name=echo]').click()")?;
    page.run("document.querySelector('#content form textarea').value = 'hello tool'")?;
    page.run(&click("Run"))?;
    page.until(&content_has(".pill.good", "succeeded"))?;
    page.until(&content_has("pre.block", "hello tool"))?;
    calculates(page, 2, 2)?;
    page.until(&content_has(".pill.good", "succeeded"))?;
    page.until(&content_has("pre.block", "\"operation\": \"divide\""))?;
    calculates(page, 1, 0)?;
    page.until(&content_has(".pill.bad", "failed"))?;
    page.until(&content_has(".notice.bad", "not a finite number"))
}

/// Divides in the form of the calculator.
fn calculates(page: &Page<'_>, a: u8, b: u8) -> anyhow::Result<()> {
    page.run("document.querySelector('#content .list [data-name=calculator]').click()")?;
    page.until("document.querySelectorAll('#content form input[type=number]').length === 2")?;
    page.run(&format!(
        "const [a, b] = document.querySelectorAll('#content form input[type=number]'); \
         a.value = '{a}'; b.value = '{b}'; \
         document.querySelector('#content form select').value = 'divide'"
    ))?;
    page.run(&click("Run"))?;
    Ok(())
}

pub(super) fn explains(page: &Page<'_>) -> anyhow::Result<()> {
    page.view("explain")?;
    for (dialect, path) in
        [("chat", "chat/completions"), ("responses", "responses"), ("messages", "messages")]
    {
        choose(page, "explain-dialect", dialect)?;
        page.run("document.getElementById('explain').click()")?;
        page.until(&content_has("pre.block", &format!("\"path\": \"/v1/{path}\"")))?;
        page.until(&has_row(&["fake", "echo", "asked"]))?;
    }
    choose(page, "explain-model", "no-such-model")?;
    page.run("document.getElementById('explain').click()")?;
    page.until(&content_has(".notice.bad", "no-such-model"))?;
    choose(page, "explain-model", "fake/story")?;
    page.run("document.getElementById('explain').click()")?;
    page.until(&has_row(&["fake", "story", "asked"]))
}

/// Sets a field as a user does.
fn choose(page: &Page<'_>, id: &str, value: &str) -> anyhow::Result<()> {
    page.run(&format!(
        "const it = document.getElementById('{id}'); it.value = '{value}'; \
         it.dispatchEvent(new Event('change'))"
    ))
    .map(drop)
}
