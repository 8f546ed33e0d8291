//! From events to a batch.

use super::record::{LedgerEvent, RequestResult, UsageRecord};
use foldhash::{HashMap, HashSet};
use gateway_core::{
    Attribution,
    state::{AdmittedRequest, Batch, RequestOutcome, ReservedUsage, Totals},
};
use std::sync::Arc;

/// Maximum number of models without a catalogue entry that have rows of their own: callers choose
/// these names.
const MADE_UP: usize = 500;

/// Maximum number of attributions with users that have rows of their own, and again without them:
/// callers choose both.
const ATTRIBUTIONS: usize = 5_000;

/// The state between batches of one run.
#[derive(Debug)]
pub(super) struct BatchBuilder {
    run: String,
    /// The number of the last batch.
    number: u64,
    /// Rows that are written as open, and the names of their models there.
    open: HashMap<u64, String>,
    models: HashSet<Arc<str>>,
    attributions: HashSet<Arc<Attribution>>,
    /// Whether the run has crashed: then the events before the first one are not known.
    is_recovery: bool,
}

/// The grouping key of rows that are summed.
type SummaryKey = (u64, Arc<str>, Arc<str>, Arc<str>, &'static str, Option<Arc<Attribution>>);

impl BatchBuilder {
    /// Creates the builder of the batches of `run`.
    pub(super) fn new(run: &str) -> Self {
        Self {
            run: run.to_owned(),
            number: 0,
            open: HashMap::default(),
            models: HashSet::default(),
            attributions: HashSet::default(),
            is_recovery: false,
        }
    }

    /// Creates the builder that repeats the batches of a `run` that has crashed.
    pub(super) fn recovering(run: &str) -> Self {
        Self { is_recovery: true, ..Self::new(run) }
    }

    /// Returns the number of the next batch.
    pub(super) const fn next_number(&self) -> u64 {
        self.number + 1
    }

    /// Skips to the batch `number`, which is the next one then.
    pub(super) const fn skip_to(&mut self, number: u64) {
        self.number = number.saturating_sub(1);
    }

    /// Returns the batch of `events`: rows that were opened and closed in it are only summed.
    pub(super) fn build_batch(&mut self, events: Vec<LedgerEvent>) -> Batch {
        self.number += 1;
        let (run, number) = (self.run.clone(), self.number);
        let mut batch = Batch { run, number, ..Batch::default() };
        let mut sums: HashMap<SummaryKey, Totals> = HashMap::default();
        let mut new: HashMap<u64, (Arc<UsageRecord>, ReservedUsage)> = HashMap::default();
        let mut revised: HashMap<u64, (Arc<UsageRecord>, ReservedUsage)> = HashMap::default();
        for event in events {
            match event {
                LedgerEvent::Opened(row, reserved) => drop(new.insert(row.id, (row, reserved))),
                LedgerEvent::Revised(row, reserved) => {
                    if let Some((_, known)) = new.get_mut(&row.id) {
                        *known = reserved;
                    } else {
                        revised.insert(row.id, (row, reserved));
                    }
                }
                LedgerEvent::Closed(row, result) => {
                    revised.remove(&row.id);
                    if new.remove(&row.id).is_some() {
                        self.add(&mut sums, &row, &result);
                    } else if let Some(model) = self.open_model(&row) {
                        self.open.remove(&row.id);
                        let reserved = ReservedUsage::default();
                        let admitted = self.admitted(&row, &model, reserved);
                        batch.closed.push((admitted, result.closed()));
                    }
                }
            }
        }
        batch.sums = sums.into_values().collect();
        for (row, reserved) in revised.into_values() {
            if let Some(model) = self.open_model(&row) {
                batch.revised.push(self.admitted(&row, &model, reserved));
            }
        }
        for (id, (row, reserved)) in new {
            let model = self.model(&row).to_string();
            batch.opened.push(self.admitted(&row, &model, reserved));
            self.open.insert(id, model);
        }
        batch
    }

    /// The name of the model of a row that is written as open; `None` if it is not.
    fn open_model(&mut self, row: &UsageRecord) -> Option<String> {
        let known = self.open.get(&row.id).cloned();
        // The ledger knows whether the row is open.
        known.or_else(|| self.is_recovery.then(|| self.model(row).to_string()))
    }

    fn add(
        &mut self,
        sums: &mut HashMap<SummaryKey, Totals>,
        row: &UsageRecord,
        ended: &RequestResult,
    ) {
        let model = self.model(row);
        let attribution = self.attribution(row);
        let day = row.at / 86_400_000;
        let (client, provider) = (Arc::clone(&row.client), Arc::clone(&row.provider));
        let user = attribution.as_deref().and_then(Attribution::user).unwrap_or_default();
        let sum = sums
            .entry((day, client, Arc::clone(&model), provider, ended.outcome, attribution.clone()))
            .or_insert_with(|| Totals {
                day,
                client: row.client.to_string(),
                model: model.to_string(),
                provider: row.provider.to_string(),
                outcome: ended.outcome.to_owned(),
                tags: attribution.as_deref().map(Attribution::tags_text).unwrap_or_default(),
                user: user.to_owned(),
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

    fn admitted(
        &mut self,
        row: &UsageRecord,
        model: &str,
        reserved: ReservedUsage,
    ) -> AdmittedRequest {
        let attribution = self.attribution(row);
        row.admitted(&self.run, (model, attribution.as_deref()), reserved)
    }

    /// The attribution of a row, without the user and then without the tags if too many were made up.
    fn attribution(&mut self, row: &UsageRecord) -> Option<Arc<Attribution>> {
        let attribution = row.attribution.as_ref()?;
        if self.attributions.contains(attribution) {
            return Some(Arc::clone(attribution));
        }
        let fitting = if self.attributions.len() < ATTRIBUTIONS {
            Arc::clone(attribution)
        } else {
            Arc::new(attribution.without_user())
        };
        let is_known = self.attributions.contains(&fitting);
        if fitting.is_empty() || (!is_known && self.attributions.len() >= 2 * ATTRIBUTIONS) {
            return None;
        }
        if !is_known {
            self.attributions.insert(Arc::clone(&fitting));
        }
        Some(fitting)
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

    #[test]
    fn rows_are_summed_by_their_attribution() {
        let tagged = |id: u64, tags: &str, user: &str| {
            let mut attribution = Attribution::default();
            attribution.add_tags(tags).unwrap();
            attribution.set_user(user).unwrap();
            let row = UsageRecord::clone(&row(id, "m"));
            Arc::new(UsageRecord { attribution: Some(Arc::new(attribution)), ..row })
        };
        let mut builder = BatchBuilder::new("run");
        let rows = [tagged(1, "a", "u"), tagged(2, "a", "u"), tagged(3, "a,b", ""), row(4, "m")];
        let events = rows.iter().flat_map(|row| {
            let opened = LedgerEvent::Opened(Arc::clone(row), ReservedUsage::default());
            [opened, LedgerEvent::Closed(Arc::clone(row), ended("ok"))]
        });
        let batch = builder.build_batch(events.collect());
        let mut sums: Vec<_> =
            batch.sums.iter().map(|it| (&*it.tags, &*it.user, it.requests)).collect();
        sums.sort_unstable();
        assert_eq!(sums, [("", "", 1), ("a", "u", 2), ("a,b", "", 1)]);
    }

    #[test]
    fn attributions_beyond_the_bound_lose_their_users() {
        let mut builder = BatchBuilder::new("run");
        let mut of = |n: usize| {
            let mut attribution = Attribution::default();
            attribution.add_tag("a").unwrap();
            attribution.set_user(&n.to_string()).unwrap();
            let row = UsageRecord::clone(&row(1, "m"));
            builder.attribution(&UsageRecord { attribution: Some(Arc::new(attribution)), ..row })
        };
        assert!((0..ATTRIBUTIONS).all(|n| of(n).unwrap().user().is_some()));
        let beyond = of(ATTRIBUTIONS).unwrap();
        assert_eq!((beyond.user(), beyond.tags_text().as_str()), (None, "a"));
        assert!(of(0).unwrap().user().is_some());
    }

    fn row(id: u64, model: &str) -> Arc<UsageRecord> {
        Arc::new(UsageRecord {
            id,
            at: 86_400_000,
            client: "c".into(),
            model: model.into(),
            is_catalogued: false,
            provider: "p".into(),
            attribution: None,
        })
    }

    fn ended(outcome: &'static str) -> RequestResult {
        let usage = Usage { input: 1, ..Usage::default() };
        RequestResult { outcome, usage, cost: Some(NanoDollars(2)), estimated: false }
    }

    fn event(word: &str) -> LedgerEvent {
        let (sign, id) = word.split_at(1);
        let row = row(id.parse().unwrap(), "m");
        match sign {
            "+" => LedgerEvent::Opened(row, ReservedUsage::default()),
            "*" => LedgerEvent::Revised(row, ReservedUsage::default()),
            _ => LedgerEvent::Closed(row, ended("ok")),
        }
    }

    /// `+1` opens row 1, `*1` revises it, `-1` closes it, `|` writes; what each batch holds.
    #[track_caller]
    fn check_builder(mut builder: BatchBuilder, script: &str, expected: &[&str]) {
        let mut shown = Vec::new();
        for part in script.split('|') {
            let batch = builder.build_batch(part.split_whitespace().map(event).collect());
            let opened = batch.opened.iter().map(|row| format!("+{}", row.id));
            let revised = batch.revised.iter().map(|row| format!("*{}", row.id));
            let closed = batch.closed.iter().map(|(row, _)| format!("-{}", row.id));
            let sums = batch.sums.iter().map(|sum| format!("={}", sum.requests));
            let all = opened.chain(revised).chain(closed).chain(sums);
            shown.push(all.collect::<Vec<_>>().join(" "));
        }
        assert_eq!(shown, expected);
        assert!(builder.open.len() < 2);
    }

    #[track_caller]
    fn check(script: &str, expected: &[&str]) {
        check_builder(BatchBuilder::new("r"), script, expected);
    }

    #[test]
    fn rows_opened_and_closed_in_batch_are_only_summed() {
        check("+1 -1 +2 -2", &["=2"]);
        check("+1|-1", &["+r-1", "-r-1"]);
        check("+1 -1 +2|+3 -3 -2", &["+r-2 =1", "-r-2 =1"]);
    }

    #[test]
    fn usage_record_is_counted_once() {
        check("+1 -1 -1|-1", &["=1", ""]);
        check("+1|-1 -1|-1", &["+r-1", "-r-1", ""]);
    }

    #[test]
    fn revised_reservation_is_written_while_the_row_is_open() {
        check("+1 *1|*1|*1 -1|*1", &["+r-1", "*r-1", "-r-1", ""]);
        check("+1 *1 -1", &["=1"]);
    }

    #[test]
    fn row_of_an_earlier_journal_file_is_closed_in_recovery() {
        check_builder(BatchBuilder::recovering("r"), "-1|*2|+3 -3", &["-r-1", "*r-2", "=1"]);
        check("-1|*2", &["", ""]);
    }

    #[test]
    fn unknown_model_names_are_grouped_above_bound() {
        let mut builder = BatchBuilder::new("r");
        let events = (0..2_000).flat_map(|n| {
            let row = row(n, &format!("made-up-{n}"));
            let opened = LedgerEvent::Opened(Arc::clone(&row), ReservedUsage::default());
            [opened, LedgerEvent::Closed(row, ended("ok"))]
        });
        let batch = builder.build_batch(events.collect());
        assert_eq!(batch.sums.len(), MADE_UP + 1);
        let other = batch.sums.iter().find(|sum| sum.model == "other").unwrap();
        assert_eq!(other.requests, 2_000 - MADE_UP as u64);
    }
}
