//! The manifests, as far as they can be tried without a cluster: rendered, compared with the schemas
//! of Kubernetes, checked by the program itself, and run by it against stubs of the platform.
//!
//! Tools that are not installed are left out and named, except Helm, whose library serves instead.

mod environment;
mod trial;

use self::{
    environment::{ContainerEnvironment, gateway_service},
    trial::{CHECKS, PlatformStubs},
};
use crate::{
    gateway::Binary,
    needs,
    tally::Tally,
    terminal::{say, table},
    test,
    workspace::{Workspace, program},
};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::{
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
    /// The stub of the platform's services, instead of the one built from here
    #[arg(long, value_name = "PROGRAM")]
    stub: Option<PathBuf>,
}

const OVERLAYS: &[&str] = &["dev", "staging", "prod"];
/// The Compose files, with the file that each overlays.
const COMPOSE: &[(&str, Option<&str>)] = &[
    ("compose.yaml", None),
    ("compose.dev.yaml", None),
    ("compose.hybrid.yaml", Some("compose.yaml")),
    ("compose.platform.yaml", None),
];
const CHART: &str = "deploy/helm/llm-gateway";
/// The values with which the chart is rendered, and what the secret then holds.
const VALUES: &[(&str, &[&str])] = &[
    ("values.yaml", &["GATEWAY_KEY_APP"]),
    ("ci/minimal-values.yaml", &["GATEWAY_KEY_APP"]),
    (
        "ci/everything-values.yaml",
        &["GATEWAY_KEY_APP", "LLM_GATEWAY_REDIS_URL", "LLM_GATEWAY_ADMIN_TOKEN"],
    ),
];
/// Values that the chart must refuse, and a part of the reason.
const REFUSED: &[(&str, &str)] = &[
    (r#"{"redis":{"url":""}}"#, "10 replicas need a store"),
    (r#"{"autoscaling":{"enabled":false},"redis":{"url":""}}"#, "2 replicas need a store"),
    (r#"{"config":{"LLM_GATEWAY_STORE":"embedded"}}"#, "10 replicas need a store"),
    (r#"{"persistence":{"existingClaim":"data"}}"#, "for one replica"),
    (r#"{"services":{"semanticSearch":"search"}}"#, "semanticSearch"),
];
/// YAML in, JSON out: a list of documents.
const TO_JSON: &str =
    "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
/// Renders and lints with Helm's library.
const HELM: &str = include_str!("helm.py");

/// Runs every check.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let gateway = arguments.binary.path(workspace)?;
    let stub = stub(workspace, arguments)?;
    let scratch = workspace.scratch("deploy")?;
    let check = Check {
        workspace,
        gateway,
        python: needs::python_with(workspace, "kubernetes-validate", "kubernetes_validate")?,
        helm: needs::python_with(workspace, "helm-python-sdk", "helm_python")?,
        _stubs: PlatformStubs::start(workspace, &stub, &scratch)?,
        scratch,
    };
    let head = ["environment"].iter().chain(&CHECKS).map(|it| (*it).to_owned());
    let mut rows: TableRows = vec![head.collect()];
    let mut tally = Tally::default();
    for (what, result) in check.all(&mut rows) {
        match &result {
            Ok(()) => say(format!("ok    {what}")),
            Err(error) => say(format!("FAIL  {what}: {error:#}")),
        }
        tally = tally + Tally::one(result.is_ok());
    }
    say(format!("\n{}\n", table(&rows)));
    say(tally.to_string());
    test::judge(tally)
}

/// Returns the path of the stub, after building it if needed.
fn stub(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<PathBuf> {
    if let Some(path) = &arguments.stub {
        return fs::canonicalize(path).with_context(|| path.display().to_string());
    }
    let build = "build --locked --release -p gateway-tests --bin platform-stub";
    workspace.cargo(build).run()?;
    Ok(workspace.target.join("release/platform-stub"))
}

struct Check<'a> {
    workspace: &'a Workspace,
    gateway: PathBuf,
    python: PathBuf,
    helm: PathBuf,
    _stubs: PlatformStubs,
    scratch: PathBuf,
}

type Results = Vec<(String, anyhow::Result<()>)>;
type TableRows = Vec<Vec<String>>;

impl Check<'_> {
    fn all(&self, rows: &mut TableRows) -> Results {
        let mut results: Results = Vec::new();
        results.push(("image: its context is a whole workspace".to_owned(), self.context()));
        for (name, base) in COMPOSE {
            let environment = self.compose(name, *base);
            results.extend(self.tried(&format!("compose {name}"), environment, rows));
        }
        if let Some(kubectl) = installed("kubectl") {
            for name in OVERLAYS {
                let environment = self.overlay(&kubectl, name);
                results.extend(self.tried(&format!("overlay {name}"), environment, rows));
            }
        }
        for (values, secrets) in VALUES {
            let environment = self.chart(values, secrets);
            results.extend(self.tried(&format!("chart {values}"), environment, rows));
        }
        for (values, reason) in REFUSED {
            results.push((format!("chart refuses {values}"), self.check_refused(values, reason)));
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

    /// Checks a rendered environment with the program, and runs the program with it.
    fn tried(
        &self,
        name: &str,
        rendered: anyhow::Result<ContainerEnvironment>,
        rows: &mut TableRows,
    ) -> Results {
        let what = format!("{name}: rendered, and the program accepts it");
        let checked = rendered.and_then(|environment| {
            let folder = self.scratch.join(name.replace(['/', ' '], "-"));
            let environment = with_file(environment, &folder)?;
            self.accepted(&environment)?;
            Ok((environment, folder))
        });
        let (environment, folder) = match checked {
            Ok(it) => it,
            Err(error) => return vec![(what, Err(error))],
        };
        let (cells, ran) = trial::run(&self.gateway, &environment, &folder);
        rows.push([name.to_owned()].into_iter().chain(cells).collect());
        vec![(what, Ok(())), (format!("{name}: the program runs"), ran)]
    }

    fn compose(&self, name: &str, base: Option<&str>) -> anyhow::Result<ContainerEnvironment> {
        let folder = self.workspace.root.join("deploy/compose");
        let mut files = Vec::new();
        for name in base.into_iter().chain([name]) {
            let documents = self.documents(&folder.join(name))?;
            files.push(documents.get(0).context("an empty file")?.clone());
        }
        let environment = ContainerEnvironment::of_compose(&files, &folder)?;
        let services = files.iter().filter_map(|it| it["services"].as_object());
        let services: Vec<&String> = services.flat_map(|it| it.keys()).collect();
        let unknown = environment.unknown_hosts(|host| {
            host == "host.docker.internal" || services.iter().any(|name| *name == host)
        });
        ensure!(unknown.is_empty(), "there is no service {}", unknown.join(", "));
        ensure!(files.iter().all(|it| gateway_service(it).is_some()), "a file without a gateway");
        Ok(environment)
    }

    fn overlay(&self, kubectl: &Path, name: &str) -> anyhow::Result<ContainerEnvironment> {
        let folder = format!("deploy/kubernetes/overlays/{name}");
        let text = cmd!(self.workspace.shell, "{kubectl} kustomize {folder}").quiet().read()?;
        let documents = self.validated(&format!("overlay-{name}.yaml"), &text)?;
        ContainerEnvironment::of_pod(&documents, &["GATEWAY_KEY_APP"])
    }

    fn chart(&self, values: &str, secrets: &[&str]) -> anyhow::Result<ContainerEnvironment> {
        let values = self.documents(&self.workspace.root.join(CHART).join(values))?;
        let values = values.get(0).context("no values")?.to_string();
        self.helm("lint", &values)?;
        let documents = self.validated("chart.yaml", &self.helm("render", &values)?)?;
        ContainerEnvironment::of_pod(&documents, secrets)
    }

    fn check_refused(&self, values: &str, reason: &str) -> anyhow::Result<()> {
        match self.helm("render", values) {
            Ok(_) => anyhow::bail!("it was rendered"),
            Err(error) => {
                let error = error.to_string();
                ensure!(error.contains(reason), "refused for another reason: {error}");
                Ok(())
            }
        }
    }

    /// Renders or lints the chart with these values.
    fn helm(&self, command: &str, values: &str) -> anyhow::Result<String> {
        let (script, file) = (self.scratch.join("helm.py"), self.scratch.join("values.json"));
        fs::write(&script, HELM)?;
        fs::write(&file, values)?;
        let chart = self.workspace.root.join(CHART);
        let output =
            Command::new(&self.helm).arg(script).arg(command).arg(chart).arg(file).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    fn alerts(&self, promtool: &Path) -> anyhow::Result<()> {
        let rules = "deploy/monitoring/alerts.yaml";
        Ok(cmd!(self.workspace.shell, "{promtool} check rules {rules}")
            .quiet()
            .ignore_stdout()
            .run()?)
    }

    /// Compares manifests with the schemas of Kubernetes; returns their documents.
    fn validated(&self, name: &str, text: &str) -> anyhow::Result<Value> {
        let file = self.scratch.join(name);
        fs::write(&file, text)?;
        let validate = self.python.with_file_name("kubernetes-validate");
        let found = Command::new(validate).arg("--strict").arg(&file).output()?;
        let printed =
            String::from_utf8_lossy(&found.stderr) + String::from_utf8_lossy(&found.stdout);
        ensure!(found.status.success() && !printed.contains("ERROR"), "{printed}");
        self.documents(&file)
    }

    /// Returns the documents of a file.
    fn documents(&self, file: &Path) -> anyhow::Result<Value> {
        let python = &self.python;
        let json = cmd!(self.workspace.shell, "{python} -c {TO_JSON} {file}").quiet().read()?;
        Ok(serde_json::from_str(&json)?)
    }

    /// Checks that the program accepts an environment, and warns of none of it.
    fn accepted(&self, environment: &ContainerEnvironment) -> anyhow::Result<()> {
        let mut command = Command::new(&self.gateway);
        command.arg("check").env_clear().envs(&environment.variables).current_dir(&self.scratch);
        let output = command.output()?;
        let printed =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && printed.trim() == "ok", "{printed}");
        Ok(())
    }
}

/// Writes the file of an environment to `folder`.
fn with_file(
    mut environment: ContainerEnvironment,
    folder: &Path,
) -> anyhow::Result<ContainerEnvironment> {
    fs::create_dir_all(folder)?;
    let path = folder.join("gateway.toml");
    match &environment.file {
        Some(text) => fs::write(&path, text)?,
        None if path.exists() => fs::remove_file(&path)?,
        None => {}
    }
    let names_file = environment.variables.remove("LLM_GATEWAY_CONFIG").is_some();
    ensure!(
        names_file == environment.file.is_some(),
        "LLM_GATEWAY_CONFIG and no file, or a file without it"
    );
    if names_file {
        let path = path.to_str().context("a path in UTF-8")?.to_owned();
        environment.variables.insert("LLM_GATEWAY_CONFIG".to_owned(), path);
    }
    Ok(environment)
}

fn installed(name: &str) -> Option<PathBuf> {
    let found = program(name);
    if found.is_none() {
        say(format!("left  {name} is not installed"));
    }
    found
}
