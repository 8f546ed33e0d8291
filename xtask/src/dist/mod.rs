//! The packages of a release: archives, Debian packages, a container image, packages for npm and pip, a
//! Homebrew formula, a Helm chart; with SBOMs, provenance, checksums and their signature.
//!
//! The same commit gives the same packages: names are sorted, times and owners are fixed.

mod archive;
mod build;
mod chart;
mod debian;
mod digest;
mod homebrew;
mod image;
mod licences;
mod npm;
mod parts;
mod provenance;
mod sbom;
mod signature;
mod tarball;
mod target;
mod trial;
mod wheel;

use crate::{terminal::say, workspace::Workspace};
use anyhow::ensure;
use build::{ProgramBuild, ReleaseInfo};
use serde_json::Value;
use std::{fs, path::PathBuf};
use target::{ReleaseTarget, TARGETS};

/// The arguments of `dist`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The system to build for, such as `aarch64-unknown-linux-musl`; default: all
    #[arg(long = "target", value_name = "TRIPLE")]
    targets: Vec<String>,
    /// The program to pack, instead of one built from here; takes one `--target`
    #[arg(long, value_name = "PROGRAM")]
    binary: Option<PathBuf>,
    /// The build profile; others than the default are for trials
    #[arg(long, value_name = "PROFILE", default_value = "release-lto")]
    profile: String,
    /// The private key of the signature, in PEM; default: one made for this run
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Install each package and run its program, in a root folder without anything else where that can be
    #[arg(long = "try")]
    is_tried: bool,
}

/// The features of released programs.
const FEATURES: &[&str] = &[];
/// The first line about the program.
const SUMMARY: &str = "One API for many LLM providers";
/// The paragraph about the program.
const DESCRIPTION: &str = "An HTTP service between applications and language models: routing, limits, cost, tools, sessions.";

/// Builds the packages, and prints where they are.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let builds = builds(workspace, arguments)?;
    let runnable = builds.iter().find(|build| build.target.is_native());
    let release = ReleaseInfo::new(workspace, runnable.map(|build| build.program.as_path()))?;
    let mut packages = Vec::new();
    let mut archives = Vec::new();
    for build in &builds {
        archives.push((build, archive::write(&release, build)?));
        packages.push(debian::write(&release, build)?);
        packages.push(wheel::write(&release, build)?);
    }
    packages.extend(npm::write(&release, &builds)?);
    packages.push(homebrew::write(&release, &archives)?);
    packages.push(chart::write(&release)?);
    packages.extend(archives.into_iter().map(|(_, path)| path));
    let image = image::write(&release, &builds)?;
    signature::write(&release, arguments.key.as_deref())?;
    for path in &packages {
        let size = fs::metadata(path)?.len();
        say(format!("{:>9} kB  {}", size.div_ceil(1000), path.display()));
    }
    say(format!("{:>12}  {}", "layout", image.display()));
    for build in &builds {
        say(format!("{}: {} packages of others", build.target.triple, build.parts));
    }
    if arguments.is_tried { trial::run(&release, &builds) } else { Ok(()) }
}

fn builds(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<Vec<ProgramBuild>> {
    let targets: Vec<ReleaseTarget> = if arguments.targets.is_empty() {
        TARGETS.to_vec()
    } else {
        arguments.targets.iter().map(|it| ReleaseTarget::of(it)).collect::<anyhow::Result<_>>()?
    };
    if let Some(program) = &arguments.binary {
        ensure!(targets.len() == 1, "--binary takes one --target");
        let program = fs::canonicalize(program)?;
        let build =
            |it: &ReleaseTarget| ProgramBuild::new(workspace, *it, program.clone(), FEATURES);
        return targets.iter().map(build).collect();
    }
    let build = |target: ReleaseTarget| {
        let program = target.build(workspace, &arguments.profile, FEATURES)?;
        ProgramBuild::new(workspace, target, program, FEATURES)
    };
    targets.into_iter().map(build).collect()
}

/// Returns a JSON object with one more member.
fn with_member(mut object: Value, name: &str, value: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::{ReleaseTarget, TARGETS};
    use crate::workspace::Workspace;
    use std::fs;

    #[test]
    fn targets_are_known_by_their_triples() {
        for target in TARGETS {
            assert_eq!(ReleaseTarget::of(target.triple).unwrap(), target);
        }
        let error = ReleaseTarget::of("x86_64-pc-windows-msvc").unwrap_err().to_string();
        assert!(error.contains("aarch64-unknown-linux-musl"), "{error}");
    }

    /// `cargo binstall` looks for the archives under the names that they are given here.
    #[test]
    fn binstall_finds_the_archives() {
        let root = Workspace::find().unwrap().root;
        let manifest = fs::read_to_string(root.join("bins/gateway-server/Cargo.toml")).unwrap();
        for line in [
            r#"pkg-url = "{ repo }/releases/download/v{ version }/llm-gateway-{ version }-{ target }.tar.gz""#,
            r#"bin-dir = "llm-gateway-{ version }-{ target }/bin/{ bin }{ binary-ext }""#,
            r#"pkg-fmt = "tgz""#,
        ] {
            assert!(manifest.lines().any(|it| it == line), "{line}");
        }
    }
}
