//! The recovery of usage after a crash: the journals of processes that have ended are recorded,
//! and requests that were in progress are closed at their reservations.

use super::{
    LOST_OUTCOME,
    batch::BatchBuilder,
    journal_line::{self, JournalEntry},
};
use gateway_core::state::{AbandonedJournal, Batch, Ledger, StoreError};
use std::mem;

/// Records what `journal` holds, and closes the requests that were in progress. May be repeated.
///
/// # Errors
///
/// If the ledger is unavailable; a batch that it refuses is left out.
pub(super) async fn recover(
    ledger: &dyn Ledger,
    journal: &AbandonedJournal,
) -> Result<(), StoreError> {
    for batch in batches(journal) {
        match ledger.record(&batch).await {
            Err(error) if error.is_outage() => return Err(error),
            Err(error) => tracing::warn!(%error, "a batch of a usage journal is lost"),
            Ok(()) => {}
        }
    }
    let lost = ledger.close_run(&journal.run, LOST_OUTCOME).await?;
    if lost > 0 {
        tracing::warn!(lost, "requests that a crash interrupted are booked at their reservations");
    }
    Ok(())
}

/// The batches of a journal, numbered as the crashed process numbered them.
fn batches(journal: &AbandonedJournal) -> impl Iterator<Item = Batch> {
    let mut builder = BatchBuilder::recovering(&journal.run);
    let entries = journal_line::read(&journal.lines);
    let (mut events, mut batches) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            JournalEntry::Event(event) => events.push(event),
            JournalEntry::BatchEnd(number) => {
                builder.skip_to(number);
                batches.push(builder.build_batch(mem::take(&mut events)));
            }
        }
    }
    if !events.is_empty() {
        batches.push(builder.build_batch(events));
    }
    batches.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::record::{LedgerEvent, RequestResult, UsageRecord};
    use gateway_core::{Usage, state::ReservedUsage};
    use std::sync::Arc;

    fn row(id: u64) -> Arc<UsageRecord> {
        Arc::new(UsageRecord {
            id,
            at: 1,
            client: "c".into(),
            model: "m".into(),
            is_catalogued: true,
            provider: "p".into(),
            attribution: None,
        })
    }

    #[test]
    fn batches_are_numbered_as_before_the_crash() {
        let mut lines = Vec::new();
        let opened = |id| LedgerEvent::Opened(row(id), ReservedUsage::default());
        let usage = Usage::default();
        let result = RequestResult { outcome: "ok", usage, cost: None, estimated: false };
        // The file with the first four batches is gone.
        journal_line::write_event(&opened(1), &mut lines);
        journal_line::write_batch_end(5, &mut lines);
        journal_line::write_event(&LedgerEvent::Closed(row(1), result), &mut lines);
        journal_line::write_batch_end(6, &mut lines);
        journal_line::write_event(&opened(2), &mut lines);
        let journal = AbandonedJournal { run: "r".to_owned(), lines };
        let shown: Vec<_> = batches(&journal)
            .map(|it| (it.run, it.number, it.opened.len(), it.closed.len()))
            .collect();
        let run = || "r".to_owned();
        assert_eq!(shown, [(run(), 5, 1, 0), (run(), 6, 0, 1), (run(), 7, 1, 0)]);
    }
}
