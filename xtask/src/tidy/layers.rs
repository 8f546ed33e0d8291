//! Dependencies point inward.

use crate::workspace::{Package, Workspace};
use xshell::cmd;

/// The members of the workspace, and the other members that each may depend on.
///
/// Those without a list are at the outside and may know everything.
const MAY: &[(&str, Option<&[&str]>)] = &[
    ("gateway-core", Some(&[])),
    ("gateway-config", Some(&["gateway-core"])),
    // Breakers have states of their own, and OTLP travels by the client of everything else.
    ("gateway-telemetry", Some(&["gateway-core", "gateway-net", "gateway-resilience"])),
    ("gateway-wire", Some(&["gateway-core"])),
    ("gateway-net", Some(&["gateway-core"])),
    ("gateway-providers", Some(&["gateway-core", "gateway-net", "gateway-wire"])),
    ("gateway-tools", Some(&["gateway-core", "gateway-resilience"])),
    // It keeps objects of the Responses API, and has to read and write them.
    ("gateway-sessions", Some(&["gateway-core", "gateway-wire"])),
    ("gateway-resilience", Some(&["gateway-core"])),
    ("gateway-limits", Some(&["gateway-core"])),
    ("gateway-store", Some(&["gateway-core"])),
    ("gateway-console", Some(&[])),
    (
        "gateway-engine",
        Some(&[
            "gateway-core",
            "gateway-limits",
            "gateway-providers",
            "gateway-resilience",
            "gateway-sessions",
            "gateway-tools",
            "gateway-wire",
        ]),
    ),
    // The rules of a session's history are pure, and a turn is part of a request's path.
    (
        "gateway-http",
        Some(&[
            "gateway-console",
            "gateway-core",
            "gateway-engine",
            "gateway-limits",
            "gateway-sessions",
            "gateway-wire",
        ]),
    ),
    ("gateway-server", None),
    // What is fuzzed is what reads bytes of others.
    ("gateway-fuzz", None),
    ("gateway-tests", None),
    ("xtask", Some(&[])),
];

/// Libraries that one crate alone may name, so that they can be replaced in a day.
const OWNED: &[(&str, &str)] = &[("fred", "gateway-store"), ("figment", "gateway-config")];

/// What a crate must never reach, however indirectly: what waits or connects.
const UNREACHABLE: &[(&str, &[&str])] = &[
    ("gateway-core", &["fred", "hyper", "mio", "reqwest", "tokio"]),
    ("gateway-wire", &["fred", "hyper", "mio", "reqwest", "tokio"]),
    ("gateway-sessions", &["fred", "hyper", "reqwest"]),
    ("gateway-resilience", &["fred", "hyper", "reqwest"]),
    ("gateway-limits", &["fred", "http", "hyper", "reqwest"]),
];

/// Checks the manifests, and what follows from them.
pub(super) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let mut problems: Vec<String> = workspace.packages.iter().flat_map(direct).collect();
    for (package, unreachable) in UNREACHABLE {
        let tree = cmd!(
            workspace.shell,
            "cargo tree --locked --package {package} --edges normal --all-features --prefix none"
        );
        problems.extend(indirect(package, &tree.quiet().read()?, unreachable));
    }
    Ok(problems)
}

fn direct(package: &Package) -> Vec<String> {
    let name = package.name.as_str();
    let Some((_, may)) = MAY.iter().find(|(known, _)| *known == name) else {
        return vec![format!(
            "{name} is a new crate: ARCHITECTURE.md has to say why, and MAY what it may know"
        )];
    };
    let mut problems = Vec::new();
    for dependency in &package.dependencies {
        let other = dependency.name.as_str();
        let owner = OWNED.iter().find(|(library, _)| *library == other).map(|(_, owner)| *owner);
        if owner.is_some_and(|owner| owner != name) {
            problems.push(format!("{name} must not name {other}"));
        }
        let ships = dependency.kind.as_deref() != Some("dev");
        let member = MAY.iter().any(|(known, _)| *known == other);
        if ships && member && may.is_some_and(|may| !may.contains(&other)) {
            problems.push(format!("{name} must not depend on {other}"));
        }
    }
    problems
}

/// Reads what `cargo tree --prefix none` prints: a package a line, its name first.
fn indirect(package: &str, tree: &str, unreachable: &[&str]) -> Vec<String> {
    let mut reached: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    reached.sort_unstable();
    reached.dedup();
    let wrong = reached.into_iter().filter(|name| unreachable.contains(name));
    wrong
        .map(|name| format!("{package} reaches {name}: cargo tree -p {package} -i {name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{direct, indirect};
    use crate::workspace::{Dependency, Package};

    /// `dependencies` are names; `dev:` comes before those of tests.
    fn broken(name: &str, dependencies: &str) -> usize {
        let dependencies = dependencies.split_whitespace().map(|word| {
            let (kind, name) =
                word.split_once(':').map_or((None, word), |(kind, name)| (Some(kind), name));
            Dependency { name: name.to_owned(), kind: kind.map(str::to_owned) }
        });
        let package = Package {
            name: name.to_owned(),
            description: None,
            manifest_path: "Cargo.toml".into(),
            dependencies: dependencies.collect(),
        };
        direct(&package).len()
    }

    #[test]
    fn inward_is_fine() {
        assert_eq!(broken("gateway-wire", "gateway-core serde"), 0);
        assert_eq!(broken("gateway-tools", "gateway-core gateway-resilience"), 0);
        assert_eq!(broken("gateway-server", "gateway-http gateway-store gateway-config"), 0);
    }

    #[test]
    fn outward_and_sideways_are_not() {
        assert_eq!(broken("gateway-core", "gateway-wire"), 1);
        assert_eq!(broken("gateway-providers", "gateway-core gateway-server gateway-tools"), 2);
        assert_eq!(broken("gateway-wire", "build:gateway-http"), 1);
    }

    #[test]
    fn tests_may_know_more() {
        assert_eq!(broken("gateway-wire", "dev:gateway-http"), 0);
    }

    #[test]
    fn libraries_with_an_owner_stay_there() {
        assert_eq!(broken("gateway-store", "fred"), 0);
        assert_eq!(broken("gateway-server", "fred"), 1);
        assert_eq!(broken("gateway-http", "dev:figment"), 1);
    }

    #[test]
    fn a_new_crate_is_asked_for_its_reason() {
        assert_eq!(broken("gateway-extra", ""), 1);
    }

    #[test]
    fn what_is_reached_indirectly_counts() {
        let tree = "gateway-wire v0.1.0 (/x)\nbytes v1.0.0\nhyper v1.0.0\nhyper v1.0.0 (*)\n";
        assert_eq!(indirect("gateway-wire", tree, &["hyper", "tokio"]).len(), 1);
        assert_eq!(indirect("gateway-wire", tree, &["tokio", "hyp"]).len(), 0);
    }
}
