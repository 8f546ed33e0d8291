//! The generation that a reload replaces.

use crate::config::Config;
use gateway_http::HttpService;

/// The previous generation. Each part that is built from the same settings again is reused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PreviousGeneration<'a> {
    /// The parts that have served requests so far.
    pub(crate) app: &'a HttpService,
    /// The settings they were built from.
    pub(crate) config: &'a Config,
}
