//! What goes on when a new configuration is taken up.

use crate::config::Change;
use gateway_http::HttpService;

/// The gateway of the configuration before: what did not change of it goes on.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// What answers requests so far.
    pub app: &'a HttpService,
    /// What the new configuration changes.
    pub changes: &'a [Change],
}
