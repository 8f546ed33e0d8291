//! The gateway as its present configuration makes it. Each request sees one, from its beginning to
//! its end.

use crate::config::Config;
use arc_swap::ArcSwap;
use gateway_http::HttpService;
use std::sync::Arc;

/// What requests are answered by. Swapped as a whole.
#[derive(Debug)]
pub struct Live {
    app: ArcSwap<HttpService>,
    config: ArcSwap<Config>,
}

impl Live {
    /// Begins with `app`, which `config` made.
    pub fn new(config: Config, app: HttpService) -> Self {
        Self { app: ArcSwap::from_pointee(app), config: ArcSwap::from_pointee(config) }
    }

    /// What a request that comes now is answered by.
    pub fn app(&self) -> Arc<HttpService> {
        self.app.load_full()
    }

    /// What counts now.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// From now on `app`, which `config` made, counts. What is under way keeps what it began with.
    pub fn swap(&self, config: Config, app: HttpService) {
        self.app.store(Arc::new(app));
        self.config.store(Arc::new(config));
    }
}
