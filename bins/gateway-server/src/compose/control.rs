//! Who may do how much, as configured.

use crate::config::Config;
use gateway_http::{
    Control,
    control::{Limiter, LimiterSettings, Peers},
};
use gateway_store::Stores;
use std::{collections::HashSet, sync::Arc, time::Duration};

/// What no request survives, so that nothing it holds is freed before it ends.
const MARGIN: Duration = Duration::from_mins(1);

/// Builds what limits callers.
pub(super) fn build(config: &Config, stores: &Stores) -> Control {
    let settings = LimiterSettings {
        strangers: config.limits.of_strangers(),
        lease: config.timeouts.stream_total + config.timeouts.total + MARGIN,
        assumed_output: config.limits.assumed_output_tokens,
    };
    Control {
        peers: Peers { trusted: config.server.trusted_proxies.clone() },
        limiter: Limiter::new(Arc::clone(&stores.quotas), &settings),
        free: free(config),
    }
}

/// Providers that run on machines of the platform: nobody sends a bill.
fn free(config: &Config) -> HashSet<Arc<str>> {
    let local = ["fake", "inference", "llamacpp", "ollama"];
    let paid =
        |id: &str| config.providers.get(id).is_some_and(|provider| provider.api_key.is_some());
    local.iter().filter(|id| !paid(id)).map(|id| Arc::from(*id)).collect()
}
