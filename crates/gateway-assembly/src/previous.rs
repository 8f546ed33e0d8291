//! The generation that a reload replaces.

use gateway_config::Config;
use gateway_http::HttpService;

/// The previous generation. Each part that is built from the same settings again is reused.
#[derive(Clone, Copy, Debug)]
pub struct PreviousGeneration<'a> {
    /// The parts that have served requests so far.
    pub app: &'a HttpService,
    /// The settings they were built from.
    pub config: &'a Config,
}
