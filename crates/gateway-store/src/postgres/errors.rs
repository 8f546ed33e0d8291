//! Classification of Postgres and connection errors.

use gateway_core::state::StoreError;
use tokio_postgres::{Error, error::SqlState};

/// Converts `error` for the caller.
pub(super) fn explain(error: Error) -> StoreError {
    let Some(reply) = error.as_db_error() else { return StoreError::Unavailable(error.into()) };
    // The message names what is wrong; details may hold values.
    let text = format!("{} ({})", reply.message(), reply.code().code());
    classify(reply.code(), text)
}

fn classify(code: &SqlState, text: String) -> StoreError {
    let is = |codes: &[SqlState]| codes.contains(code);
    if code.code().starts_with("28")
        || is(&[SqlState::INSUFFICIENT_PRIVILEGE, SqlState::INVALID_CATALOG_NAME])
    {
        return StoreError::Refused(text.into());
    }
    // The record cannot be stored as it is; the server is well.
    if ["22", "23", "54"].into_iter().any(|class| code.code().starts_with(class)) {
        return StoreError::corrupt("record", text);
    }
    if is(&[SqlState::DISK_FULL, SqlState::OUT_OF_MEMORY]) {
        return StoreError::Full;
    }
    let is_contended = is(&[
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::TOO_MANY_CONNECTIONS,
    ]);
    if is_contended {
        return StoreError::Busy;
    }
    // Shutdown, recovery, a standby that takes no writes.
    StoreError::Unavailable(text.into())
}

/// Returns the error of a call that was not answered in time.
pub(super) fn timed_out() -> StoreError {
    StoreError::Unavailable("Postgres has not answered in time".into())
}

/// Returns the error of a reply that is not what was asked for.
#[expect(clippy::needless_pass_by_value, reason = "the form that `map_err` takes")]
pub(super) fn unreadable(error: Error) -> StoreError {
    StoreError::corrupt("row", error.to_string())
}

/// Copies an error for another caller that waits for the same.
pub(super) fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(why) => StoreError::Unavailable(why.to_string().into()),
        StoreError::Refused(why) => StoreError::Refused(why.to_string().into()),
        StoreError::Busy => StoreError::Busy,
        StoreError::Full => StoreError::Full,
        StoreError::Quota(quota) => StoreError::Quota(*quota),
        StoreError::ReadOnly(why) => StoreError::ReadOnly(why.clone()),
        StoreError::Corrupt { what, why } => StoreError::Corrupt { what, why: why.clone() },
        StoreError::Invalid(why) => StoreError::Invalid(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, expected: &str, outage: bool) {
        let error = classify(&SqlState::from_code(code), "text".to_owned());
        assert_eq!((&*error.code(), error.is_outage()), (expected, outage), "{code}");
    }

    #[test]
    fn postgres_errors_are_classified() {
        check("57P01", "store_unavailable", true);
        check("57P03", "store_unavailable", true);
        check("25006", "store_unavailable", true);
        check("28P01", "store_unavailable", true);
        check("53300", "store_busy", true);
        check("55P03", "store_busy", true);
        check("40P01", "store_busy", true);
        check("53100", "storage_full", false);
        check("54000", "record_corrupt", false);
        check("22P05", "record_corrupt", false);
    }

    #[test]
    fn refused_credential_differs_from_unreachable_server() {
        for code in ["28000", "28P01", "3D000", "42501"] {
            let error = classify(&SqlState::from_code(code), String::new());
            assert!(matches!(error, StoreError::Refused(_)), "{code}");
        }
    }
}
