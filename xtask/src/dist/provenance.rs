//! A statement of how the packages were built: SLSA provenance 1.0, as an in-toto statement.
//! See <https://slsa.dev/spec/v1.0/provenance>.

use super::{build::ReleaseInfo, digest::sha256_hex};
use anyhow::Context as _;
use serde_json::json;
use std::fs;
use xshell::cmd;

pub(super) const MEDIA_TYPE: &str = "application/vnd.in-toto+json";

/// States the origin of `subjects`, each a name and a digest with its algorithm.
pub(super) fn statement(
    release: &ReleaseInfo<'_>,
    subjects: &[(String, String)],
) -> anyhow::Result<String> {
    let workspace = release.workspace;
    let lock = fs::read(workspace.root.join("Cargo.lock")).context("Cargo.lock")?;
    let lock = sha256_hex(&lock);
    let compiler = cmd!(workspace.shell, "rustc --version").quiet().read()?;
    let subject = |(name, digest): &(String, String)| {
        let (algorithm, value) = digest.split_once(':').unwrap_or(("sha256", digest));
        json!({ "name": name, "digest": { algorithm: value } })
    };
    let source = json!({
        "uri": format!("git+{}", release.repository), "digest": { "gitCommit": release.commit },
    });
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects.iter().map(subject).collect::<Vec<_>>(),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": format!("{}/blob/main/docs/releasing.md", release.repository),
                "externalParameters": { "source": source, "command": "cargo xtask dist" },
                "resolvedDependencies": [
                    source,
                    { "name": "Cargo.lock", "digest": { "sha256": lock } },
                    { "name": compiler },
                ],
            },
            "runDetails": { "builder": { "id": format!("{}/xtask", release.repository) } },
        },
    });
    Ok(serde_json::to_string_pretty(&statement)? + "\n")
}
