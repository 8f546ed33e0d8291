//! What the process is told from outside.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals to stop.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// How the gateway is told to stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    /// By whoever manages it: answers may end.
    Calmly,
    /// By somebody at a keyboard: at once.
    Hurried,
}

/// The signals to read the configuration again. From now on they no longer end the process.
pub(crate) fn hangups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

impl Signals {
    /// Begins to listen. From now on they no longer end the process by themselves.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Calmly,
            _ = self.interrupt.recv() => Stop::Hurried,
        }
    }
}
