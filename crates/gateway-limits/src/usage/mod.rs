//! Usage records on their way to the ledger.

mod batch;
mod recorder;

pub use self::recorder::{RequestLabels, RequestResult, UsageRecord, UsageRecorder};
