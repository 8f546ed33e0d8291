//! System calls of a running process that fail, or take long, as if the disk were to blame.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStderr, Command, Stdio},
};

/// Meddles with the system calls of a process, until it is dropped.
#[derive(Debug)]
pub struct FaultInjection {
    strace: Child,
    /// The standard error, held open so that the program does not end.
    _said: BufReader<ChildStderr>,
}

impl FaultInjection {
    /// Does to the calls of process `pid` what `injection` says, in the words of strace:
    /// `fdatasync:error=EIO`.
    ///
    /// Nothing where there is no strace, or it may not trace: then the test has nothing to show, and
    /// says so; where `CI` is set, that is a failure.
    pub fn with(pid: u32, injection: &str) -> Option<Self> {
        let calls = injection.split(':').next().unwrap_or_default();
        let started = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-p", &pid.to_string()])
            .args(["-e", &format!("trace={calls}"), "-e", &format!("inject={injection}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut strace) = started else { return skipped("there is no strace") };
        let mut said = BufReader::new(strace.stderr.take().expect("it is piped"));
        let mut line = String::new();
        while said.read_line(&mut line).is_ok_and(|length| length > 0) {
            if line.contains("attached") {
                return Some(Self { strace, _said: said });
            }
            line.clear();
        }
        let _ = strace.kill();
        let _ = strace.wait();
        skipped("strace may not trace here")
    }
}

fn skipped<T>(why: &str) -> Option<T> {
    assert!(env::var_os("CI").is_none(), "{why}");
    // Shown where the output of passed tests is.
    let _ = writeln!(std::io::stdout(), "SKIPPED, nothing was shown: {why}");
    None
}

impl Drop for FaultInjection {
    fn drop(&mut self) {
        // It lets go of the process before it ends.
        crate::signal(self.strace.id(), "TERM");
        let _ = self.strace.wait();
    }
}
