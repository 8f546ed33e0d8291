//! The readers of the request log, and the error that they get without its store.

use gateway_core::{ErrorKind, GatewayError, state::StoreError};

/// The reader of the log: a tenant sees its own requests, operators see all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LogReader<'a> {
    /// A client of this tenant.
    Tenant(&'a str),
    /// An operator.
    Operator,
}

/// Returns the error of a reader whose log cannot be read.
pub(super) fn unavailable(error: StoreError) -> GatewayError {
    GatewayError::new(ErrorKind::Unavailable, "the request log is temporarily unavailable")
        .with_code(error.code())
        .with_source(error)
}
