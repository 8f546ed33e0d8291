//! The engine in a program of another workspace, built against the crates as they lie here or as
//! they are packed.

use crate::{package, terminal::say, workspace::Workspace};
use anyhow::{Context as _, ensure};
use std::{fmt::Write as _, fs, path::Path};
use xshell::cmd;

/// The folder of the program.
const HOST: &str = "tests/embedding";

/// The file that an embedder writes.
const SERVICE: &str = "tests/embedding/src/service.rs";

/// The arguments of `embed`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct EmbedArguments {
    /// Build against the packed crates, as they would be uploaded, instead of the folders
    #[arg(long)]
    packaged: bool,
}

/// Builds and runs a copy of the program, and checks the responses that it prints.
///
/// The copy begins with the versions that the workspace is locked to, and adds its own.
pub(crate) fn run(workspace: &Workspace, arguments: &EmbedArguments) -> anyhow::Result<()> {
    let host = workspace.scratch("embed")?.join("host");
    let _missing = fs::remove_dir_all(&host);
    fs::create_dir_all(host.join("src"))?;
    let source = workspace.root.join(HOST);
    for file in ["src/main.rs", "src/service.rs"] {
        fs::copy(source.join(file), host.join(file)).context(file)?;
    }
    fs::copy(workspace.root.join("Cargo.lock"), host.join("Cargo.lock"))?;
    let manifest = fs::read_to_string(source.join("Cargo.toml"))?;
    let manifest = if arguments.packaged {
        packed_dependencies(workspace, &manifest)?
    } else {
        let crates = workspace.root.join("crates").display().to_string();
        manifest.replace("../../crates", &crates)
    };
    let path = host.join("Cargo.toml");
    fs::write(&path, manifest)?;
    let run = workspace.cargo("run --quiet --manifest-path").arg(path);
    let printed = run.arg("--target-dir").arg(&workspace.target).read()?;
    check(&printed)?;
    let lines = fs::read_to_string(workspace.root.join(SERVICE))?.lines().count();
    say(format!("embed: the service of {lines} lines answers, streams and refuses"));
    Ok(())
}

/// Checks the three responses: whole, streamed, refused.
fn check(printed: &str) -> anyhow::Result<()> {
    for expected in [
        "HTTP/1.1 200 OK",
        r#""content":"whole""#,
        "content-type: text/event-stream",
        "data: [DONE]",
        "model_not_found",
    ] {
        ensure!(printed.contains(expected), "{expected} is missing in:\n{printed}");
    }
    Ok(())
}

/// Packs and unpacks the crates, and returns `manifest` with dependencies on them by version.
fn packed_dependencies(workspace: &Workspace, manifest: &str) -> anyhow::Result<String> {
    package::run(workspace, &package::Arguments::default())?;
    let crates = workspace.scratch("embed")?.join("crates");
    let _missing = fs::remove_dir_all(&crates);
    fs::create_dir_all(&crates)?;
    let mut manifest = without_paths(manifest);
    manifest += "\n[patch.crates-io]\n";
    for package in workspace.packages.iter().filter(|package| package.is_published()) {
        let name = format!("{}-{}", package.name, package.version);
        let packed = workspace.target.join("package/package").join(format!("{name}.crate"));
        unpack(workspace, &packed, &crates)?;
        let unpacked = crates.join(&name);
        writeln!(manifest, "{} = {{ path = \"{}\" }}", package.name, unpacked.display())?;
    }
    Ok(manifest)
}

fn unpack(workspace: &Workspace, packed: &Path, into: &Path) -> anyhow::Result<()> {
    let shell = &workspace.shell;
    Ok(cmd!(shell, "tar --extract --gzip --file {packed} --directory {into}").quiet().run()?)
}

/// Returns a manifest without the paths of its dependencies.
fn without_paths(manifest: &str) -> String {
    let line = |line: &str| match line.split_once("path = \"") {
        Some((before, after)) => {
            let after = after.split_once("\", ").map_or("", |(_, after)| after);
            format!("{before}{after}\n")
        }
        None => format!("{line}\n"),
    };
    manifest.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{check, without_paths};

    #[test]
    fn paths_are_left_out() {
        let manifest = "[dependencies]\na = { path = \"../a\", version = \"0.1.0\" }\nb = \"1\"\n";
        let expected = "[dependencies]\na = { version = \"0.1.0\" }\nb = \"1\"\n";
        assert_eq!(without_paths(manifest), expected);
    }

    #[test]
    fn missing_response_is_named() {
        let error = check("HTTP/1.1 200 OK").unwrap_err().to_string();
        assert!(error.starts_with(r#""content":"whole" is missing"#), "{error}");
    }
}
