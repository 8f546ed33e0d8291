//! Each package, installed as its users do and run: programs in a root folder that holds nothing else.

use super::{
    build::{ProgramBuild, ReleaseInfo},
    image::PROGRAM,
    signature,
    tarball::GATEWAY_ID,
    target::ReleaseTarget,
};
use crate::{
    clock::Stopwatch,
    http::Request,
    process::{Background, free_port},
    tally::Tally,
    terminal::{say, table},
    test,
    workspace::program,
};
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use xshell::cmd;

const KEY: &str = "sk-0123456789abcdef0123456789abcdef";
const CHAT: &str = r#"{"model":"fake/echo","messages":[{"role":"user","content":"hello"}]}"#;
/// The time for the first answer.
const START: Duration = Duration::from_secs(30);

/// The time from the start to the first answer, and the resident memory then.
struct TrialResult {
    first_answer: Duration,
    resident: String,
}

/// Tries every package.
pub(super) fn run(release: &ReleaseInfo<'_>, builds: &[ProgramBuild]) -> anyhow::Result<()> {
    let mut rows = vec![["package", "first answer", "resident"].map(str::to_owned).to_vec()];
    let mut tally = Tally::default();
    let mut note = |what: &str, result: anyhow::Result<Option<TrialResult>>| {
        tally = tally + Tally::one(result.is_ok());
        match result {
            Ok(None) => say(format!("ok    {what}")),
            Ok(Some(seen)) => {
                let seconds = format!("{:.2} s", seen.first_answer.as_secs_f64());
                rows.push(vec![what.to_owned(), seconds, seen.resident]);
            }
            Err(error) => say(format!("FAIL  {what}: {error:#}")),
        }
    };
    note("checksums and signature", signature::verify(release).map(|()| None));
    for build in builds {
        let Some(runner) = runner(build.target) else {
            say(format!("{}: built and checked, but nothing runs it here", build.target.triple));
            continue;
        };
        let trial = PackageTrial { release, build, runner: &runner };
        let name = build.target.image;
        note(&format!("archive {name}"), trial.archive().map(Some));
        note(&format!("deb {name}"), trial.debian().map(Some));
        note(&format!("image {name}"), trial.image().map(Some));
        if build.target.is_native() {
            note("pip", trial.pip().map(Some));
            if program("npm").is_some() {
                note("npm", trial.npm().map(Some));
            }
        }
    }
    if program("ruby").is_some() {
        let formula = release.dist.join("homebrew/llm-gateway.rb");
        let checked = cmd!(release.workspace.shell, "ruby -c {formula}").quiet().run();
        note("formula", checked.map(|()| None).map_err(Into::into));
    }
    say(format!("\n{}\n", table(&rows)));
    say(tally.to_string());
    test::judge(tally)
}

/// Returns the command prefix of a program of this system: empty, or an emulator; `None` if there is
/// no emulator.
fn runner(target: ReleaseTarget) -> Option<Vec<PathBuf>> {
    if target.is_native() {
        return Some(Vec::new());
    }
    program(&format!("qemu-{}-static", target.machine)).map(|emulator| vec![emulator])
}

struct PackageTrial<'a> {
    release: &'a ReleaseInfo<'a>,
    build: &'a ProgramBuild,
    runner: &'a [PathBuf],
}

