//! The signals of the operating system.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop the process.
#[derive(Debug)]
pub(crate) struct ShutdownSignals {
    terminate: Signal,
    interrupt: Signal,
    /// `SIGUSR1` and `SIGUSR2` would end a process that does not handle them; they do nothing here.
    _ignored: [Signal; 2],
}

/// The kind of shutdown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shutdown {
    /// `SIGTERM`, from a process manager: responses may end.
    Graceful,
    /// `SIGINT`, from a keyboard: within a second.
    Immediate,
}

/// Installs the handler of `SIGHUP`, which reloads the configuration.
pub(crate) fn reload_signal() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

impl ShutdownSignals {
    /// Installs the handlers of `SIGTERM` and `SIGINT`, and those of signals that are ignored.
    pub(crate) fn install() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let ignored = [SignalKind::user_defined1(), SignalKind::user_defined2()];
        let [first, second] = ignored.map(signal);
        Ok(Self { terminate, interrupt, _ignored: [first?, second?] })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> Shutdown {
        tokio::select! {
            _ = self.terminate.recv() => Shutdown::Graceful,
            _ = self.interrupt.recv() => Shutdown::Immediate,
        }
    }
}
