//! From notes to a batch.

use super::recorder::{LedgerEvent, RequestResult, UsageRecord};
use foldhash::{HashMap, HashSet};
use gateway_core::state::{Batch, RequestOutcome, Totals};
use std::sync::Arc;

/// Maximum number of models without a catalogue entry that have rows of their own: callers choose
/// these names.
const MADE_UP: usize = 500;

/// The state between batches.
#[derive(Debug, Default)]
pub(super) struct BatchBuilder {
    /// Rows that are written as open, and the names of their models there.
    open: HashMap<u64, String>,
    models: HashSet<Arc<str>>,
}

/// The grouping key of rows that are summed.
type Names = (u64, Arc<str>, Arc<str>, Arc<str>, &'static str);

impl BatchBuilder {
    /// The batch of `notes`: rows that ended since they were noted are only summed up.
    pub(super) fn build_batch(&mut self, run: &str, id: String, events: Vec<LedgerEvent>) -> Batch {
        let mut batch = Batch { id, ..Batch::default() };
        let mut sums: HashMap<Names, Totals> = HashMap::default();
        let mut new: HashMap<u64, Arc<UsageRecord>> = HashMap::default();
        for event in events {
            match event {
                LedgerEvent::Opened(row) => drop(new.insert(row.id, row)),
                LedgerEvent::Closed(row, ended) => {
                    if let Some(model) = self.open.remove(&row.id) {
                        batch.closed.push((row.admitted(run, &model), ended.closed()));
                    } else if new.remove(&row.id).is_some() {
                        self.add(&mut sums, &row, &ended);
                    }
                }
            }
        }
        batch.sums = sums.into_values().collect();
        for (id, row) in new {
            let model = self.model(&row).to_string();
            batch.opened.push(row.admitted(run, &model));
            self.open.insert(id, model);
        }
        batch
    }

    fn add(&mut self, sums: &mut HashMap<Names, Totals>, row: &UsageRecord, ended: &RequestResult) {
        let model = self.model(row);
        let day = row.at / 86_400_000;
        let (client, provider) = (Arc::clone(&row.client), Arc::clone(&row.provider));
        let sum = sums
            .entry((day, client, Arc::clone(&model), provider, ended.outcome))
            .or_insert_with(|| Totals {
                day,
                client: row.client.to_string(),
                model: model.to_string(),
                provider: row.provider.to_string(),
                outcome: ended.outcome.to_owned(),
                ..Totals::default()
            });
        sum.requests += 1;
        sum.usage += ended.usage;
        sum.cost += ended.cost.unwrap_or_default();
        let closed =
            RequestOutcome { usage: ended.usage, cost: ended.cost, ..RequestOutcome::default() };
        sum.unpriced += u64::from(closed.is_unpriced());
        sum.estimated += u64::from(ended.estimated);
    }

    /// The model's name, or `other` if too many have been made up.
    fn model(&mut self, row: &UsageRecord) -> Arc<str> {
        let known = row.is_catalogued || self.models.contains(&row.model);
        if !known && (self.models.len() >= MADE_UP || row.model.len() > 200) {
            return "other".into();
        }
        if !known {
            self.models.insert(Arc::clone(&row.model));
        }
        Arc::clone(&row.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{NanoDollars, Usage};

    fn row(id: u64, model: &str) -> Arc<UsageRecord> {
        Arc::new(UsageRecord {
            id,
            at: 86_400_000,
            client: "c".into(),
            model: model.into(),
            is_catalogued: false,
            provider: "p".into(),
        })
    }

    fn ended(outcome: &'static str) -> RequestResult {
        let usage = Usage { input: 1, ..Usage::default() };
        RequestResult { outcome, usage, cost: Some(NanoDollars(2)), estimated: false }
    }

    /// `+1` opens row 1, `-1` closes it, `|` writes; what each batch holds.
    #[track_caller]
    fn check(script: &str, expected: &[&str]) {
        let (mut builder, mut told) = (BatchBuilder::default(), Vec::new());
        for part in script.split('|') {
            let event = |word: &str| {
                let (sign, id) = word.split_at(1);
                let row = row(id.parse().unwrap(), "m");
                if sign == "+" {
                    LedgerEvent::Opened(row)
                } else {
                    LedgerEvent::Closed(row, ended("ok"))
                }
            };
            let batch =
                builder.build_batch("r", "b".into(), part.split_whitespace().map(event).collect());
            let opened = batch.opened.iter().map(|row| format!("+{}", row.id));
            let closed = batch.closed.iter().map(|(row, _)| format!("-{}", row.id));
            let sums = batch.sums.iter().map(|sum| format!("={}", sum.requests));
            told.push(opened.chain(closed).chain(sums).collect::<Vec<_>>().join(" "));
        }
        assert_eq!(told, expected);
        assert!(builder.open.len() < 2);
    }

    #[test]
    fn rows_opened_and_closed_in_batch_are_only_summed() {
        check("+1 -1 +2 -2", &["=2"]);
        check("+1|-1", &["+r-1", "-r-1"]);
        check("+1 -1 +2|+3 -3 -2", &["+r-2 =1", "-r-2 =1"]);
    }

    #[test]
    fn a_row_counts_once() {
        check("+1 -1 -1|-1", &["=1", ""]);
        check("+1|-1 -1|-1", &["+r-1", "-r-1", ""]);
    }

    #[test]
    fn unknown_model_names_are_grouped_above_bound() {
        let mut builder = BatchBuilder::default();
        let events = (0..2_000).flat_map(|n| {
            let row = row(n, &format!("made-up-{n}"));
            [LedgerEvent::Opened(Arc::clone(&row)), LedgerEvent::Closed(row, ended("ok"))]
        });
        let batch = builder.build_batch("r", "b".into(), events.collect());
        assert_eq!(batch.sums.len(), MADE_UP + 1);
        let other = batch.sums.iter().find(|sum| sum.model == "other").unwrap();
        assert_eq!(other.requests, 2_000 - MADE_UP as u64);
    }
}