impl PackageTrial<'_> {
    fn archive(&self) -> anyhow::Result<TrialResult> {
        let name = self.build.archive_name(&self.release.version);
        let archive = self.release.dist.join(format!("{name}.tar.gz"));
        let root = self.empty("archive")?;
        unpack(&archive, &root)?;
        self.in_root(&root, &format!("/{name}/bin/gateway-server"), &[])
    }

    /// Unpacks the members as `dpkg` does, for which a bare root has no room.
    fn debian(&self) -> anyhow::Result<TrialResult> {
        let version = &self.release.version;
        let name = format!("deb/llm-gateway_{version}_{}.deb", self.build.target.image);
        let package = self.release.dist.join(name);
        let members = self.empty("deb-members")?;
        let shell = &self.release.workspace.shell;
        cmd!(shell, "ar x --output {members} {package}").quiet().run()?;
        let root = self.empty("deb")?;
        unpack(&members.join("data.tar.gz"), &root)?;
        let file = root.join("etc/llm-gateway/gateway.toml");
        ensure!(file.is_file(), "there is no {}", file.display());
        if program("dpkg-deb").is_some() {
            let told = cmd!(shell, "dpkg-deb --field {package} Version Architecture").quiet();
            let told = told.read()?;
            let expected = format!("Version: {version}\nArchitecture: {}", self.build.target.image);
            ensure!(told.trim() == expected, "{told}");
        }
        let named = [("LLM_GATEWAY_CONFIG", "/etc/llm-gateway/gateway.toml")];
        self.in_root(&root, "/usr/bin/gateway-server", &named)
    }

    /// Reads the layout as an engine does, and runs the image with its own user and environment.
    fn image(&self) -> anyhow::Result<TrialResult> {
        let layout = self.release.dist.join("oci");
        let blob = |descriptor: &Value| {
            let digest = descriptor.get("digest").and_then(Value::as_str).unwrap_or_default();
            layout.join("blobs").join(digest.replace(':', "/"))
        };
        let read = |path: PathBuf| -> anyhow::Result<Value> {
            Ok(serde_json::from_slice(
                &fs::read(&path).with_context(|| path.display().to_string())?,
            )?)
        };
        let index = read(layout.join("index.json"))?;
        let index = read(blob(member(&index, "/manifests/0")?))?;
        let images = member(&index, "/manifests")?.as_array().context("images")?;
        let image = self.build.target.image;
        let own = images
            .iter()
            .find(|it| it.pointer("/platform/architecture").is_some_and(|it| it == image));
        let manifest = read(blob(own.context("no image for the system")?))?;
        let config = read(blob(member(&manifest, "/config")?))?;
        let config = member(&config, "/config")?;
        let root = self.empty("image")?;
        let mut size = 0;
        for layer in member(&manifest, "/layers")?.as_array().into_iter().flatten() {
            size += layer.get("size").and_then(Value::as_u64).unwrap_or_default();
            unpack(&blob(layer), &root)?;
        }
        say(format!("image {image}: {:.1} MB", f64::from(u32::try_from(size)?) / 1e6));
        ensure!(
            *member(config, "/User")? == format!("{GATEWAY_ID}:{GATEWAY_ID}"),
            "not for a user of its own"
        );
        let variables =
            member(config, "/Env")?.as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut variables: Vec<_> = variables.filter_map(|it| it.split_once('=')).collect();
        // What a container's network would do.
        variables.push(("LLM_GATEWAY_HOST", "127.0.0.1"));
        self.in_root(&root, PROGRAM, &variables)
    }

    fn pip(&self) -> anyhow::Result<TrialResult> {
        let folder = self.empty("pip")?;
        let shell = &self.release.workspace.shell;
        cmd!(shell, "python3 -m venv {folder}/venv").quiet().run()?;
        let wheels = self.release.dist.join("pip");
        let (python, version) = (folder.join("venv/bin/python3"), &self.release.version);
        let plain = ["--quiet", "--disable-pip-version-check", "--no-index", "--find-links"];
        cmd!(shell, "{python} -m pip install {plain...} {wheels} llm-gateway=={version}").run()?;
        self.answers(Command::new(folder.join("venv/bin/llm-gateway")), &folder, &[])
    }

    fn npm(&self) -> anyhow::Result<TrialResult> {
        let folder = self.empty("npm")?;
        let version = &self.release.version;
        let package = |name: &str| self.release.dist.join(format!("npm/{name}-{version}.tgz"));
        let system = package(&format!("llm-gateway-linux-{}", self.build.target.npm));
        let launcher = package("llm-gateway");
        let plain = ["--offline", "--no-audit", "--no-fund", "--silent", "--omit=optional"];
        let shell = &self.release.workspace.shell;
        cmd!(shell, "npm install {plain...} --prefix {folder} {system} {launcher}")
            .quiet()
            .run()?;
        self.answers(Command::new(folder.join("node_modules/.bin/llm-gateway")), &folder, &[])
    }

    /// Runs a program in a root folder, as the user of the image.
    fn in_root(
        &self,
        root: &Path,
        program: &str,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<TrialResult> {
        for folder in ["data", "tmp"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let user = format!("{GATEWAY_ID}:{GATEWAY_ID}");
        let shell = &self.release.workspace.shell;
        if cmd!(shell, "id -u").quiet().read()? != "0" {
            bail!("a bare root folder takes root");
        }
        cmd!(shell, "chown {user} {root}/data {root}/tmp").run()?;
        let mut command = Command::new("chroot");
        command.arg(format!("--userspec={user}")).arg(root);
        for emulator in self.runner {
            let inside = Path::new("/").join(emulator.file_name().unwrap_or_default());
            fs::copy(emulator, root.join(inside.strip_prefix("/")?))?;
            command.arg(inside);
        }
        command.arg(program);
        self.answers(command, root, variables)
    }

    /// Starts a gateway, asks it something, and looks at its memory.
    fn answers(
        &self,
        mut command: Command,
        folder: &Path,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<TrialResult> {
        let (port, keys) = (free_port()?.to_string(), format!("trial:{KEY}"));
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("LLM_GATEWAY_DATA_DIR", folder.join("data"));
        if command.get_program() == "chroot" {
            command.env("LLM_GATEWAY_DATA_DIR", "/data");
        }
        command.env("LLM_GATEWAY_API_KEYS", keys).env("LLM_GATEWAY_FAKE_ENABLED", "true");
        command.env("LLM_GATEWAY_DRAIN_DELAY", "0s");
        command.envs(variables.iter().copied()).env("LLM_GATEWAY_PORT", &port);
        let watch = Stopwatch::start();
        let scratch = self.release.workspace.scratch("dist")?;
        let mut gateway = Background::start("gateway", &mut command, &scratch)?;
        let port = port.parse()?;
        gateway.answers(port, "/health", START)?;
        let reply = Request::post("/v1/chat/completions", CHAT).key(KEY).send(port)?;
        let first_answer = watch.elapsed();
        ensure!(reply.status == 200 && reply.body.contains("hello"), "{reply:?}");
        let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid()))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(TrialResult { first_answer, resident: resident.unwrap_or_default().trim().to_owned() })
    }

    fn empty(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.release.workspace.scratch("dist")?.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// Returns what a document of the image has at a path.
fn member<'a>(document: &'a Value, path: &str) -> anyhow::Result<&'a Value> {
    document.pointer(path).with_context(|| format!("the image has no {path}"))
}

fn unpack(archive: &Path, into: &Path) -> anyhow::Result<()> {
    let mut tar = Command::new("tar");
    let status = tar.args(["-xzpf"]).arg(archive).arg("-C").arg(into).status()?;
    ensure!(status.success(), "{} cannot be unpacked", archive.display());
    Ok(())
}
