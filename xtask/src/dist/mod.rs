//! A release archive: the binary, its documentation, an SBOM and checksums.
//!
//! The same commit gives the same archive: names are sorted, times and owners are fixed.

mod licences;
mod parts;
mod sbom;

use crate::{gateway::Binary, terminal::say, workspace::Workspace};
use anyhow::Context as _;
use parts::Parts;
use std::{
    fs,
    path::{Path, PathBuf},
};
use xshell::cmd;

/// The arguments of `dist`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    binary: Binary,
}

/// The build profile, as in the image.
const PROFILE: &str = "release-lto";
const FEATURES: &[&str] = &["jemalloc"];

/// The files of the archive other than the binary.
const INCLUDED: &[&str] =
    &["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "docs", "deploy"];

/// Builds the archive, and says where it is.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let program = arguments.binary.built(workspace, PROFILE, FEATURES)?;
    let parts = Parts::of(workspace, "gateway-server", FEATURES)?;
    let name = format!("llm-gateway-{}-{}", parts.version()?, parts.target);
    let dist = workspace.target.join("dist");
    let folder = fresh(&dist.join(&name))?;
    fill(workspace, &program, &folder)?;
    fs::write(folder.join("sbom.cdx.json"), sbom::write(&parts)?)?;
    fs::write(folder.join("THIRD-PARTY-LICENCES.txt"), licences::write(&parts)?)?;
    let archive = pack(workspace, &dist, &name)?;
    say(format!("{} parts, {}", parts.others().count(), archive.display()));
    Ok(())
}

fn fill(workspace: &Workspace, program: &Path, folder: &Path) -> anyhow::Result<()> {
    let shell = &workspace.shell;
    let bin = fresh(&folder.join("bin"))?;
    cmd!(shell, "install -m 0755 {program} {bin}/gateway-server").run()?;
    for name in INCLUDED {
        // Links are followed: an archive stands for itself.
        cmd!(shell, "cp -rL {name} {folder}/").run()?;
    }
    Ok(())
}

/// Packs the folder, and writes the checksums of all that lies beside it.
fn pack(workspace: &Workspace, dist: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let shell = &workspace.shell;
    let committed = cmd!(shell, "git log -1 --format=%ct").quiet().read()?;
    let archive = format!("{name}.tar.gz");
    let folder = shell.push_dir(dist);
    let plain =
        ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+rwX,go+rX,go-w"];
    let at = format!("--mtime=@{committed}");
    let tarred =
        cmd!(shell, "tar {plain...} {at} --use-compress-program 'gzip -9n' -cf {archive} {name}");
    tarred.run()?;
    let sbom = format!("{name}.cdx.json");
    cmd!(shell, "cp {name}/sbom.cdx.json {sbom}").run()?;
    let sums = cmd!(shell, "sha256sum {archive} {sbom}").read()?;
    drop(folder);
    fs::write(dist.join("SHA256SUMS"), sums + "\n")?;
    Ok(dist.join(archive))
}

fn fresh(folder: &Path) -> anyhow::Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    Ok(folder.to_owned())
}
