//! The access of operators: to metrics and details that callers do not need.

use gateway_core::{ErrorKind, GatewayError, Result, state::KeyHash};
use gateway_limits::FailedAttempts;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;

/// The rule for `/metrics` and `/health/detailed` on the callers' listener.
#[derive(Clone, Copy, Debug, Default)]
pub enum OperatorAccess {
    /// Callers may read them, as in development.
    #[default]
    Callers,
    /// Only with the token of this hash; without one, only on listeners of their own.
    Token(Option<KeyHash>),
}

/// Checks that a request shows the operators' `token`. After too many failures it is not even looked
/// at.
///
/// # Errors
///
/// [`ErrorKind::Unauthenticated`] if it does not; [`ErrorKind::RateLimited`] after too many failures.
pub(crate) fn identify(
    failures: &FailedAttempts,
    token: Option<KeyHash>,
    (peer, headers): (IpAddr, &HeaderMap),
) -> Result<()> {
    failures.check(peer)?;
    let shown = crate::auth::key(headers)?.map(|token| KeyHash::new(Sha256::digest(token).into()));
    if shown.is_some() && shown == token {
        failures.record_success(peer);
        return Ok(());
    }
    failures.record(peer);
    Err(GatewayError::new(ErrorKind::Unauthenticated, "invalid admin token"))
}
