//! Programs that run beside a task, and are gone when it ends, however it ends.

use crate::{
    clock::{Stopwatch, pause},
    http,
};
use anyhow::{Context as _, bail};
use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

/// The time between a termination signal and a kill.
const GRACE: Duration = Duration::from_secs(5);

/// A program in the background. Dropping it ends it: it is asked first, then killed.
#[derive(Debug)]
pub(crate) struct Background {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Background {
    /// Starts a program; what it prints goes to `folder/NAME.log`.
    pub(crate) fn start(name: &str, command: &mut Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let out = File::create(&log).with_context(|| log.display().to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {name}: {command:?}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it answers `GET path` with any status at all.
    pub(crate) fn answers(&mut self, port: u16, path: &str, limit: Duration) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        while watch.elapsed() < limit {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, self.last_words());
            }
            // A server that still loads its model says so.
            if http::Request::get(path).send(port).is_ok_and(|reply| reply.status != 503) {
                return Ok(());
            }
            pause(Duration::from_millis(5));
        }
        bail!("{} does not answer after {limit:?}:\n{}", self.name, self.last_words())
    }

    /// The end of what it printed.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines: Vec<&str> = text.lines().rev().take(20).collect();
        lines.reverse();
        lines.join("\n")
    }

    fn end(&mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_none() {
            let pid = self.pid().to_string();
            let _status = Command::new("kill").args(["-TERM", &pid]).status()?;
        }
        let watch = Stopwatch::start();
        while self.child.try_wait()?.is_none() {
            if watch.elapsed() > GRACE {
                self.child.kill()?;
                self.child.wait()?;
            }
            pause(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.end().is_err() {
            let _last_resort = self.child.kill().and_then(|()| self.child.wait());
        }
    }
}

/// Returns an unused port.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A Python program. It leaves no compiled files beside its sources.
pub(crate) fn python(interpreter: &Path, script: &Path) -> Command {
    let mut command = Command::new(interpreter);
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(script);
    command
}

/// A program that may open as many files as the system allows.
pub(crate) fn unlimited(program: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n \"$(ulimit -Hn)\"; exec \"$@\"", "sh"]).arg(program);
    command
}

/// Runs a program to its end, showing what it prints and keeping it, too.
pub(crate) fn tee(command: &mut Command) -> anyhow::Result<(ExitStatus, String)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let text = thread::scope(|scope| {
        let err = scope.spawn(|| err.map(|err| copy(err, &mut io::stderr())));
        let mut text = out.map(|out| copy(out, &mut io::stdout())).unwrap_or_default();
        text.push_str(&err.join().ok().flatten().unwrap_or_default());
        text
    });
    Ok((child.wait()?, text))
}

/// Copies lines as they come, and returns them. A reader that has gone is no reason to stop.
fn copy(from: impl Read, to: &mut impl Write) -> String {
    let mut kept = String::new();
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let _gone = to.write_all(&line).and_then(|()| to.flush());
        kept.push_str(&String::from_utf8_lossy(&line));
        line.clear();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::{Background, free_port, tee, unlimited};
    use std::{env, path::Path, process::Command, time::Duration};

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn start(name: &str, script: &str) -> Background {
        Background::start(name, &mut shell(script), &env::temp_dir()).unwrap()
    }

    fn runs(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn dropped_program_is_killed() {
        let program = start("xtask-dropped", "exec sleep 60");
        let pid = program.pid();
        assert!(runs(pid));
        drop(program);
        assert!(!runs(pid));
    }

    #[test]
    fn early_exit_error_quotes_output() {
        let mut program = start("xtask-early", "echo no luck; exit 3");
        let limit = Duration::from_secs(10);
        let error = program.answers(free_port().unwrap(), "/", limit).unwrap_err().to_string();
        assert!(error.contains("no luck") && error.contains('3'), "{error}");
    }

    #[test]
    fn unresponsive_program_times_out() {
        let mut program = start("xtask-mute", "exec sleep 60");
        let limit = Duration::from_millis(50);
        let error = program.answers(free_port().unwrap(), "/", limit).unwrap_err().to_string();
        assert!(error.contains("does not answer"), "{error}");
    }

    #[test]
    fn open_file_limit_is_raised_in_place() {
        let mut command = unlimited(Path::new("/bin/sh"));
        command.args(["-c", "ulimit -n; ulimit -Hn; echo $$"]);
        let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let pid = child.id().to_string();
        let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!((lines[0], lines[2]), (lines[1], pid.as_str()));
    }

    #[test]
    fn stdout_and_stderr_are_captured() {
        let (status, text) = tee(&mut shell("echo out; echo err >&2; exit 4")).unwrap();
        assert_eq!((status.code(), text.as_str()), (Some(4), "out\nerr\n"));
    }
}
