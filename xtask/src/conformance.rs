//! Recorded traffic of real providers, replayed to the gateway, whose answers are compared with
//! what was recorded.
//!
//! ```text
//! conformance.py -> gateway -> replay.py
//! ```

use crate::{
    gateway::{Binary, Gateway, Provider, Settings},
    needs,
    process::{Background, free_port, python, tee},
    tally::Tally,
    terminal::say,
    test,
    workspace::Workspace,
};
use anyhow::{Context as _, ensure};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use xshell::cmd;

/// The timeout for the replay server to read the recordings.
const LOADING: Duration = Duration::from_mins(1);

/// The arguments of `conformance`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The recordings: a folder, or one packed as .tar.zst
    #[arg(long)]
    corpus: PathBuf,
    /// The folder of `replay.py` and `conformance.py` [default: ../shared/conformance]
    #[arg(long)]
    tools: Option<PathBuf>,
    /// The dialects in which to ask, a run each: chat, responses, responses-x, messages-x
    #[arg(long, value_delimiter = ',', default_value = "chat")]
    ingress: Vec<String>,
    /// Fragmentation of the replayed bytes, one run each: event, byte, random, whole
    #[arg(long, value_delimiter = ',', default_value = "event")]
    frag: Vec<String>,
    /// Replay these providers' recordings only
    #[arg(long)]
    providers: Option<String>,
    /// Replay these recordings only
    #[arg(long)]
    ids: Option<String>,
    /// At most so many recordings of each provider
    #[arg(long)]
    limit: Option<u32>,
    /// Compare what the gateway sent, too
    #[arg(long)]
    check_sent: bool,
    /// Give up a run after so many minutes; what is missing then has failed
    #[arg(long)]
    minutes: Option<u32>,
    /// Hold answers to the letter of the published schemas
    #[arg(long)]
    strict_schema: bool,
    #[command(flatten)]
    binary: Binary,
}

/// One run of the replay.
struct Run<'a> {
    ingress: &'a str,
    frag: &'a str,
}

/// Replays everything; fails if any answer differs.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let tools = workspace.tools(arguments.tools.as_deref(), "conformance")?;
    let folder = workspace.scratch("conformance")?;
    let corpus = corpus(workspace, &arguments.corpus)?;
    let interpreter = needs::python_with_jsonschema(workspace)?;
    let program = arguments.binary.path(workspace)?;
    let (_replay, replay) = start_replay(&interpreter, &tools, &corpus, &folder)?;
    let gateway = Gateway::start(&program, Some(&settings(replay)), &folder)?;
    let mut tally = Tally::default();
    for run in runs(arguments) {
        say(format!("conformance: ingress {}, cut by {}", run.ingress, run.frag));
        let mut checker = limited(arguments.minutes, &interpreter, &tools.join("conformance.py"));
        checker.args(flags(arguments, &run, &corpus, gateway.port, replay));
        checker.arg("--out").arg(folder.join(format!("{}-{}.jsonl", run.ingress, run.frag)));
        let (status, output) = tee(&mut checker)?;
        tally = tally + counted(&output).ended(status.success());
    }
    say(format!("details: {}", folder.display()));
    say(tally.to_string());
    test::judge(tally)
}

fn runs(arguments: &Arguments) -> Vec<Run<'_>> {
    let ingresses = arguments.ingress.iter();
    let runs =
        ingresses.flat_map(|ingress| arguments.frag.iter().map(move |frag| Run { ingress, frag }));
    runs.collect()
}

