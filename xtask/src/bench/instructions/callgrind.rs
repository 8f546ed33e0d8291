//! The gateway under callgrind, counted only while asked to.

use crate::{
    gateway::Gateway,
    process::{Background, unlimited},
    workspace::program,
};
use anyhow::{Context as _, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// The start timeout of the gateway, which runs many times slower than usual under callgrind.
const START: Duration = Duration::from_mins(2);

/// The processors of the gateway: its worker threads and their contention depend on the number.
const PROCESSORS: &str = "0,1";

/// Large copies are counted as loops, not as the one instruction that some processors have.
const TUNABLES: &str =
    "glibc.cpu.x86_rep_movsb_threshold=100000000:glibc.cpu.x86_rep_stosb_threshold=100000000";

/// A gateway that runs under callgrind. Dropping it ends it.
#[derive(Debug)]
pub(super) struct CountedGateway {
    process: Background,
    /// The port on which the gateway listens.
    pub(super) port: u16,
    folder: PathBuf,
    /// The number of profiles written so far.
    profiles: u32,
}

/// Whether callgrind can be had here.
pub(super) fn is_available() -> bool {
    program("valgrind").is_some() && program("callgrind_control").is_some()
}

impl CountedGateway {
    /// Starts the gateway with a configuration; `flags` are those of callgrind.
    pub(super) fn start(
        binary: &Path,
        config: &str,
        folder: &Path,
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        for old in fs::read_dir(folder)?.flatten() {
            if old.file_name().to_string_lossy().starts_with("callgrind.out") {
                fs::remove_file(old.path())?;
            }
        }
        let mut command = unlimited(Path::new("taskset"));
        command.args(["-c", PROCESSORS, "valgrind", "--tool=callgrind"]).args(flags);
        command.arg(format!("--callgrind-out-file={}", folder.join("callgrind.out").display()));
        command.arg(binary);
        let port = Gateway::configure(&mut command, config, folder)?;
        command.env("GLIBC_TUNABLES", TUNABLES);
        let mut process = Background::start("callgrind", &mut command, folder)?;
        process.answers(port, "/health", START)?;
        Ok(Self { process, port, folder: folder.to_owned(), profiles: 0 })
    }

    /// Returns the profile of the gateway during `work`.
    pub(super) fn profile(
        &mut self,
        work: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<String> {
        self.control(&["--zero"])?;
        self.control(&["--instr=on"])?;
        work()?;
        self.dump()
    }

    /// Stops counting and returns the profile since the last reset.
    pub(super) fn dump(&mut self) -> anyhow::Result<String> {
        self.control(&["--instr=off"])?;
        self.control(&["--dump"])?;
        self.profiles += 1;
        let profile = self.folder.join(format!("callgrind.out.{}", self.profiles));
        let text = fs::read(&profile).with_context(|| profile.display().to_string())?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn control(&self, flags: &[&str]) -> anyhow::Result<()> {
        let pid = self.process.pid().to_string();
        let output = Command::new("callgrind_control").args(flags).arg(&pid).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let done = output.status.success() && !text.to_ascii_lowercase().contains("error");
        ensure!(done, "callgrind_control {flags:?}: {text}");
        Ok(())
    }
}
