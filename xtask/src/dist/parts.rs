//! The packages of a program: everything that is linked into it, without build and test
//! dependencies.

use crate::workspace::Workspace;
use anyhow::Context as _;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};
use xshell::cmd;

/// The packages of one program, for one system.
#[derive(Clone, Debug)]
pub(super) struct LinkedPackages {
    /// The id of the program's package.
    pub root: String,
    /// Every package, the program's own included, by its id.
    pub packages: BTreeMap<String, Package>,
    /// The dependencies of each package, by id.
    pub needs: BTreeMap<String, Vec<String>>,
}

/// A linked package.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Package {
    pub id: String,
    pub name: String,
    pub version: String,
    pub license: Option<String>,
    pub description: Option<String>,
    pub repository: Option<String>,
    /// Nothing for what is ours.
    pub source: Option<String>,
    pub manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NeededPart>,
}

#[derive(Deserialize)]
struct NeededPart {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

impl LinkedPackages {
    /// Asks cargo what is in a program that is built with these features.
    pub(super) fn of(
        workspace: &Workspace,
        program: &str,
        features: &[&str],
        target: &str,
    ) -> anyhow::Result<Self> {
        let shell = &workspace.shell;
        let features = features.iter().map(|name| format!("--features={program}/{name}"));
        let plain = ["--locked", "--format-version=1", "--filter-platform"];
        let told = cmd!(shell, "cargo metadata {plain...} {target} {features...}");
        Self::read(&told.quiet().read()?, program)
    }

    fn read(metadata: &str, program: &str) -> anyhow::Result<Self> {
        let Metadata { packages, resolve } = serde_json::from_str(metadata)?;
        let root = packages.iter().find(|it| it.name == program && it.source.is_none());
        let root = root.with_context(|| format!("there is no package {program}"))?.id.clone();
        let needs: BTreeMap<String, Vec<String>> =
            resolve.nodes.into_iter().map(|node| (node.id, shipped(node.deps))).collect();
        let reached = reach(&root, &needs);
        let packages = packages.into_iter().filter(|it| reached.contains(&it.id));
        Ok(Self {
            root,
            packages: packages.map(|it| (it.id.clone(), it)).collect(),
            needs: needs.into_iter().filter(|(id, _)| reached.contains(id)).collect(),
        })
    }

    /// The packages of others.
    pub(super) fn others(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().filter(|it| it.source.is_some())
    }
}

/// The packages that end up in what needs them.
fn shipped(needs: Vec<NeededPart>) -> Vec<String> {
    let normal = needs.into_iter().filter(|it| it.dep_kinds.iter().any(|it| it.kind.is_none()));
    normal.map(|it| it.pkg).collect()
}

fn reach(root: &str, needs: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let mut reached = BTreeSet::from([root.to_owned()]);
    let mut next = vec![root.to_owned()];
    while let Some(id) = next.pop() {
        for need in needs.get(&id).into_iter().flatten() {
            if reached.insert(need.clone()) {
                next.push(need.clone());
            }
        }
    }
    reached
}

#[cfg(test)]
pub(super) mod tests {
    use super::LinkedPackages;

    /// A program with a part of ours, a part of others, and things that do not ship.
    pub(crate) fn example() -> LinkedPackages {
        let package = |name: &str, source: &str| {
            format!(
                r#"{{"id":"{name}-id","name":"{name}","version":"1.0.0","license":"MIT",
                    "description":null,"repository":null,"source":{source},
                    "manifest_path":"/none/{name}/Cargo.toml"}}"#
            )
        };
        let need = |name: &str, kind: &str| {
            format!(r#"{{"pkg":"{name}-id","dep_kinds":[{{"kind":{kind}}}]}}"#)
        };
        let packages = [
            package("program", "null"),
            package("ours", "null"),
            package("theirs", "\"registry\""),
            package("tests", "\"registry\""),
            package("build", "\"registry\""),
        ];
        let of_program =
            [need("ours", "null"), need("tests", "\"dev\""), need("build", "\"build\"")];
        let metadata = format!(
            r#"{{"packages":[{}],"resolve":{{"nodes":[{{"id":"program-id","deps":[{}]}},
                {{"id":"ours-id","deps":[{}]}},{{"id":"theirs-id","deps":[]}}]}}}}"#,
            packages.join(","),
            of_program.join(","),
            need("theirs", "null"),
        );
        LinkedPackages::read(&metadata, "program").unwrap()
    }

    #[test]
    fn dev_and_build_dependencies_are_excluded() {
        let parts = example();
        let names: Vec<_> = parts.packages.values().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["ours", "program", "theirs"]);
        assert_eq!(parts.others().count(), 1);
    }
}
