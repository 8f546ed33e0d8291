//! The signals of the operating system.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop the process.
#[derive(Debug)]
pub(crate) struct ShutdownSignals {
    terminate: Signal,
    interrupt: Signal,
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
    /// Installs the handlers of `SIGTERM` and `SIGINT`.
    pub(crate) fn install() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> Shutdown {
        tokio::select! {
            _ = self.terminate.recv() => Shutdown::Graceful,
            _ = self.interrupt.recv() => Shutdown::Immediate,
        }
    }
}
