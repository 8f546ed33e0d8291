//! Packages for pip: one wheel for each system, which carries the program.

use super::build::{ProgramBuild, ReleaseInfo};
use std::{fs, path::PathBuf};
use xshell::cmd;

const PACK: &str = include_str!("wheel.py");

/// Writes the wheel. A static program runs with every C library.
pub(super) fn write(release: &ReleaseInfo<'_>, build: &ProgramBuild) -> anyhow::Result<PathBuf> {
    let workspace = release.workspace;
    let script = workspace.scratch("dist")?.join("wheel.py");
    fs::write(&script, PACK)?;
    let (machine, version) = (build.target.machine, &release.version);
    let tag = format!("manylinux_2_17_{machine}.musllinux_1_1_{machine}");
    let wheel = release.file("pip", &format!("llm_gateway-{version}-py3-none-{tag}.whl"))?;
    let (program, readme) = (&build.program, workspace.root.join("README.md"));
    let pack = cmd!(
        workspace.shell,
        "python3 {script} {wheel} llm_gateway {version} {tag} {program} {readme}"
    );
    pack.quiet().run()?;
    Ok(wheel)
}
