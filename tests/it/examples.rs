//! Every example of the documentation, run as it stands there, against the real program.
//!
//! A block of shell, Python or JavaScript after a line `<!-- run -->` is run; one of TOML is always
//! checked as a configuration, and one of JSON always read. A block with `curl` that is not run
//! says why not: `<!-- not run: reason -->`.

use gateway_tests::{Setup, program};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{self, Command, Output},
};

/// The address of the gateway in examples.
const ADDRESS: &str = "127.0.0.1:8080";
const RUN: &str = "<!-- run -->";
const NOT_RUN: &str = "<!-- not run: ";

/// A block of code in a page.
#[derive(Debug)]
struct Example {
    place: String,
    language: String,
    mark: String,
    text: String,
}

/// The blocks of a page, each with the last line before it.
fn examples(page: &str, text: &str) -> Vec<Example> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut before = String::new();
    while let Some((number, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let block = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            found.push(Example {
                place: format!("{page}:{}", number + 1),
                language: language.to_owned(),
                mark: std::mem::take(&mut before),
                text: block.flat_map(|line| [line, "\n"]).collect(),
            });
        } else if !line.is_empty() {
            line.clone_into(&mut before);
        }
    }
    found
}

fn pages() -> Vec<Example> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = fs::read_dir(root.join("docs")).unwrap();
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|it| it == "md"));
    files.push(root.join("README.md"));
    files.sort();
    let read = |file: PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        examples(&name, &fs::read_to_string(&file).unwrap())
    };
    files.into_iter().flat_map(read).collect()
}

/// A directory that is gone afterwards.
struct ScratchDirectory(PathBuf);

impl ScratchDirectory {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("gateway-examples-{}-{name}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a block, which has half a minute.
fn run(example: &Example, address: &str, folder: &Path) -> Output {
    let text = example.text.replace(ADDRESS, address);
    let (interpreter, file) = match &*example.language {
        "sh" => (["sh", "-eu"].as_slice(), "example.sh"),
        "python" => (["python3"].as_slice(), "example.py"),
        "js" => (["node"].as_slice(), "example.mjs"),
        other => panic!("{}: nobody runs {other}", example.place),
    };
    fs::write(folder.join(file), text).unwrap();
    let mut command = Command::new("timeout");
    command.arg("30").args(interpreter).arg(file).current_dir(folder);
    command.env("GATEWAY", format!("http://{address}"));
    command.env("PATH", format!("{}:{}", program().parent().unwrap().display(), path()));
    command.output().unwrap()
}

fn path() -> String {
    std::env::var_os("PATH").unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a program can be run here: examples of SDKs need the SDK, which Python looks for
/// in its environment, and JavaScript beside the program, where what `NODE_PATH` names is put.
fn has_modules(example: &Example, folder: &Path) -> bool {
    if example.language == "js" {
        let installed = std::env::var_os("NODE_PATH").map(PathBuf::from);
        let found = installed.filter(|it| it.join("openai").is_dir());
        return found.is_some_and(|it| symlink(it, folder.join("node_modules")).is_ok());
    }
    let imports = example
        .text
        .lines()
        .filter(|line| line.starts_with("import ") || line.starts_with("from "));
    let modules: Vec<_> = imports.filter_map(|line| line.split_whitespace().nth(1)).collect();
    let script: String = modules.iter().flat_map(|it| ["import ", it, "\n"]).collect();
    let tried = Command::new("python3").args(["-c", &script]).output();
    tried.is_ok_and(|it| it.status.success())
}

#[tokio::test]
async fn marked_examples_run() {
    let gateway = Setup::new().start().await;
    let address = gateway.address().to_string();
    let scratch = ScratchDirectory::new("run");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for example in pages().iter().filter(|it| it.mark == RUN) {
        if example.language != "sh" && !has_modules(example, &scratch.0) {
            let left = format!("{}, left out: its modules are not here", example.language);
            *counts.entry(left).or_default() += 1;
            continue;
        }
        let output = run(example, &address, &scratch.0);
        let (told, failed) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}: {told}\n{failed}", example.place);
        *counts.entry(example.language.clone()).or_default() += 1;
    }
    println!("examples that ran: {counts:?}");
    assert!(counts.get("sh").is_some_and(|number| *number >= 8), "{counts:?}");
}

#[test]
fn example_configurations_are_valid() {
    let scratch = ScratchDirectory::new("toml");
    let mut number = 0;
    for example in pages().iter().filter(|it| it.language == "toml") {
        let file = scratch.0.join("gateway.toml");
        fs::write(&file, &example.text).unwrap();
        let mut check = Command::new(program());
        check.arg("check").arg("--config").arg(&file).env_clear().current_dir(&scratch.0);
        for (name, value) in variables(&example.text) {
            check.env(name, value);
        }
        let output = check.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {told}", example.place);
        number += 1;
    }
    println!("configurations that were checked: {number}");
    assert!(number >= 3);
}

/// Values for the variables that a file names, so that they are there. No two are equal.
fn variables(text: &str) -> Vec<(&str, String)> {
    let named = text.lines().filter(|line| line.contains("key_env"));
    let quoted = named.flat_map(|line| line.split('"').skip(1).step_by(2));
    quoted.map(|name| (name, format!("{name}-0123456789abcdef0123456789abcdef"))).collect()
}

#[test]
fn example_json_is_valid() {
    for example in pages().iter().filter(|it| it.language == "json") {
        let values = serde_json::Deserializer::from_str(&example.text);
        for value in values.into_iter::<serde_json::Value>() {
            assert!(value.is_ok(), "{}: {value:?}", example.place);
        }
    }
}

#[test]
fn skipped_examples_state_reason() {
    for example in pages().iter().filter(|it| it.text.contains("curl")) {
        let said = example.mark == RUN || example.mark.starts_with(NOT_RUN);
        assert!(said, "{}: neither run nor excused: {}", example.place, example.mark);
    }
}

#[test]
fn example_blocks_are_parsed_with_marks() {
    let found = examples("x.md", "a\n\n<!-- run -->\n```sh\none\ntwo\n```\n```json\n{}\n```\n");
    let seen: Vec<_> = found.iter().map(|it| (&*it.language, &*it.mark, &*it.text)).collect();
    assert_eq!(seen, [("sh", RUN, "one\ntwo\n"), ("json", "", "{}\n")]);
    assert_eq!(found[0].place, "x.md:4");
}
