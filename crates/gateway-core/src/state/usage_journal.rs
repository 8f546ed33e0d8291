//! The port to the journal of usage: what requests owe survives a crash of the process.

use super::StoreError;
use std::fmt;

/// Keeps the events of the usage ledger that no batch has recorded yet, as lines.
///
/// An appended line survives the end of the process, however sudden. A power cut may take the
/// lines that the operating system had not written by then.
pub trait UsageJournal: fmt::Debug + Send + Sync {
    /// Returns the name of this process run, which no other run has.
    fn run(&self) -> &str;

    /// Appends `line`, which ends with a line feed. Does not wait for the disk.
    ///
    /// # Errors
    ///
    /// If the line is not part of the journal.
    fn append(&self, line: &[u8]) -> Result<(), StoreError>;

    /// Ends the batch `number` with `line`: the lines that follow belong to the next one.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    fn end_batch(&self, number: u64, line: &[u8]) -> Result<(), StoreError>;

    /// Lets the lines of batches up to `number` go, which are recorded. May wait for the disk.
    fn release(&self, number: u64);

    /// Takes over the journals of processes that have ended. Each is given to one process only. May
    /// wait for the disk.
    fn abandoned(&self) -> Vec<AbandonedJournal>;

    /// Removes the journal of `run`, all of which is recorded. May wait for the disk.
    fn remove(&self, run: &str);
}

/// The journal of a process that has ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AbandonedJournal {
    /// The name of its run.
    pub run: String,
    /// Its lines, in order; the last one may be cut.
    pub lines: Vec<u8>,
}
