//! The systems for which programs are released: Linux, static, so that they run on every distribution.

use crate::{needs, workspace::Workspace};
use anyhow::{Context as _, ensure};
use std::{env, fs, path::PathBuf};
use xshell::cmd;

/// A system, and its names in each kind of package.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ReleaseTarget {
    pub(super) triple: &'static str,
    /// The name of the architecture for Debian and for container images.
    pub(super) image: &'static str,
    /// The name for npm.
    pub(super) npm: &'static str,
    /// The name for Python, and for Linux itself.
    pub(super) machine: &'static str,
    /// The number of the architecture in the header of a program.
    elf: u16,
}

/// All systems.
pub(super) const TARGETS: [ReleaseTarget; 2] = [
    ReleaseTarget {
        triple: "x86_64-unknown-linux-musl",
        image: "amd64",
        npm: "x64",
        machine: "x86_64",
        elf: 62,
    },
    ReleaseTarget {
        triple: "aarch64-unknown-linux-musl",
        image: "arm64",
        npm: "arm64",
        machine: "aarch64",
        elf: 183,
    },
];

impl ReleaseTarget {
    /// The system of this name.
    pub(super) fn of(triple: &str) -> anyhow::Result<Self> {
        let found = TARGETS.into_iter().find(|it| it.triple == triple);
        found.with_context(|| {
            let known = TARGETS.map(|it| it.triple).join(", ");
            format!("`{triple}` is not released; known: {known}")
        })
    }

    /// Whether its programs run on this machine.
    pub(super) fn is_native(self) -> bool {
        cfg!(target_os = "linux") && self.machine == env::consts::ARCH
    }

    /// Builds the program, with Zig as the compiler of C and as the linker: it has the headers and
    /// the C library of every target, which no distribution has.
    pub(super) fn build(
        self,
        workspace: &Workspace,
        profile: &str,
        features: &[&str],
    ) -> anyhow::Result<PathBuf> {
        let triple = self.triple;
        needs::rust_target(&workspace.shell, triple)?;
        let zig = needs::zigbuild(workspace)?;
        let folder = zig.parent().context("a folder of programs")?;
        let path = env::var_os("PATH").unwrap_or_default();
        let path =
            env::join_paths(std::iter::once(folder.to_owned()).chain(env::split_paths(&path)))?;
        let features = features.iter().map(|name| format!("--features={name}"));
        let build = workspace.cargo("zigbuild --locked -p gateway-server --bin gateway-server");
        build
            .args(["--profile", profile, "--target", triple])
            .args(features)
            .env("PATH", path)
            .run()?;
        Ok(workspace.target.join(triple).join(profile).join("gateway-server"))
    }

    /// Checks that a program is for this system, and needs nothing of it but the kernel.
    pub(super) fn check(self, workspace: &Workspace, program: &PathBuf) -> anyhow::Result<()> {
        let shown = program.display();
        let bytes = fs::read(program).with_context(|| shown.to_string())?;
        let machine =
            bytes.get(18..20).and_then(|it| Some(u16::from_le_bytes(it.try_into().ok()?)));
        ensure!(bytes.starts_with(b"\x7fELF"), "{shown} is not a program of Linux");
        ensure!(machine == Some(self.elf), "{shown} is not for {}", self.triple);
        let headers = cmd!(workspace.shell, "readelf --wide --program-headers {program}");
        let headers = headers.quiet().read()?;
        ensure!(!headers.contains("INTERP"), "{shown} needs a dynamic linker");
        Ok(())
    }
}
