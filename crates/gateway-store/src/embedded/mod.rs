//! State in a file, which belongs to this process alone.
//!
//! ```text
//!  callers --- bounded queue ---> writer thread: one transaction for all that waits
//!     |                               | commit (fsync), then acknowledge
//!     `--- snapshots <--- file <------'
//! ```
//!
//! A write that fails is never acknowledged. A full disk refuses writes until there is room again;
//! any other failure to write makes the file read-only until the gateway is restarted, because what
//! the disk holds after a failed synchronisation is not known.

mod file;
mod open;
mod table_view;
mod write_error;
mod writer;

pub(crate) use self::file::FileStore;
