//! Snapshots whose facts are those of their base: one row instead of many.

use crate::{names, row::ModelRow};
use std::collections::BTreeMap;

/// Folds rows of snapshots into the row of their base, where only names and dates differ.
pub(super) fn fold_snapshots(rows: &mut BTreeMap<String, ModelRow>) {
    let mut folded = Vec::new();
    for (key, row) in &*rows {
        let base = names::spellings(&row.id).into_iter().skip(1).find_map(|spelling| {
            let key = format!("{}/{spelling}", row.provider);
            rows.get(&key).filter(|base| is_same(base, row)).map(|_| key)
        });
        if let Some(base) = base {
            folded.push((key.clone(), base));
        }
    }
    for (key, base) in folded {
        // The base may be a snapshot itself, and gone by now: then its snapshots stay.
        if rows.contains_key(&base)
            && let Some(row) = rows.remove(&key)
            && let Some(base) = rows.get_mut(&base)
        {
            base.snapshots.push(row.id);
            base.snapshots.extend(row.snapshots);
            base.released = base.released.or(row.released);
        }
    }
}

/// Points names that stand for a folded snapshot to its base, and removes those that stand for
/// nothing.
pub(super) fn settle_aliases(rows: &mut BTreeMap<String, ModelRow>) {
    let bases: BTreeMap<String, String> = rows
        .values()
        .flat_map(|row| {
            let ids = row.snapshots.iter().chain([&row.id]);
            ids.map(|id| (format!("{}/{id}", row.provider).to_lowercase(), row.id.clone()))
        })
        .collect();
    rows.retain(|_, row| {
        let Some(same_as) = &mut row.same_as else { return true };
        match bases.get(&format!("{}/{same_as}", row.provider).to_lowercase()) {
            Some(base) => {
                same_as.clone_from(base);
                true
            }
            None => false,
        }
    });
}

/// Whether two rows are the same, but for names and dates.
fn is_same(one: &ModelRow, other: &ModelRow) -> bool {
    let facts = |row: &ModelRow| ModelRow {
        id: String::new(),
        name: None,
        released: None,
        ends: None,
        snapshots: Vec::new(),
        prices: row
            .prices
            .iter()
            .map(|it| crate::row::PriceRow { sources: String::new(), ..it.clone() })
            .collect(),
        ..row.clone()
    };
    facts(one) == facts(other)
}
