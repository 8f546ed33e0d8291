//! A gateway under callgrind, between a caller and an upstream of this task.

use super::{
    callgrind::CountedGateway,
    client::SequentialClient,
    scenarios::{self, CountedScenario},
    upstream::LockstepUpstream,
};
use crate::gateway::CLIENT_KEY;
use std::path::Path;

/// The gateway, its caller and its upstream. Dropping it ends the gateway.
#[derive(Debug)]
pub(crate) struct CountedRun {
    upstream: LockstepUpstream,
    gateway: CountedGateway,
    client: SequentialClient,
}

impl CountedRun {
    /// Starts the gateway with a store, everything on.
    pub(crate) fn start(binary: &Path, folder: &Path, store: &str) -> anyhow::Result<Self> {
        Self::start_with(binary, folder, store, &["--instr-atstart=no"])
    }

    /// Starts the gateway as [`start`](Self::start) does, with names as the linker knows them.
    pub(crate) fn start_mangled(binary: &Path, folder: &Path, store: &str) -> anyhow::Result<Self> {
        Self::start_with(binary, folder, store, &["--instr-atstart=no", "--demangle=no"])
    }

    /// Returns the profile of the start, names as the linker knows them.
    pub(crate) fn profile_of_start(binary: &Path, folder: &Path) -> anyhow::Result<String> {
        Self::start_with(binary, folder, "embedded", &["--demangle=no"])?.gateway.dump()
    }

    fn start_with(
        binary: &Path,
        folder: &Path,
        store: &str,
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        let upstream = LockstepUpstream::start()?;
        let config = scenarios::config(upstream.port(), store);
        let gateway = CountedGateway::start(binary, &config, folder, flags)?;
        let client = SequentialClient::connect(gateway.port, CLIENT_KEY)?;
        Ok(Self { upstream, gateway, client })
    }

    /// Returns the profile of a scenario's requests, after as many that are not counted.
    pub(crate) fn profile(&mut self, scenario: &CountedScenario) -> anyhow::Result<String> {
        let Self { upstream, gateway, client } = self;
        let body = scenario.body();
        let mut send = || (0..scenario.requests).try_for_each(|_| client.chat(&body, upstream));
        send()?;
        gateway.profile(send)
    }

    /// Returns the profile of the gateway, without requests, during `work`.
    pub(crate) fn profile_of(
        &mut self,
        work: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<String> {
        self.gateway.profile(work)
    }
}
