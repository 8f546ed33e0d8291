//! Deployment files match the code: manifests, rules and dashboards use only existing variables,
//! paths and metrics, and every alert has a runbook section.

use super::Source;
use std::collections::BTreeSet;

const CONFIGURATION: &str = "docs/configuration.md";
const RUNBOOK: &str = "docs/runbook.md";
const ENDPOINTS: &str = "crates/gateway-http/src/endpoint.rs";
const ALERTS: &str = "deploy/monitoring/alerts.yaml";
const WRAPPED: &str = "deploy/kubernetes/monitoring/prometheusrule.yaml";
const SERVER: &str = "bins/gateway-server/Cargo.toml";
/// The files that contain the version of the program.
const VERSIONED: &[(&str, &str)] = &[
    ("deploy/helm/llm-gateway/Chart.yaml", "appVersion: "),
    ("deploy/kubernetes/base/deployment.yaml", "image: llm-gateway:"),
];

/// Checks every file under `deploy`, and the runbook.
pub(super) fn check(files: &[Source]) -> Vec<String> {
    let text = |path: &str| files.iter().find(|it| it.path == path).map_or("", |it| &it.text);
    let manifests: Vec<_> = files.iter().filter(|it| it.path.starts_with("deploy/")).collect();
    let mut problems = Vec::new();
    for file in &manifests {
        problems.extend(variables(file, text(CONFIGURATION)));
        problems.extend(probes(file, text(ENDPOINTS)));
    }
    let metrics = metrics_of(files);
    let users = manifests.iter().copied().chain(files.iter().filter(|it| it.path == RUNBOOK));
    problems.extend(users.flat_map(|file| unknown_metrics(file, &metrics)));
    problems.extend(alerts(text(ALERTS), text(RUNBOOK)));
    problems.extend(wrapped(text(ALERTS), text(WRAPPED)));
    problems.extend(versions(&manifests, text(SERVER)));
    problems
}

/// Words of letters, digits and underscores.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Variables are settings; without the prefix only those that count without it.
fn variables(file: &Source, reference: &str) -> Vec<String> {
    let is_ours = |word: &&str| {
        let bare = word.ends_with("_API_KEY") || word.ends_with("_URL");
        word.chars().all(|c| !c.is_lowercase()) && (word.starts_with("LLM_GATEWAY_") || bare)
    };
    let is_known = |word: &str| {
        if word.starts_with("LLM_GATEWAY_") {
            reference.contains(&format!("`{word}`"))
        } else {
            reference.contains(&format!("*`LLM_GATEWAY_{word}`*"))
        }
    };
    let named: BTreeSet<_> = words(&file.text).filter(is_ours).collect();
    let unknown = named.into_iter().filter(|word| !is_known(word));
    unknown.map(|word| format!("{}: there is no setting {word}", file.path)).collect()
}

/// Probes and scrapers ask endpoints.
fn probes(file: &Source, endpoints: &str) -> Vec<String> {
    let paths = file.text.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("path: ").or_else(|| line.strip_prefix("prometheus.io/path: "))
    });
    let asked = paths.filter(|path| path.starts_with("/health") || path.starts_with("/metrics"));
    let unknown = asked.filter(|path| !endpoints.contains(&format!("\"{path}\"")));
    unknown.map(|path| format!("{}: there is no endpoint {path}", file.path)).collect()
}

/// The names of metrics in the code.
fn metrics_of(files: &[Source]) -> BTreeSet<&str> {
    let code = files.iter().filter(|it| {
        it.is("rs") && (it.path.starts_with("crates/") || it.path.starts_with("bins/"))
    });
    let quoted = code.flat_map(|file| file.text.split('"').skip(1).step_by(2));
    quoted.filter(|name| name.starts_with("llm_gateway_")).collect()
}

fn unknown_metrics(file: &Source, known: &BTreeSet<&str>) -> Vec<String> {
    let is_known = |name: &str| {
        let parts = ["", "_bucket", "_sum", "_count"].iter();
        parts.filter_map(|part| name.strip_suffix(part)).any(|name| known.contains(name))
    };
    let named: BTreeSet<_> =
        words(&file.text).filter(|word| word.starts_with("llm_gateway_")).collect();
    let unknown = named.into_iter().filter(|name| !is_known(name));
    unknown.map(|name| format!("{}: there is no metric {name}", file.path)).collect()
}

