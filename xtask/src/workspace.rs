//! The workspace: its paths, packages and available programs.

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};
use xshell::{Cmd, Shell, cmd};

/// The workspace that holds this crate.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder of the workspace's manifest.
    pub root: PathBuf,
    /// The build directory of cargo.
    pub target: PathBuf,
    /// The packages of the workspace.
    pub packages: Vec<Package>,
    /// A shell that stands in the root.
    pub shell: Shell,
}

/// A member of the workspace.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    /// The package's name.
    pub name: String,
    /// A one-line description.
    pub description: Option<String>,
    /// The package's version.
    pub version: String,
    /// The page that introduces it, from its folder.
    pub readme: Option<PathBuf>,
    /// The URL of the repository.
    pub repository: Option<String>,
    /// The licence expression.
    pub license: Option<String>,
    /// The keywords for search.
    pub keywords: Vec<String>,
    /// Categories of the registry.
    pub categories: Vec<String>,
    /// The registries that it may be published to; all of them without a list.
    pub publish: Option<Vec<String>>,
    /// The path of the manifest.
    pub manifest_path: PathBuf,
    /// The direct dependencies.
    pub dependencies: Vec<Dependency>,
}

/// A direct dependency of a member.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The package's name.
    pub name: String,
    /// `dev`, `build`, or nothing for one that ships.
    pub kind: Option<String>,
    /// The versions that will do, as in `^1.2`; `*` if none is named.
    #[serde(default)]
    pub req: String,
    /// The folder, for one of this workspace.
    pub path: Option<PathBuf>,
}

impl Package {
    /// Whether it may be published anywhere.
    pub(crate) fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

impl Workspace {
    /// Reads the workspace from `cargo metadata`.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let shell = Shell::new()?;
        shell.change_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
        let told = cmd!(shell, "cargo metadata --no-deps --locked --format-version 1");
        let told: Metadata = serde_json::from_str(&told.quiet().read()?)?;
        shell.change_dir(&told.workspace_root);
        Ok(Self {
            root: told.workspace_root,
            target: told.target_directory,
            packages: told.packages,
            shell,
        })
    }

    /// Returns a cargo command without the package variables of this process: with them, build
    /// scripts that read them, and everything that depends on those, would be rebuilt.
    pub(crate) fn cargo(&self, arguments: &str) -> Cmd<'_> {
        let cargo = cmd!(self.shell, "cargo").args(arguments.split_whitespace());
        env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| is_of_package(name))
            .fold(cargo, Cmd::env_remove)
    }

    /// A folder for what tasks write: logs, settings, virtual environments.
    pub(crate) fn scratch(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.target.join("xtask").join(name);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }

    /// A folder of programs that are not part of this repository: the one that was named, or the
    /// one beside it that is called `name`.
    pub(crate) fn tools(&self, given: Option<&Path>, name: &str) -> anyhow::Result<PathBuf> {
        let beside = self.root.join("../shared").join(name);
        let folder = given.unwrap_or(&beside);
        fs::canonicalize(folder).with_context(|| format!("no tools at {}", folder.display()))
    }

    /// The files under version control, and those that would be if they were added.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let git = cmd!(self.shell, "git ls-files --cached --others --exclude-standard -z");
        let listed = git.quiet().read()?;
        let files: Vec<PathBuf> =
            listed.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
        ensure!(!files.is_empty(), "git lists no files");
        // A file that was removed and not yet committed is listed, too.
        Ok(files.into_iter().filter(|file| self.root.join(file).is_file()).collect())
    }

    /// The text of a file, by its path in the workspace; nothing if it is not text.
    pub(crate) fn text(&self, file: &Path) -> anyhow::Result<Option<String>> {
        let bytes = fs::read(self.root.join(file)).with_context(|| file.display().to_string())?;
        Ok(String::from_utf8(bytes).ok())
    }
}

/// Whether cargo sets this variable for programs that it runs, to something of their package.
fn is_of_package(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|begin| name.starts_with(begin))
}

/// The first program of this name on the search path.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A package without anything.
#[cfg(test)]
pub(crate) fn package(name: &str) -> Package {
    Package {
        name: name.to_owned(),
        description: None,
        version: "0.1.0".to_owned(),
        readme: None,
        repository: None,
        license: None,
        keywords: Vec::new(),
        categories: Vec::new(),
        publish: Some(Vec::new()),
        manifest_path: "Cargo.toml".into(),
        dependencies: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Workspace, is_of_package, program};

    #[test]
    fn cargo_knows_this_crate() {
        let workspace = Workspace::find().unwrap();
        assert!(workspace.packages.iter().any(|package| package.name == "xtask"));
        assert!(workspace.root.join("xtask/Cargo.toml").is_file());
    }

    #[test]
    fn package_variables_are_recognized() {
        for (name, expected) in
            [("CARGO_PKG_NAME", true), ("CARGO_MANIFEST_DIR", true), ("CARGO_HOME", false)]
        {
            assert_eq!(is_of_package(name.as_ref()), expected, "{name}");
        }
    }

    #[test]
    fn programs_are_found_or_not() {
        assert!(program("cargo").is_some());
        assert!(program("no-such-program-here").is_none());
    }
}
