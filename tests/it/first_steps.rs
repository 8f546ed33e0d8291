//! The first steps with the program: its banner, a file to begin with, a question in the terminal.

use gateway_tests::{DataDirectory, Setup, program};
use serde_json::Value;
use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

const KEY: &str = "sk-0123456789abcdef0123456789abcdef";

/// Runs the program in `folder` with these arguments, variables and input.
fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Output {
    let mut command = Command::new(program());
    command.args(arguments).current_dir(folder).env_clear().envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn banner_names_addresses_store_and_providers() {
    let setup = Setup::new().env("LLM_GATEWAY_BANNER", "true").env("OPENAI_API_KEY", KEY);
    let gateway = setup.start().await;
    let address = gateway.address();
    let banner = gateway.stderr();
    let lines: Vec<(&str, &str)> =
        banner.lines().filter_map(|line| line.trim().split_once("  ")).collect();
    let value = |name: &str| {
        let line = lines.iter().find(|(found, _)| *found == name);
        line.map_or_else(|| panic!("no {name} in {banner}"), |(_, value)| value.trim())
    };
    assert_eq!(value("Address"), format!("http://{address}"));
    assert_eq!(value("Console"), format!("http://{address}/console"));
    assert_eq!(value("API reference"), format!("http://{address}/docs"));
    assert_eq!(value("Store"), "memory, volatile");
    assert_eq!(value("Callers"), "need no key");
    let ready: Vec<&str> = value("Ready").split(", ").collect();
    assert!(ready.contains(&"openai") && ready.contains(&"fake"), "{banner}");
    assert!(value("Not ready").contains("anthropic (set ANTHROPIC_API_KEY)"), "{banner}");
    assert!(!banner.contains(KEY), "{banner}");
    // The log stays JSON, line by line.
    assert!(gateway.log().iter().all(Value::is_object));
    for path in ["/console", "/docs"] {
        assert_eq!(gateway.get(path).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn banner_is_for_terminals_unless_it_is_switched_on() {
    assert_eq!(Setup::new().start().await.stderr(), "");
}

#[tokio::test]
async fn banner_repeats_warnings() {
    let setup = Setup::new().env("LLM_GATEWAY_BANNER", "true");
    let gateway = setup.env("LLM_GATEWAY_WORKERS", "4").start().await;
    let banner = gateway.stderr();
    assert!(banner.contains("Warning") && banner.contains("LLM_GATEWAY_WORKERS"), "{banner}");
}

#[test]
fn init_writes_a_valid_file_once() {
    let folder = DataDirectory::new();
    let file = folder.path().join("gateway.toml");
    let made = run(folder.path(), &["init"], &[], "");
    assert!(made.status.success(), "{}", text(&made.stderr));
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.contains("\n# port = 8080\n") && written.contains("\n[server]\n"), "{written}");
    let checked = run(folder.path(), &["check"], &[], "");
    assert_eq!(text(&checked.stdout), "ok\n", "{}", text(&checked.stderr));

    fs::write(&file, "[log]\nlevel = \"warn\"\n").unwrap();
    let again = run(folder.path(), &["init"], &[], "");
    assert!(!again.status.success() && text(&again.stderr).contains("gateway.toml"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "[log]\nlevel = \"warn\"\n");
}

#[test]
fn init_writes_where_the_configuration_is_looked_for() {
    let folder = DataDirectory::new();
    let other = folder.path().join("other.toml");
    let named = other.to_str().unwrap();
    assert!(run(folder.path(), &["init"], &[("LLM_GATEWAY_CONFIG", named)], "").status.success());
    assert!(other.is_file() && !folder.path().join("gateway.toml").exists());
}

#[tokio::test]
async fn chat_streams_an_answer_with_tokens_cost_and_latency() {
    let gateway = Setup::new().client("app", KEY).start().await;
    let key = [("GATEWAY_KEY", KEY)];
    let home = gateway.home().to_owned();
    let asked = run(&home, &["chat", "fake/echo", "How", "high?"], &key, "");
    assert_eq!(text(&asked.stdout), "How high?\n", "{}", text(&asked.stderr));
    let figures = text(&asked.stderr);
    for part in [" tokens in, ", " out; ", "USD; first token after ", " ms, whole after "] {
        assert!(figures.contains(part), "{figures}");
    }
    assert!(!figures.contains('?'), "{figures}");

    let url = format!("http://{}", gateway.address());
    let arguments = ["chat", "fake/echo", "--url", &url, "--key-env", "OTHER"];
    let lines = run(&home, &arguments, &[("OTHER", KEY)], "one\n\ntwo\n");
    assert_eq!(text(&lines.stdout), "one\ntwo\n", "{}", text(&lines.stderr));
}

#[tokio::test]
async fn chat_reports_refusals_and_absent_gateways() {
    let gateway = Setup::new().client("app", KEY).start().await;
    let asked = run(gateway.home(), &["chat", "fake/echo", "x"], &[], "");
    assert!(!asked.status.success() && text(&asked.stdout).is_empty());
    assert!(text(&asked.stderr).contains("api_key"), "{}", text(&asked.stderr));
    let nowhere = ["chat", "m", "x", "--url", "http://127.0.0.1:1"];
    let asked = run(gateway.home(), &nowhere, &[], "");
    assert!(!asked.status.success());
    assert!(text(&asked.stderr).contains("http://127.0.0.1:1/"), "{}", text(&asked.stderr));
}

#[test]
fn completions_and_manual_name_every_command() {
    let folder = DataDirectory::new();
    let commands = ["serve", "check", "config", "init", "chat", "healthcheck", "completions"];
    for arguments in [&["completions", "bash"][..], &["completions", "zsh"], &["man"]] {
        let printed = run(folder.path(), arguments, &[], "");
        let printed = text(&printed.stdout);
        let missing: Vec<_> = commands.iter().filter(|it| !printed.contains(*it)).collect();
        assert!(missing.is_empty(), "{arguments:?}: {missing:?}");
    }
    assert!(!run(folder.path(), &["completions", "no-such-shell"], &[], "").status.success());
}
