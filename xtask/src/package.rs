//! The crates as others get them: what cargo would upload, packed and, if asked, built.

use crate::{
    terminal::say,
    workspace::{Package, Workspace},
};
use anyhow::ensure;

/// The arguments of `package`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Build each package from what was packed, too; it takes as long as a first build
    #[arg(long)]
    verify: bool,
}

/// Packs every crate that may be published.
///
/// A crate that depends on a folder without a version, or on a crate that is not published, cannot
/// be packed.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let (published, others): (Vec<&Package>, Vec<&Package>) =
        workspace.packages.iter().partition(|package| package.is_published());
    ensure!(!published.is_empty(), "no crate may be published");
    let excluded = others.iter().flat_map(|package| ["--exclude", package.name.as_str()]);
    let package = workspace.cargo("package --workspace --allow-dirty --locked --quiet");
    let package = package.args(excluded);
    let package = if arguments.verify { package } else { package.arg("--no-verify") };
    package.arg("--target-dir").arg(workspace.target.join("package")).run()?;
    say(format!("package: {} crates are packed", published.len()));
    Ok(())
}
