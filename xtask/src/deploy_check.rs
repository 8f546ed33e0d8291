//! The manifests, as far as they can be tried without a cluster: rendered, held against the schemas
//! of Kubernetes, and their configuration read by the program itself.
//!
//! What is not installed is left out, and said to be.

use crate::{
    gateway::Binary,
    needs,
    tally::Tally,
    terminal::say,
    test,
    workspace::{Workspace, program},
};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use xshell::cmd;

/// The arguments of `deploy-check`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    binary: Binary,
}

const OVERLAYS: &[&str] = &["dev", "staging", "prod"];
const COMPOSE: &[&str] = &["compose.yaml", "compose.dev.yaml", "compose.hybrid.yaml"];
const CHART: &str = "deploy/helm/llm-gateway";
/// A secret has these; without a key for callers the program refuses to start.
const SECRET: (&str, &str) = ("LLM_GATEWAY_API_KEYS", "app:sk-0123456789abcdef0123456789abcdef");
/// YAML in, JSON out: a list of documents.
const TO_JSON: &str =
    "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";

/// Runs every check.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let check = Check {
        workspace,
        gateway: arguments.binary.path(workspace)?,
        python: needs::python_with(workspace, "kubernetes-validate", "kubernetes_validate")?,
        scratch: workspace.scratch("deploy")?,
    };
    let mut tally = Tally::default();
    for (what, result) in check.all() {
        match &result {
            Ok(()) => say(format!("ok    {what}")),
            Err(error) => say(format!("FAIL  {what}: {error:#}")),
        }
        tally = tally + Tally::one(result.is_ok());
    }
    say(tally.to_string());
    test::judge(tally)
}

struct Check<'a> {
    workspace: &'a Workspace,
    gateway: PathBuf,
    python: PathBuf,
    scratch: PathBuf,
}

type Results = Vec<(String, anyhow::Result<()>)>;

impl Check<'_> {
    fn all(&self) -> Results {
        let mut results: Results = Vec::new();
        results.push(("image: its context is a whole workspace".to_owned(), self.context()));
        for name in COMPOSE {
            results.push((format!("compose {name}: the program reads it"), self.compose(name)));
        }
        if let Some(kubectl) = installed("kubectl") {
            for name in OVERLAYS {
                results.push((
                    format!("overlay {name}: schemas, and the program"),
                    self.overlay(&kubectl, name),
                ));
            }
        }
        if let Some(helm) = installed("helm") {
            results.push(("chart: lint, schemas, and the program".to_owned(), self.chart(&helm)));
        }
        if let Some(promtool) = installed("promtool") {
            results.push(("alerts: promtool".to_owned(), self.alerts(&promtool)));
        }
        results
    }

    /// Checks that the build context of the image has every member of the workspace.
    fn context(&self) -> anyhow::Result<()> {
        let (shell, root) = (&self.workspace.shell, &self.workspace.root);
        let ignored = fs::read_to_string(root.join("deploy/docker/Dockerfile.dockerignore"))?;
        let sent = ignored.lines().filter_map(|line| line.strip_prefix('!'));
        let context = self.scratch.join("context");
        if context.exists() {
            fs::remove_dir_all(&context)?;
        }
        for file in cmd!(shell, "git ls-files -- {sent...}").quiet().read()?.lines() {
            let to = context.join(file);
            fs::create_dir_all(to.parent().context("a file in a folder")?)?;
            fs::copy(root.join(file), &to).with_context(|| file.to_owned())?;
        }
        let manifest = context.join("Cargo.toml");
        let metadata = ["--format-version", "1", "--no-deps", "--offline", "--manifest-path"];
        let read = cmd!(shell, "cargo metadata {metadata...} {manifest}").quiet().ignore_stdout();
        Ok(read.run()?)
    }

    fn compose(&self, name: &str) -> anyhow::Result<()> {
        let file = self.workspace.root.join("deploy/compose").join(name);
        let told = self.documents(&file)?;
        let environment = told.pointer("/0/services/gateway/environment");
        let environment = environment.and_then(Value::as_object).context("no environment")?;
        let mut variables = image_variables();
        for (name, value) in environment {
            variables.insert(name.clone(), filled(name, value.as_str().unwrap_or_default()));
        }
        variables.entry(SECRET.0.to_owned()).or_insert_with(|| SECRET.1.to_owned());
        let services = told.pointer("/0/services").and_then(Value::as_object);
        let known = |host: &str| services.is_some_and(|it| it.contains_key(host));
        let strange = strangers(&variables, known);
        ensure!(strange.is_empty(), "there is no service {}", strange.join(", "));
        self.configured(&variables)
    }

    fn overlay(&self, kubectl: &Path, name: &str) -> anyhow::Result<()> {
        let folder = format!("deploy/kubernetes/overlays/{name}");
        let text = cmd!(self.workspace.shell, "{kubectl} kustomize {folder}").quiet().read()?;
        self.rendered(&format!("overlay-{name}.yaml"), &text)
    }

    fn chart(&self, helm: &Path) -> anyhow::Result<()> {
        let shell = &self.workspace.shell;
        let values = ["values.yaml", "ci/minimal-values.yaml", "ci/everything-values.yaml"];
        for (at, values) in values.iter().enumerate() {
            let values = format!("{CHART}/{values}");
            cmd!(shell, "{helm} lint --strict {CHART} --values {values}").quiet().run()?;
            let text =
                cmd!(shell, "{helm} template demo {CHART} --values {values}").quiet().read()?;
            self.rendered(&format!("chart-{at}.yaml"), &text)?;
        }
        Ok(())
    }

    fn alerts(&self, promtool: &Path) -> anyhow::Result<()> {
        let rules = "deploy/monitoring/alerts.yaml";
        Ok(cmd!(self.workspace.shell, "{promtool} check rules {rules}")
            .quiet()
            .ignore_stdout()
            .run()?)
    }

    /// Holds manifests against the schemas, and lets the program read what its pod would.
    fn rendered(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let file = self.scratch.join(name);
        fs::write(&file, text)?;
        let validate = self.python.with_file_name("kubernetes-validate");
        let found = Command::new(validate).arg("--strict").arg(&file).output()?;
        let told = String::from_utf8_lossy(&found.stderr) + String::from_utf8_lossy(&found.stdout);
        ensure!(found.status.success() && !told.contains("ERROR"), "{told}");
        self.configured(&pod_variables(&self.documents(&file)?)?)
    }

    /// The documents of a file.
    fn documents(&self, file: &Path) -> anyhow::Result<Value> {
        let python = &self.python;
        let told = cmd!(self.workspace.shell, "{python} -c {TO_JSON} {file}").quiet().read()?;
        Ok(serde_json::from_str(&told)?)
    }

    /// The program accepts these variables, and warns of none.
    fn configured(&self, variables: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let mut command = Command::new(&self.gateway);
        command.arg("check").env_clear().envs(variables).current_dir(&self.scratch);
        let output = command.output()?;
        let told =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && told.trim() == "ok", "{told}");
        Ok(())
    }
}

