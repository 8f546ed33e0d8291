//! The archive: program, manual page, completions, documentation, manifests, licences, SBOM.

use super::{
    build::{ProgramBuild, ReleaseInfo},
    tarball::{FileOwner, TarArchive, gzip},
};
use std::{fs, path::PathBuf};

/// The files beside the program.
const INCLUDED: &[&str] = &["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];
/// The folders beside the program.
const FOLDERS: &[&str] = &["deploy", "docs"];

/// Writes the archive.
pub(super) fn write(release: &ReleaseInfo<'_>, build: &ProgramBuild) -> anyhow::Result<PathBuf> {
    let name = build.archive_name(&release.version);
    let root = &release.workspace.root;
    let mut tarball = TarArchive::new(release.time);
    tarball.folder(&name, 0o755, FileOwner::Root)?;
    tarball.folder(&format!("{name}/bin"), 0o755, FileOwner::Root)?;
    tarball.file(&format!("{name}/bin/gateway-server"), 0o755, &fs::read(&build.program)?)?;
    for file in INCLUDED {
        tarball.file(&format!("{name}/{file}"), 0o644, &fs::read(root.join(file))?)?;
    }
    for folder in FOLDERS {
        tarball.tree(&format!("{name}/{folder}"), &root.join(folder))?;
    }
    for (file, content) in [
        ("gateway-server.1", &release.printed.manual),
        ("gateway-server.bash", &release.printed.completions),
        ("sbom.cdx.json", &build.sbom),
        ("THIRD-PARTY-LICENCES.txt", &build.licences),
    ] {
        tarball.file(&format!("{name}/{file}"), 0o644, content.as_bytes())?;
    }
    fs::write(release.file("", &format!("{name}.cdx.json"))?, &build.sbom)?;
    let path = release.file("", &format!("{name}.tar.gz"))?;
    fs::write(&path, gzip(&tarball.finish())?)?;
    Ok(path)
}
