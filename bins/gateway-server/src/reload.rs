//! Takes up a new configuration while the gateway runs: read, checked and built beside the present
//! one, then swapped in as a whole. What is invalid changes nothing.

use crate::{
    before::Before,
    compose,
    config::{Change, Source, changes, last_good, watch_file::Watched},
    instrumentation,
    lasting::Lasting,
    live::Live,
};
use gateway_telemetry::log::LevelHandle;
use metrics::{counter, gauge};
use std::{convert::Infallible, future, sync::Arc};
use tokio::signal::unix::Signal;

/// Reloads the configuration of a running gateway.
#[derive(Debug)]
pub(crate) struct Reloader<'a> {
    /// Where it comes from.
    pub(crate) source: &'a Source,
    /// What goes on.
    pub(crate) lasting: &'a Lasting,
    /// What is swapped.
    pub(crate) live: &'a Arc<Live>,
    /// How much is logged.
    pub(crate) dial: LevelHandle,
}

/// What became of a reload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Applied,
    Unchanged,
    Rejected,
}

impl Reloader<'_> {
    /// Reloads whenever it is told to, or the file has changed, until the gateway is about to stop.
    /// Never returns.
    pub(crate) async fn run(&self, hangups: &mut Signal) -> Infallible {
        let draining = self.lasting.drain.draining.clone();
        draining.run_until_cancelled(self.watch(hangups)).await;
        future::pending().await
    }

    async fn watch(&self, hangups: &mut Signal) {
        let mut file = Watched::new(self.source.path());
        loop {
            let watches = self.live.config().lifecycle.watch;
            tokio::select! {
                hangup = hangups.recv() => if hangup.is_none() { return },
                () = file.changed(), if watches => {}
            }
            // Building takes milliseconds of work.
            tokio::task::block_in_place(|| self.reload());
        }
    }

    fn reload(&self) {
        let outcome = self.take_up();
        counter!("llm_gateway_config_reloads_total", "result" => outcome.as_str()).increment(1);
    }

    fn take_up(&self) -> Outcome {
        let loaded = match self.source.load() {
            Ok(loaded) => loaded,
            Err(problems) => {
                for problem in problems.iter() {
                    tracing::error!(target: "gateway::config", %problem, "not reloaded");
                }
                return Outcome::Rejected;
            }
        };
        let changes = changes::between(&self.live.config(), &loaded.config);
        let app = self.live.app();
        let before = Before { app: &app, changes: &changes };
        let built = match compose::build(&loaded.config, self.lasting, Some(before)) {
            Ok(built) => built,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(target: "gateway::config", error, "not reloaded");
                return Outcome::Rejected;
            }
        };
        keep(self.live, loaded.text.as_deref());
        if changes.is_empty() {
            tracing::info!(target: "gateway::config", "reloaded: nothing has changed");
            return Outcome::Unchanged;
        }
        tell(&changes, built.engine.generation);
        self.dial.set(instrumentation::level(loaded.config.log.level));
        self.live.swap(loaded.config, built);
        Outcome::Applied
    }
}

/// Keeps the file that counts now for a later start, and says so if it cannot.
pub(crate) fn keep(live: &Live, text: Option<&str>) {
    if let Err(error) = last_good::keep(&live.config().server.data_dir, text) {
        tracing::warn!(target: "gateway::config", %error, "what counts is not kept for a later start");
    }
}

/// Says what changed; secrets are hidden.
fn tell(changes: &[Change], epoch: u64) {
    for change in changes {
        if change.needs_restart() {
            tracing::warn!(target: "gateway::config", epoch, %change, "needs a restart");
        } else {
            tracing::info!(target: "gateway::config", epoch, %change, "reloaded");
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "nobody reloads that often")]
    gauge!("llm_gateway_config_epoch").set(epoch as f64);
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
        }
    }
}
