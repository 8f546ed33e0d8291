//! Usage records on their way to the ledger.
//!
//! ```text
//!                 before the upstream is asked
//! request --- opened ---> journal (a line in the page cache)    survives a killed process
//!         \               \
//!          \--- closed ----> events --- batch by batch --> Ledger
//! ```

mod batch;
mod journal_line;
mod lost_runs;
mod record;
mod recorder;
mod recovery;

pub use self::{
    record::{RequestLabels, RequestResult, UsageRecord},
    recorder::{LedgerSharing, UsageRecorder},
};

/// The outcome of requests whose gateway crashed.
const LOST_OUTCOME: &str = "lost_in_crash";

/// The outcome of requests that ended with a panic of the gateway.
pub const PANICKED_OUTCOME: &str = "panicked";
