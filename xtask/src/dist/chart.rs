//! The Helm chart as a package.

use super::{
    build::ReleaseInfo,
    tarball::{TarArchive, gzip},
};
use anyhow::ensure;
use std::{fs, path::PathBuf};

const CHART: &str = "deploy/helm/llm-gateway";

/// Writes the package. The chart is of the same version as the program that it runs.
pub(super) fn write(release: &ReleaseInfo<'_>) -> anyhow::Result<PathBuf> {
    let folder = release.workspace.root.join(CHART);
    let about = fs::read_to_string(folder.join("Chart.yaml"))?;
    for line in
        [format!("version: {}", release.version), format!("appVersion: {}", release.version)]
    {
        ensure!(about.lines().any(|it| it == line), "{CHART}/Chart.yaml has no `{line}`");
    }
    let mut tarball = TarArchive::new(release.time);
    tarball.tree("llm-gateway", &folder)?;
    let path = release.file("helm", &format!("llm-gateway-{}.tgz", release.version))?;
    fs::write(&path, gzip(&tarball.finish())?)?;
    Ok(path)
}
