//! Packages for npm: one for each system with the program, and one that runs the right of them.

use super::{
    build::{ProgramBuild, ReleaseInfo},
    tarball::{TarArchive, gzip},
    with_member,
};
use serde_json::{Map, Value, json};
use std::{fs, path::PathBuf};

const LAUNCHER: &str = include_str!("npm.js");

/// Writes the packages; the last is the one to install.
pub(super) fn write(
    release: &ReleaseInfo<'_>,
    builds: &[ProgramBuild],
) -> anyhow::Result<Vec<PathBuf>> {
    let mut packages = Vec::new();
    let mut optional = Map::new();
    for build in builds {
        let name = format!("llm-gateway-linux-{}", build.target.npm);
        let about = with_member(about(release, &name), "os", json!(["linux"]));
        let about = with_member(about, "cpu", json!([build.target.npm]));
        let program = ("bin/gateway-server", 0o755, fs::read(&build.program)?);
        let licences = ("THIRD-PARTY-LICENCES.txt", 0o644, build.licences.clone().into_bytes());
        packages.push(pack(release, &name, &about, &[program, licences])?);
        optional.insert(name, release.version.clone().into());
    }
    let bin = json!({ "llm-gateway": "bin/llm-gateway.js" });
    let about = with_member(about(release, "llm-gateway"), "bin", bin);
    let about = with_member(about, "optionalDependencies", optional.into());
    let launcher = ("bin/llm-gateway.js", 0o755, LAUNCHER.as_bytes().to_vec());
    let readme = ("README.md", 0o644, fs::read(release.workspace.root.join("README.md"))?);
    packages.push(pack(release, "llm-gateway", &about, &[launcher, readme])?);
    Ok(packages)
}

fn about(release: &ReleaseInfo<'_>, name: &str) -> Value {
    json!({
        "name": name,
        "version": release.version,
        "description": super::SUMMARY,
        "license": "MIT OR Apache-2.0",
        "repository": { "type": "git", "url": format!("git+{}.git", release.repository) },
        "engines": { "node": ">=18" },
    })
}

fn pack(
    release: &ReleaseInfo<'_>,
    name: &str,
    about: &Value,
    files: &[(&str, u32, Vec<u8>)],
) -> anyhow::Result<PathBuf> {
    let mut tarball = TarArchive::new(release.time);
    let about = serde_json::to_string_pretty(about)? + "\n";
    tarball.file("package/package.json", 0o644, about.as_bytes())?;
    for (file, mode, content) in files {
        tarball.file(&format!("package/{file}"), *mode, content)?;
    }
    let path = release.file("npm", &format!("{name}-{}.tgz", release.version))?;
    fs::write(&path, gzip(&tarball.finish())?)?;
    Ok(path)
}
