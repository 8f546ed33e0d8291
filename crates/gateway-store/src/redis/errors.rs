//! Classification of Redis and connection errors.

use fred::error::{Error, ErrorKind};
use gateway_core::state::StoreError;

/// Converts `error` for the caller.
pub(super) fn explain(error: Error) -> StoreError {
    let text = error.details();
    let says = |word: &str| text.contains(word);
    if says("OOM command") {
        return StoreError::Full;
    }
    if says("WRONGTYPE") {
        return StoreError::corrupt("session", "a key holds something else");
    }
    let refused = ["NOAUTH", "WRONGPASS", "NOPERM"].into_iter().any(says);
    if refused || *error.kind() == ErrorKind::Auth {
        return StoreError::Refused(error.into());
    }
    if *error.kind() == ErrorKind::Backpressure {
        return StoreError::Busy;
    }
    // READONLY, LOADING, MASTERDOWN, MISCONF, BUSY, CLUSTERDOWN, timeouts, broken connections.
    StoreError::Unavailable(error.into())
}

/// Whether Redis has not seen the script yet, or has forgotten it.
pub(super) fn is_unknown_script(error: &Error) -> bool {
    error.details().starts_with("NOSCRIPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &'static str, code: &str, outage: bool) {
        let error = explain(Error::new(ErrorKind::Unknown, text));
        assert_eq!((&*error.code(), error.is_outage()), (code, outage), "{text}");
    }

    #[test]
    fn redis_errors_are_classified() {
        check("OOM command not allowed when used memory > 'maxmemory'.", "storage_full", false);
        check("ERR Error running script: @user_script: OOM command x", "storage_full", false);
        check("WRONGTYPE Operation against a key", "session_corrupt", false);
        check("READONLY You can't write against a read only replica.", "store_unavailable", true);
        check("LOADING Redis is loading the dataset in memory", "store_unavailable", true);
        check("MISCONF Errors writing to the AOF file", "store_unavailable", true);
        check("NOAUTH Authentication required.", "store_unavailable", true);
        check("BUSY Redis is busy running a script.", "store_unavailable", true);
    }

    #[test]
    fn authentication_failure_differs_from_unreachable_server() {
        for text in ["NOAUTH x", "WRONGPASS x", "NOPERM this user has no permissions"] {
            let error = explain(Error::new(ErrorKind::Unknown, text));
            assert!(matches!(error, StoreError::Refused(_)), "{text}");
        }
    }
}
