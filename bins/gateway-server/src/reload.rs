//! Reload of the configuration: read, checked and built beside the active one, then swapped as a
//! whole. An invalid configuration changes nothing.

use crate::{
    config::{ConfigSource, SettingChange, changes, file_watcher::FileWatcher, last_good},
    instrumentation,
};
use gateway_assembly::{ActiveConfig, PreviousGeneration, SharedResources};
use gateway_net::server::ServerTls;
use gateway_telemetry::log::LevelHandle;
use metrics::{counter, gauge};
use std::{convert::Infallible, future, sync::Arc};
use tokio::signal::unix::Signal;

/// The reloads of a running gateway.
#[derive(Debug)]
pub(crate) struct Reloader<'a> {
    /// The source of the configuration.
    pub(crate) source: &'a ConfigSource,
    /// The resources shared by all generations.
    pub(crate) shared: &'a SharedResources,
    /// The generation to swap.
    pub(crate) active: &'a Arc<ActiveConfig>,
    /// The handle to the log level.
    pub(crate) level: LevelHandle,
    /// The certificate of the listeners.
    pub(crate) tls: Option<&'a ServerTls>,
}

/// The result of a reload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReloadResult {
    Applied,
    Unchanged,
    Rejected,
}

impl Reloader<'_> {
    /// Reloads at each signal and each change of the file, until the shutdown. Never returns.
    pub(crate) async fn run(&self, signal: &mut Signal) -> Infallible {
        let draining = self.shared.process.shutdown.draining.clone();
        draining.run_until_cancelled(self.watch(signal)).await;
        future::pending().await
    }

    async fn watch(&self, signal: &mut Signal) {
        let mut file = FileWatcher::new(self.source.path());
        loop {
            let config = self.active.config();
            file.follow(config.catalogue.file.as_deref());
            let watches = config.lifecycle.watch;
            tokio::select! {
                received = signal.recv() => if received.is_none() { return },
                () = file.changed(), if watches => {}
            }
            // Building takes milliseconds of CPU time.
            tokio::task::block_in_place(|| self.reload());
        }
    }

    fn reload(&self) {
        gateway_assembly::reload_certificate(self.tls);
        let outcome = self.apply();
        counter!("llm_gateway_config_reloads_total", "result" => outcome.as_str()).increment(1);
    }

    fn apply(&self) -> ReloadResult {
        let loaded = match self.source.load() {
            Ok(loaded) => loaded,
            Err(errors) => {
                for error in errors.iter() {
                    tracing::error!(target: "gateway::config", %error, "reload rejected; the active configuration stays");
                }
                return ReloadResult::Rejected;
            }
        };
        let (app, config) = (self.active.app(), self.active.config());
        let changes = changes::between(&config, &loaded.config);
        let previous = PreviousGeneration { app: &app, config: &config };
        let built = match gateway_assembly::service(&loaded.config, self.shared, Some(previous)) {
            Ok(built) => built,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(target: "gateway::config", error, "reload rejected; the active configuration stays");
                return ReloadResult::Rejected;
            }
        };
        save_last_good(self.active, loaded.text.as_deref());
        let has_same_catalogue = gateway_assembly::has_same_catalogue(&app, &built);
        if changes.is_empty() && has_same_catalogue {
            tracing::info!(target: "gateway::config", "reloaded without changes");
            return ReloadResult::Unchanged;
        }
        report(&changes, built.engine.generation);
        if !has_same_catalogue {
            tracing::info!(target: "gateway::config", "reloaded the catalogue of models and prices");
        }
        self.level.set(instrumentation::level(loaded.config.log.level));
        self.active.swap(loaded.config, built);
        ReloadResult::Applied
    }
}

/// Saves the effective file as the last known good one, and logs a failure.
pub(crate) fn save_last_good(active: &ActiveConfig, text: Option<&str>) {
    if let Err(error) = last_good::keep(&active.config().server.data_dir, text) {
        tracing::warn!(target: "gateway::config", %error, "failed to save last-known-good configuration");
    }
}

/// Logs the changes, secrets hidden.
fn report(changes: &[SettingChange], generation: u64) {
    for change in changes {
        if change.needs_restart() {
            tracing::warn!(target: "gateway::config", epoch = generation, %change, "change takes effect after a restart");
        } else {
            tracing::info!(target: "gateway::config", epoch = generation, %change, "reloaded");
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "reloads are few")]
    gauge!("llm_gateway_config_epoch").set(generation as f64);
}

impl ReloadResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
        }
    }
}