/// The checker, which is ended after some minutes if there are any.
fn limited(minutes: Option<u32>, interpreter: &Path, script: &Path) -> Command {
    let python = python(interpreter, script);
    let Some(minutes) = minutes else { return python };
    let mut command = Command::new("timeout");
    command.arg(format!("{minutes}m")).arg(python.get_program()).args(python.get_args());
    command.envs(python.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

fn start_replay(
    interpreter: &Path,
    tools: &Path,
    corpus: &Path,
    folder: &Path,
) -> anyhow::Result<(Background, u16)> {
    let port = free_port()?;
    let mut server = python(interpreter, &tools.join("replay.py"));
    server.arg("--corpus").arg(corpus).args(["--port", &port.to_string()]);
    let mut replay = Background::start("replay", &mut server, folder)?;
    replay.answers(port, "/__health", LOADING)?;
    Ok((replay, port))
}

fn flags(
    arguments: &Arguments,
    run: &Run<'_>,
    corpus: &Path,
    gateway: u16,
    replay: u16,
) -> Vec<OsString> {
    let mut flags: Vec<OsString> = vec!["--corpus".into(), corpus.into()];
    let mut add = |name: &str, value: Option<String>| {
        flags.push(name.into());
        flags.extend(value.map(OsString::from));
    };
    add("--split", Some("all".to_owned()));
    add("--gateway", Some(format!("http://127.0.0.1:{gateway}")));
    add("--replay", Some(format!("http://127.0.0.1:{replay}")));
    add("--ingress", Some(run.ingress.to_owned()));
    add("--frag", Some(run.frag.to_owned()));
    for (name, value) in [("--providers", &arguments.providers), ("--ids", &arguments.ids)] {
        if value.is_some() {
            add(name, value.clone());
        }
    }
    if let Some(limit) = arguments.limit {
        add("--limit", Some(limit.to_string()));
    }
    for (name, wanted) in
        [("--check-sent", arguments.check_sent), ("--strict-schema", arguments.strict_schema)]
    {
        if wanted {
            add(name, None);
        }
    }
    flags
}

/// Every provider is the replay server. Those that speak OpenAI's dialect have its version in
/// their address.
fn settings(replay: u16) -> Settings {
    let provider = |name, path: &str| Provider {
        name,
        base_url: format!("http://127.0.0.1:{replay}{path}"),
        api_key: "sk-replay",
    };
    let bare = ["anthropic", "gemini", "ollama", "llamacpp", "inference"];
    let versioned = ["openai", "deepseek", "openrouter", "groq", "mistral", "xai", "perplexity"];
    let providers = bare.into_iter().map(|name| provider(name, ""));
    let providers = providers.chain(versioned.into_iter().map(|name| provider(name, "/v1")));
    Settings { providers: providers.collect(), ..Settings::default() }
}

/// The recordings' folder; unpacked, if they are packed and were not unpacked since.
fn corpus(workspace: &Workspace, given: &Path) -> anyhow::Result<PathBuf> {
    let given = fs::canonicalize(given).with_context(|| given.display().to_string())?;
    if given.is_dir() {
        return Ok(given);
    }
    let folder = workspace.scratch("corpus")?;
    let index = folder.join("index.json");
    if !is_newer(&folder.join(".unpacked"), &given) {
        needs::zstd(&workspace.shell)?;
        cmd!(workspace.shell, "tar -I zstd -xf {given} -C {folder}").run()?;
        fs::write(folder.join(".unpacked"), "")?;
    }
    ensure!(index.is_file(), "{} holds no index.json", given.display());
    Ok(folder)
}

fn is_newer(file: &Path, than: &Path) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|file| file.modified());
    matches!((time(file), time(than)), (Ok(file), Ok(than)) if file > than)
}

/// Reads `3 passed, 1 failed, 2 skipped  (0s, ...)`.
fn counted(output: &str) -> Tally {
    output.lines().find_map(Tally::leading).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Arguments, counted, flags, limited, runs, settings};
    use clap::Parser;
    use std::path::Path;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Arguments {
        let words = format!("x --corpus c {line}");
        Line::parse_from(words.split_whitespace()).arguments
    }

    fn passed_on(line: &str) -> String {
        let arguments = parse(line);
        let run = &runs(&arguments)[0];
        let flags = flags(&arguments, run, Path::new("c"), 1, 2);
        let flags: Vec<&str> = flags.iter().map(|flag| flag.to_str().unwrap()).collect();
        flags.join(" ")
    }

    #[test]
    fn there_is_a_run_for_each_dialect_and_cut() {
        let count = |line: &str| runs(&parse(line)).len();
        assert_eq!(count(""), 1);
        assert_eq!(count("--ingress chat,messages-x --frag event,byte,random"), 6);
    }

    #[test]
    fn flags_are_passed_on() {
        let plain = "--corpus c --split all --gateway http://127.0.0.1:1 \
                     --replay http://127.0.0.1:2 --ingress chat --frag event";
        assert_eq!(passed_on(""), plain);
        let more = "--providers openai,groq --limit 9 --check-sent --strict-schema";
        assert_eq!(passed_on(more), format!("{plain} {more}"));
    }

    #[test]
    fn run_limit_is_passed_on() {
        let words = |minutes| {
            let command = limited(minutes, Path::new("python3"), Path::new("x.py"));
            format!("{command:?}").replace('"', "")
        };
        assert!(words(Some(8)).ends_with("timeout 8m python3 x.py"));
        assert!(words(None).ends_with("=1 python3 x.py"));
    }

    #[test]
    fn every_provider_is_the_replay_server() {
        let text = settings(7).text();
        assert!(text.contains("[providers.gemini]\nbase_url = \"http://127.0.0.1:7\"\n"), "{text}");
        assert!(
            text.contains("[providers.groq]\nbase_url = \"http://127.0.0.1:7/v1\"\n"),
            "{text}"
        );
        assert!(!text.contains("[[clients]]"), "{text}");
    }

    #[test]
    fn summary_is_parsed() {
        let output = "x\n12 passed, 3 failed, 4 skipped  (9s, ingress chat, split all)\n";
        assert_eq!(counted(output).to_string(), "12 passed, 3 failed");
        assert_eq!(counted("nothing").to_string(), "0 passed, 0 failed");
    }
}
