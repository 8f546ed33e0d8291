//! Targets of a dry run.

use crate::{CacheStatus, DroppedParams, GatewayError, Target, UnavailableReason};
use std::sync::Arc;

/// A target of a dry run, and the expected result of calling it.
#[derive(Debug)]
pub struct PlannedAttempt {
    /// Id of the provider.
    pub provider: Arc<str>,
    /// Model to be called.
    pub target: Target,
    /// Number of the provider's credential, from 1; absent if there is only one.
    pub credential: Option<usize>,
    /// Why it would not be asked.
    pub unavailable: Option<UnavailableReason>,
    /// Parameters that the translation would drop; an error if it is impossible.
    pub dropped: Result<DroppedParams, GatewayError>,
    /// Expected result of the cache lookup.
    pub cache: Option<CacheStatus>,
}