/// Hosts in addresses that are neither services of the file, as `known` says, nor the machine
/// itself.
fn strangers(variables: &BTreeMap<String, String>, known: impl Fn(&str) -> bool) -> Vec<String> {
    let host = |(_, value): (&String, &String)| {
        let rest = value.split_once("://")?.1;
        let end = rest.find([':', '/']).unwrap_or(rest.len());
        rest.get(..end).map(str::to_owned)
    };
    let is_strange = |host: &String| host != "host.docker.internal" && !known(host);
    variables.iter().filter_map(host).filter(is_strange).collect()
}

fn installed(name: &str) -> Option<PathBuf> {
    let found = program(name);
    if found.is_none() {
        say(format!("left  {name} is not installed"));
    }
    found
}

/// Returns the variables that the image sets.
fn image_variables() -> BTreeMap<String, String> {
    let of_image = [
        ("LLM_GATEWAY_HOST", "0.0.0.0"),
        ("LLM_GATEWAY_PORT", "8080"),
        ("LLM_GATEWAY_ENV", "production"),
    ];
    of_image.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A value with its own variables filled in: the default after `:-`, or a key where one is demanded.
fn filled(name: &str, value: &str) -> String {
    let Some(inner) = value.strip_prefix("${").and_then(|it| it.strip_suffix('}')) else {
        return value.to_owned();
    };
    match inner.split_once(":-") {
        Some((_, usual)) => usual.to_owned(),
        None if name == SECRET.0 => SECRET.1.to_owned(),
        None => String::new(),
    }
}

/// Returns the variables of the gateway's container, from its configuration and secret too.
fn pod_variables(documents: &Value) -> anyhow::Result<BTreeMap<String, String>> {
    let mut variables = image_variables();
    variables.insert(SECRET.0.to_owned(), SECRET.1.to_owned());
    let of_kind = |kind: &'static str| {
        documents.as_array().into_iter().flatten().filter(move |it| it["kind"] == kind)
    };
    for data in of_kind("ConfigMap").filter_map(|it| it["data"].as_object()) {
        let settings = data.iter().filter(|(name, _)| name.starts_with("LLM_GATEWAY_"));
        variables.extend(
            settings.filter_map(|(name, it)| Some((name.clone(), it.as_str()?.to_owned()))),
        );
    }
    let deployment = of_kind("Deployment").next().context("no deployment")?;
    let own = deployment.pointer("/spec/template/spec/containers/0/env");
    for it in own.and_then(Value::as_array).into_iter().flatten() {
        let (Some(name), Some(value)) = (it["name"].as_str(), it["value"].as_str()) else {
            continue;
        };
        // The file is in a volume that is not here.
        if name != "LLM_GATEWAY_CONFIG" {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::{SECRET, filled, pod_variables, strangers};
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn addresses_lead_to_services() {
        let told = ["redis://redis:6379", "http://stub:8081", "http://host.docker.internal:1/v1"];
        let told = told.iter().map(|it| ((*it).to_owned(), (*it).to_owned()));
        let variables: BTreeMap<_, _> = told.chain([("X".to_owned(), "on".to_owned())]).collect();
        assert_eq!(strangers(&variables, |host| host == "redis"), ["stub"]);
        assert!(strangers(&variables, |_| true).is_empty());
    }

    #[test]
    fn variables_of_variables_are_filled_in() {
        assert_eq!(filled("X", "plain"), "plain");
        assert_eq!(filled("X", "${LEVEL:-info}"), "info");
        assert_eq!(filled("X", "${KEY:-}"), "");
        assert_eq!(filled(SECRET.0, "${KEYS:?needed}"), SECRET.1);
    }

    #[test]
    fn pod_variables_merge_container_and_config_map() {
        let container = json!({ "env": [{ "name": "LLM_GATEWAY_PORT", "value": "1" }] });
        let told = pod_variables(&json!([
            { "kind": "ConfigMap", "data": { "LLM_GATEWAY_PORT": "2", "LLM_GATEWAY_ENV": "test" } },
            { "kind": "Deployment", "spec": { "template": { "spec": { "containers": [container] } } } },
        ]));
        let told = told.unwrap();
        assert_eq!((&*told["LLM_GATEWAY_PORT"], &*told["LLM_GATEWAY_ENV"]), ("1", "test"));
        assert_eq!(told[SECRET.0], SECRET.1);
    }
}