/// Every alert has its section, and every section its alert.
fn alerts(rules: &str, runbook: &str) -> Vec<String> {
    let named: BTreeSet<_> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let explained: BTreeSet<_> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .filter(|title| title.starts_with("LlmGateway"))
        .collect();
    let mut problems: Vec<_> = named
        .symmetric_difference(&explained)
        .map(|name| format!("{name} is not both in {ALERTS} and a section of {RUNBOOK}"))
        .collect();
    let unlinked = named
        .iter()
        .filter(|name| !rules.contains(&format!("{RUNBOOK}#{}\n", name.to_lowercase())));
    problems.extend(unlinked.map(|name| format!("{ALERTS}: {name} does not lead to {RUNBOOK}")));
    problems
}

/// The operator's form of the rules is the rules, two columns further in.
fn wrapped(rules: &str, wrapped: &str) -> Option<String> {
    let lines = rules.lines().filter(|line| !line.starts_with('#'));
    let further =
        lines.map(|line| if line.is_empty() { String::new() } else { format!("  {line}") });
    let expected: Vec<_> = further.collect();
    let found: Vec<_> = wrapped.lines().skip_while(|line| *line != "spec:").skip(1).collect();
    (expected != found).then(|| format!("{WRAPPED} does not say what {ALERTS} says"))
}

/// The version of the server is the one that is deployed.
fn versions(manifests: &[&Source], manifest: &str) -> Vec<String> {
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = "));
    let version = version.unwrap_or_default().trim_matches('"');
    let stale = VERSIONED.iter().filter(|(path, begin)| {
        let file = manifests.iter().find(|it| it.path == *path);
        let says =
            |file: &&Source| file.text.lines().any(|it| it.trim() == format!("{begin}{version}"));
        file.is_some_and(|file| !says(file))
    });
    stale.map(|(path, _)| format!("{path} does not name version {version}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::check;

    const RULES: &str = "# Rules.\ngroups:\n  - alert: LlmGatewayX\n    expr: llm_gateway_a_bucket\n    \
                         runbook: docs/runbook.md#llmgatewayx\n";
    const WRAPPED: &str = "kind: X\nspec:\n  groups:\n    - alert: LlmGatewayX\n      \
                           expr: llm_gateway_a_bucket\n      runbook: docs/runbook.md#llmgatewayx\n";

    /// What is wrong with one more file.
    #[track_caller]
    fn broken(path: &str, text: &str, number: usize) {
        let mut files = vec![
            source("docs/configuration.md", "`LLM_GATEWAY_PORT`, *`LLM_GATEWAY_X_API_KEY`*"),
            source("crates/gateway-http/src/endpoint.rs", "Health \"/health\""),
            source("crates/a.rs", "counter!(\"llm_gateway_a\")"),
            source("docs/runbook.md", "## LlmGatewayX\n"),
            source("deploy/monitoring/alerts.yaml", RULES),
            source("deploy/kubernetes/monitoring/prometheusrule.yaml", WRAPPED),
            source("bins/gateway-server/Cargo.toml", "version = \"1.2.3\"\n"),
        ];
        files.retain(|file| file.path != path);
        files.push(source(path, text));
        assert_eq!(check(&files).len(), number, "{:?}", check(&files));
    }

    #[test]
    fn variables_are_settings() {
        broken("deploy/a.yaml", "LLM_GATEWAY_PORT: 1\nX_API_KEY: k\nLLM_GATEWAY_X_API_KEY: k\n", 0);
        broken("deploy/a.yaml", "LLM_GATEWAY_PROT: 1\nPORT_URL: 1\nY_API_KEY: k\n", 3);
    }

    #[test]
    fn probes_are_endpoints() {
        broken("deploy/a.yaml", "path: /health\npath: /v1\n", 0);
        broken("deploy/a.yaml", "path: /healthz\nprometheus.io/path: /metrics\n", 2);
    }

    #[test]
    fn metrics_are_counted_somewhere() {
        broken("deploy/a.json", "sum(llm_gateway_a_sum{x=\"y\"})", 0);
        broken("deploy/a.json", "sum(llm_gateway_b)", 1);
    }

    #[test]
    fn alerts_are_explained() {
        broken("docs/runbook.md", "## LlmGatewayY\n## Other\n", 2);
        broken("deploy/kubernetes/monitoring/prometheusrule.yaml", "spec:\n  groups:\n", 1);
    }

    #[test]
    fn versions_are_the_servers() {
        broken("deploy/helm/llm-gateway/Chart.yaml", "appVersion: 1.2.3\n", 0);
        broken("deploy/helm/llm-gateway/Chart.yaml", "appVersion: 1.2.2\n", 1);
    }
}
