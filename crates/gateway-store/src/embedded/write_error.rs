//! Reasons for which the file cannot be written.

use gateway_core::state::StoreError;
use std::{borrow::Cow, io::ErrorKind};

/// Why nothing can be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum WriteError {
    /// The disk is full. It may not stay so.
    DiskFull,
    /// A write failed in another way.
    Failed(String),
}

impl From<WriteError> for StoreError {
    fn from(trouble: WriteError) -> Self {
        match trouble {
            WriteError::DiskFull => Self::Full,
            WriteError::Failed(why) => Self::ReadOnly(Cow::Owned(why)),
        }
    }
}

impl From<redb::Error> for WriteError {
    fn from(error: redb::Error) -> Self {
        const QUOTA_EXCEEDED: i32 = 122;
        if let redb::Error::Io(io) = &error
            && (matches!(io.kind(), ErrorKind::StorageFull | ErrorKind::FileTooLarge)
                || io.raw_os_error() == Some(QUOTA_EXCEEDED))
        {
            return Self::DiskFull;
        }
        Self::Failed(error.to_string())
    }
}
