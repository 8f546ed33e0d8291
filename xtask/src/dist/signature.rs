//! Checksums of all packages, and their signature: ECDSA over P-256, which `openssl` and `cosign` verify.

use super::{build::ReleaseInfo, digest::sha256_hex, provenance};
use crate::terminal::say;
use anyhow::{Context as _, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};
use xshell::cmd;

pub(super) const SUMS: &str = "SHA256SUMS";
pub(super) const SIGNATURE: &str = "SHA256SUMS.sig";
pub(super) const PUBLIC_KEY: &str = "llm-gateway.pub";

/// Writes the provenance, the checksums and their signature. Without a key, one is made for this run.
pub(super) fn write(release: &ReleaseInfo<'_>, key: Option<&Path>) -> anyhow::Result<()> {
    let subjects = checksums(&release.dist)?;
    let statement = provenance::statement(release, &subjects)?;
    fs::write(release.file("", "provenance.intoto.json")?, statement)?;
    let mut sums = String::new();
    for (name, hash) in checksums(&release.dist)? {
        let _infallible = writeln!(sums, "{hash}  {name}");
    }
    fs::write(release.dist.join(SUMS), sums)?;
    sign(release, key)
}

/// The names and checksums of all files below a folder, sorted.
fn checksums(folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let checksum = |path: PathBuf| {
        let name = path.strip_prefix(folder)?.display().to_string();
        Ok((name, sha256_hex(fs::read(&path)?)))
    };
    files.into_iter().map(checksum).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn sign(release: &ReleaseInfo<'_>, key: Option<&Path>) -> anyhow::Result<()> {
    let (shell, dist) = (&release.workspace.shell, &release.dist);
    let scratch = release.workspace.scratch("dist")?;
    let key = if let Some(key) = key {
        key.to_owned()
    } else {
        say("no signing key: one is made for this run");
        let made = scratch.join("key.pem");
        cmd!(shell, "openssl ecparam -name prime256v1 -genkey -noout -out {made}").run()?;
        made
    };
    let raw = scratch.join("signature");
    let (sums, public) = (dist.join(SUMS), dist.join(PUBLIC_KEY));
    cmd!(shell, "openssl ec -in {key} -pubout -out {public}").quiet().ignore_stderr().run()?;
    cmd!(shell, "openssl dgst -sha256 -sign {key} -out {raw} {sums}").quiet().run()?;
    fs::write(dist.join(SIGNATURE), BASE64_STANDARD.encode(fs::read(&raw)?) + "\n")?;
    Ok(())
}

/// Checks the signature and every checksum of a folder.
pub(super) fn verify(release: &ReleaseInfo<'_>) -> anyhow::Result<()> {
    let (shell, dist) = (&release.workspace.shell, &release.dist);
    let raw = release.workspace.scratch("dist")?.join("signature");
    let text = fs::read_to_string(dist.join(SIGNATURE))?;
    fs::write(&raw, BASE64_STANDARD.decode(text.trim())?)?;
    let (sums, public) = (dist.join(SUMS), dist.join(PUBLIC_KEY));
    cmd!(shell, "openssl dgst -sha256 -verify {public} -signature {raw} {sums}")
        .quiet()
        .ignore_stdout()
        .run()?;
    let _folder = shell.push_dir(dist);
    let checked = cmd!(shell, "sha256sum --check {SUMS}").quiet().read()?;
    ensure!(checked.lines().all(|line| line.ends_with(": OK")), "{checked}");
    Ok(())
}
