//! Errors of state backends.

use crate::{BoxError, ErrorKind, GatewayError};
use std::{borrow::Cow, time::Duration};
use thiserror::Error;

/// Why a backend could not do what it was asked.
///
/// A write that fails was not acknowledged; whether it took place is not known. All writes can
/// therefore be sent again: they are recognised.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It is not there, or does not answer in time.
    #[error("the store is unavailable: {0}")]
    Unavailable(BoxError),
    /// It does not accept our credential.
    #[error("the store rejects the gateway: {0}")]
    Refused(BoxError),
    /// It has more to do than it can queue.
    #[error("the store is busy")]
    Busy,
    /// It has no room left; what it holds can be read.
    #[error("the store is full")]
    Full,
    /// The tenant keeps as much as it may; what it holds can be read, and deleted.
    #[error("the tenant has reached its quota of {0}")]
    Quota(StorageQuota),
    /// A write failed in a way that forbids further ones; what it holds can be read.
    #[error("the store is read-only: {0}")]
    ReadOnly(Cow<'static, str>),
    /// The stored record cannot be read. It is left unchanged.
    #[error("a stored {what} is unreadable: {why}")]
    Corrupt {
        /// Expected type: `session`, `response`.
        what: &'static str,
        /// Description of the damage.
        why: Cow<'static, str>,
    },
    /// The request cannot be kept as it is: the caller's mistake, not the store's.
    #[error("{0}")]
    Invalid(&'static str),
}

/// A bound on the state of one tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StorageQuota {
    /// The bytes of everything below.
    Bytes,
    /// The number of sessions.
    Sessions,
    /// The number of stored responses and conversations.
    Responses,
    /// The number of replies to requests with an idempotency key.
    Replays,
}

impl StorageQuota {
    /// The stable name: a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Sessions => "sessions",
            Self::Responses => "responses",
            Self::Replays => "idempotency records",
        }
    }
}

impl std::fmt::Display for StorageQuota {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl StoreError {
    /// Creates the error for a stored `what` that cannot be read.
    pub fn corrupt(what: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Corrupt { what, why: why.into() }
    }

    /// Whether the backend itself is in trouble, rather than one record or request.
    pub const fn is_outage(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Refused(_) | Self::Busy => true,
            Self::Full
            | Self::Quota(_)
            | Self::ReadOnly(_)
            | Self::Corrupt { .. }
            | Self::Invalid(_) => false,
        }
    }

    /// The stable name: an error code and a metric label.
    pub fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Unavailable(_) | Self::Refused(_) => "store_unavailable",
            Self::Busy => "store_busy",
            Self::Full => "storage_full",
            Self::Quota(_) => "storage_quota_exceeded",
            Self::ReadOnly(_) => "store_read_only",
            Self::Corrupt { what, .. } => return Cow::Owned(format!("{what}_corrupt")),
            Self::Invalid(_) => "invalid_request",
        })
    }
}

impl From<StoreError> for GatewayError {
    fn from(error: StoreError) -> Self {
        let (kind, message, wait) = match &error {
            StoreError::Unavailable(_) | StoreError::Refused(_) => {
                (ErrorKind::Unavailable, Cow::Borrowed("the state store is unavailable"), Some(2))
            }
            StoreError::Busy => (ErrorKind::Unavailable, "the state store is busy".into(), Some(1)),
            StoreError::Full => {
                (ErrorKind::Unavailable, "the state store is full".into(), Some(30))
            }
            StoreError::Quota(quota) => {
                let message = format!(
                    "the storage quota is reached: {quota}; delete some, or wait until they expire"
                );
                (ErrorKind::StorageQuota, message.into(), None)
            }
            StoreError::ReadOnly(_) => {
                (ErrorKind::Unavailable, "the state store is read-only".into(), Some(30))
            }
            StoreError::Corrupt { what, .. } => {
                (ErrorKind::Internal, format!("the stored {what} is unreadable").into(), None)
            }
            StoreError::Invalid(why) => (ErrorKind::InvalidRequest, (*why).into(), None),
        };
        Self::new(kind, message)
            .with_code(error.code())
            .with_retry_after(wait.map(Duration::from_secs))
            .with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: StoreError, kind: ErrorKind, code: &str, retries: bool) {
        let error = GatewayError::from(error);
        assert_eq!((error.kind(), error.code()), (kind, code));
        assert_eq!(error.retry_after().is_some(), retries);
        assert!(!error.message().contains("secret"), "details are for the log");
    }

    #[test]
    fn store_error_maps_to_retryable_error() {
        check(
            StoreError::Unavailable("secret".into()),
            ErrorKind::Unavailable,
            "store_unavailable",
            true,
        );
        check(
            StoreError::Refused("secret".into()),
            ErrorKind::Unavailable,
            "store_unavailable",
            true,
        );
        check(StoreError::Busy, ErrorKind::Unavailable, "store_busy", true);
        check(StoreError::Full, ErrorKind::Unavailable, "storage_full", true);
        check(
            StoreError::ReadOnly("secret".into()),
            ErrorKind::Unavailable,
            "store_read_only",
            true,
        );
    }

    #[test]
    fn corrupt_record_maps_to_internal_error() {
        check(
            StoreError::corrupt("session", "secret"),
            ErrorKind::Internal,
            "session_corrupt",
            false,
        );
    }
}
