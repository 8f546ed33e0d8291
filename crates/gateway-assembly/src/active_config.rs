//! The generation that serves requests. Each request sees one, from its beginning to its end.

use arc_swap::ArcSwap;
use gateway_config::Config;
use gateway_http::HttpService;
use std::sync::Arc;

/// The active generation and the configuration it was built from.
#[derive(Debug)]
pub struct ActiveConfig {
    app: ArcSwap<HttpService>,
    config: ArcSwap<Config>,
}

impl ActiveConfig {
    /// Creates the first generation.
    pub fn new(config: Config, app: HttpService) -> Self {
        Self { app: ArcSwap::from_pointee(app), config: ArcSwap::from_pointee(config) }
    }

    /// Returns the parts that serve a request that arrives now.
    pub fn app(&self) -> Arc<HttpService> {
        self.app.load_full()
    }

    /// Returns the effective configuration.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Replaces the generation. Requests in progress keep theirs.
    pub fn swap(&self, config: Config, app: HttpService) {
        self.app.store(Arc::new(app));
        self.config.store(Arc::new(config));
    }
}
