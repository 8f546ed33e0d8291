//! Dependencies between crates point inward.

use super::Source;
use crate::workspace::{Package, Workspace};
use xshell::cmd;

/// The crates of the layout, and the other crates that each may depend on.
///
/// Those without a list are at the outside and may know everything. A crate that is not there yet
/// may stand here; one that is there and does not stand here needs a reason first.
const MAY: &[(&str, Option<&[&str]>)] = &[
    ("gateway-core", Some(&[])),
    ("gateway-catalogue", Some(&["gateway-core"])),
    ("gateway-wire", Some(&["gateway-core"])),
    ("gateway-import", Some(&[])),
    ("gateway-memory", Some(&[])),
    ("gateway-tasks", Some(&["gateway-core"])),
    ("gateway-net", Some(&["gateway-core", "gateway-tasks"])),
    ("gateway-providers", Some(&["gateway-core", "gateway-net", "gateway-wire"])),
    ("gateway-resilience", Some(&["gateway-core", "gateway-tasks"])),
    ("gateway-limits", Some(&["gateway-core", "gateway-tasks"])),
    // It keeps objects of the Responses API, and has to read and write them.
    ("gateway-sessions", Some(&["gateway-core", "gateway-tasks", "gateway-wire"])),
    // A service that fails is shielded by a circuit breaker, as a provider is.
    ("gateway-tools", Some(&["gateway-core", "gateway-resilience", "gateway-tasks"])),
    ("gateway-store", Some(&["gateway-core", "gateway-tasks"])),
    ("gateway-engine", Some(ENGINE)),
    ("gateway-http", Some(HTTP)),
    ("gateway-config", Some(&["gateway-core"])),
    // Breakers have states of their own, and OTLP travels by the client of everything else.
    ("gateway-telemetry", Some(TELEMETRY)),
    // It shows the requests of the engine while they run.
    ("gateway-console", Some(&["gateway-core", "gateway-engine", "gateway-tasks"])),
    // The configuration knows no other part, and no part knows it: this joins them for every program
    // that serves HTTP, the binary first.
    ("gateway-assembly", None),
    ("gateway-server", None),
    // What is fuzzed is what reads bytes of others.
    ("gateway-fuzz", None),
    ("gateway-tests", None),
    ("xtask", Some(&["gateway-catalogue", "gateway-core"])),
];

/// The request, from bytes to bytes, without HTTP.
const ENGINE: &[&str] = &[
    "gateway-catalogue",
    "gateway-core",
    "gateway-limits",
    "gateway-providers",
    "gateway-resilience",
    "gateway-sessions",
    "gateway-tasks",
    "gateway-tools",
    "gateway-wire",
];

/// Metrics of circuit breakers, and a thread that is supervised.
const TELEMETRY: &[&str] = &["gateway-core", "gateway-net", "gateway-resilience", "gateway-tasks"];

/// The endpoints: the engine and the wire, and what endpoints of their own serve.
const HTTP: &[&str] = &[
    "gateway-console",
    "gateway-core",
    "gateway-engine",
    "gateway-limits",
    "gateway-sessions",
    "gateway-tasks",
    "gateway-wire",
];

/// Libraries that named crates alone may name, so that they can be replaced in a day.
const OWNED: &[(&str, &[&str])] = &[
    ("figment", &["gateway-config"]),
    ("fred", &["gateway-store"]),
    ("redb", &["gateway-store"]),
    ("yaml-rust2", &["gateway-import"]),
];

/// Parts of libraries that named crates alone may name in their sources.
const OWNED_PATHS: &[(&str, &[&str])] = &[
    (concat!("hyper_util::", "client"), &["gateway-net"]),
    (concat!("unsafe", "_code"), &["gateway-memory"]),
];

/// The crates that must not depend, even indirectly, on runtimes and network libraries.
const UNREACHABLE: &[(&str, &[&str])] = &[
    ("gateway-core", &["fred", "hyper", "mio", "reqwest", "tokio"]),
    ("gateway-catalogue", &["fred", "hyper", "mio", "reqwest", "tokio"]),
    ("gateway-wire", &["fred", "hyper", "mio", "reqwest", "tokio"]),
    ("gateway-sessions", &["fred", "hyper", "reqwest"]),
    ("gateway-resilience", &["fred", "hyper", "reqwest"]),
    ("gateway-limits", &["fred", "http", "hyper", "reqwest"]),
];

/// Checks the manifests, what follows from them, and the sources.
pub(super) fn check(workspace: &Workspace, files: &[Source]) -> anyhow::Result<Vec<String>> {
    let mut problems: Vec<String> = workspace.packages.iter().flat_map(direct).collect();
    problems.extend(files.iter().flat_map(named_libraries));
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
        let owners = OWNED.iter().find(|(library, _)| *library == other);
        if owners.is_some_and(|(_, owners)| !owners.contains(&name)) {
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

/// Looks for parts of libraries in a file of a crate that must not name them. Tests may.
fn named_libraries(file: &Source) -> Vec<String> {
    let mut folders = file.path.split('/');
    let (Some("crates" | "bins"), Some(name), Some("src")) =
        (folders.next(), folders.next(), folders.next())
    else {
        return Vec::new();
    };
    let code = file.text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let wrong = OWNED_PATHS.iter().filter(|(path, owners)| {
        !owners.contains(&name) && !file.path.contains("/tests") && code.contains(path)
    });
    wrong.map(|(path, _)| format!("{} must not name {path}", file.path)).collect()
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
    use super::super::source;
    use super::{direct, indirect, named_libraries};
    use crate::workspace::{Dependency, Package};

    /// `dependencies` are names; `dev:` comes before those of tests.
    fn broken(name: &str, dependencies: &str) -> usize {
        let dependencies = dependencies.split_whitespace().map(|word| {
            let (kind, name) =
                word.split_once(':').map_or((None, word), |(kind, name)| (Some(kind), name));
            let kind = kind.map(str::to_owned);
            Dependency { name: name.to_owned(), kind, req: String::new(), path: None }
        });
        let package =
            Package { dependencies: dependencies.collect(), ..crate::workspace::package(name) };
        direct(&package).len()
    }

    #[test]
    fn inward_is_fine() {
        assert_eq!(broken("gateway-wire", "gateway-core serde"), 0);
        assert_eq!(broken("gateway-tools", "gateway-core gateway-resilience"), 0);
        assert_eq!(broken("gateway-server", "gateway-http gateway-store"), 0);
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
        assert_eq!(broken("gateway-config", "figment"), 0);
    }

    #[test]
    fn client_of_connections_is_named_by_its_owner_only() {
        let text = concat!("use hyper_util::", "client::legacy::Client;\n");
        let broken = |path| named_libraries(&source(path, text)).len();
        assert_eq!(broken("crates/gateway-net/src/pool.rs"), 0);
        assert_eq!(broken("crates/gateway-engine/src/lib.rs"), 1);
        assert_eq!(broken("crates/gateway-engine/tests/it.rs"), 0);
    }

    #[test]
    fn unlisted_crate_is_reported() {
        assert_eq!(broken("gateway-extra", ""), 1);
    }

    #[test]
    fn indirect_dependency_violates_layering() {
        let tree = "gateway-wire v0.1.0 (/x)\nbytes v1.0.0\nhyper v1.0.0\nhyper v1.0.0 (*)\n";
        assert_eq!(indirect("gateway-wire", tree, &["hyper", "tokio"]).len(), 1);
        assert_eq!(indirect("gateway-wire", tree, &["tokio", "hyp"]).len(), 0);
    }
}
