//! A browser without a window, driven over `WebDriver`. See <https://www.w3.org/TR/webdriver2/>.

use crate::{
    clock::{Stopwatch, pause},
    http::Request,
    process::{Background, free_port},
    workspace::program,
};
use anyhow::{Context as _, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command, time::Duration};

/// The start timeout of the driver.
const START: Duration = Duration::from_secs(30);
/// The timeout for an element to appear on a page.
const PATIENCE: Duration = Duration::from_secs(20);

/// Without a window, without a sandbox (which root has not), and without anything that would call
/// home.
const ARGUMENTS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1440,1000",
];

/// A session of a browser; dropping it ends it.
#[derive(Debug)]
pub(super) struct Browser {
    port: u16,
    session: String,
    _driver: Background,
}

impl Browser {
    /// Starts one, with a profile of its own in `folder`.
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        let driver = program("chromedriver").context("there is no chromedriver")?;
        let chromium = program("chromium").context("there is no chromium")?;
        let port = free_port()?;
        let mut command = Command::new(driver);
        command.arg(format!("--port={port}"));
        let mut driver = Background::start("chromedriver", &mut command, folder)?;
        driver.answers(port, "/status", START)?;
        let profile = folder.join("profile");
        let mut arguments: Vec<String> = ARGUMENTS.iter().map(ToString::to_string).collect();
        arguments.push(format!("--user-data-dir={}", profile.display()));
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
        }}});
        let mut browser = Self { port, session: String::new(), _driver: driver };
        let made = browser.command("POST", "/session", &capabilities)?;
        let session = made.get("sessionId").and_then(Value::as_str).context("no session")?;
        browser.session = format!("/session/{session}");
        Ok(browser)
    }

    /// Goes to an address.
    pub(super) fn open(&self, url: &str) -> anyhow::Result<()> {
        self.ask("POST", "/url", &json!({ "url": url })).map(drop)
    }

    /// The value of the script's `return`.
    pub(super) fn run(&self, script: &str) -> anyhow::Result<Value> {
        self.ask("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until the expression is true, and says what it was otherwise.
    pub(super) fn until(&self, expression: &str) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        let script = format!("return {expression}");
        let mut last = Value::Null;
        while watch.elapsed() < PATIENCE {
            last = self.run(&script)?;
            if !matches!(last, Value::Null | Value::Bool(false)) && last != json!(0) {
                return Ok(());
            }
            pause(Duration::from_millis(50));
        }
        bail!("never true (at last {last}): {expression}")
    }

    /// Presses keys, one after the other.
    pub(super) fn press(&self, keys: &[char]) -> anyhow::Result<()> {
        let strokes = keys.iter().flat_map(|key| {
            ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
        });
        let strokes: Vec<Value> = strokes.collect();
        let actions = json!({ "actions": [{ "type": "key", "id": "keys", "actions": strokes }] });
        self.ask("POST", "/actions", &actions).map(drop)
    }

    /// Writes a picture of the page, as long as it is.
    pub(super) fn picture(&self, file: &Path) -> anyhow::Result<()> {
        let height = self.run("return Math.max(1000, document.documentElement.scrollHeight)")?;
        let size = json!({ "width": 1440, "height": height.as_u64().unwrap_or(1000).min(3000) });
        self.ask("POST", "/window/rect", &size)?;
        let picture = self.ask("GET", "/screenshot", &Value::Null)?;
        let bytes = STANDARD.decode(picture.as_str().context("no picture")?)?;
        fs::write(file, bytes).with_context(|| file.display().to_string())?;
        self.ask("POST", "/window/rect", &json!({ "width": 1440, "height": 1000 })).map(drop)
    }

    /// Returns the errors of the page since the last call.
    pub(super) fn complaints(&self) -> anyhow::Result<Vec<String>> {
        let log = self.ask("POST", "/se/log", &json!({ "type": "browser" }))?;
        let severe = log.as_array().into_iter().flatten().filter(|it| it["level"] == "SEVERE");
        Ok(severe.map(|it| it["message"].as_str().unwrap_or_default().to_owned()).collect())
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.command(method, &format!("{}{path}", self.session), body)
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let reply = Request::post(path, &text).method(method).send(self.port)?;
        let mut told: Value = serde_json::from_str(&reply.body)?;
        let value = told.get_mut("value").map(Value::take).unwrap_or_default();
        ensure!(reply.status == 200, "{method} {path}: {value}");
        Ok(value)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ended = self.ask("DELETE", "", &Value::Null);
    }
}
