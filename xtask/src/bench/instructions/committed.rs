//! The file of committed counts: a scenario, its instructions and its allocations in each line.

use super::{UnitCounts, scenarios};
use std::collections::BTreeMap;

/// The file, from the workspace's root.
pub(super) const FILE: &str = "xtask/instructions.txt";

/// The tolerated rise of a count above the committed one, as a fraction.
const TOLERANCE: f64 = 0.02;

/// The tolerated rise of allocations, in allocations: the growth of long-lived buffers falls on few
/// requests.
const ALLOCATION_SLACK: f64 = 0.25;

const HEAD: &str = "\
# scenario, instructions, allocations: of one request, or of one chunk, on the `release` profile.
# `cargo xtask bench --gate` fails if one rises by more than 2 %; `--gate --write` writes them anew.
";

/// The committed counts, by scenario.
#[derive(Clone, Debug, Default)]
pub(super) struct CommittedCounts(BTreeMap<String, UnitCounts>);

/// A comparison: rows to print, and what is off.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) cells: Vec<Vec<String>>,
    pub(super) problems: Vec<String>,
}

impl CommittedCounts {
    /// Reads the file; lines that cannot be read are missing.
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let counts = lines.filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?.to_owned();
            let mut number = || words.next()?.parse().ok();
            Some((name, UnitCounts { instructions: number()?, allocations: number()? }))
        });
        Self(counts.collect())
    }

    /// Returns the text of the file.
    pub(super) fn text(counted: &[(&str, UnitCounts)]) -> String {
        let lines = counted.iter().map(|(name, counts)| {
            format!("{name} {:.0} {:.2}\n", counts.instructions, counts.allocations)
        });
        HEAD.to_owned() + &lines.collect::<String>()
    }

    /// Compares what was counted.
    pub(super) fn compare(&self, counted: &[(&str, UnitCounts)]) -> Comparison {
        let head = ["", "instructions", "committed", "allocations", "committed"];
        let mut comparison = Comparison::default();
        comparison.cells.push(head.map(str::to_owned).to_vec());
        for (name, counts) in counted {
            let before = self.0.get(*name);
            let cell = |of: fn(&UnitCounts) -> f64, digits: usize| {
                before.map_or_else(|| "-".to_owned(), |it| format!("{:.digits$}", of(it)))
            };
            comparison.cells.push(vec![
                (*name).to_owned(),
                format!("{:.0}", counts.instructions),
                cell(|it| it.instructions, 0),
                format!("{:.2}", counts.allocations),
                cell(|it| it.allocations, 2),
            ]);
            match before {
                None => comparison.problems.push(format!("{name} has no committed counts")),
                Some(before) => comparison.problems.extend(difference(name, before, counts)),
            }
        }
        comparison
    }
}

fn difference(name: &str, before: &UnitCounts, now: &UnitCounts) -> Option<String> {
    let ratio = now.instructions / before.instructions;
    let allocations = now.allocations - before.allocations;
    let slack =
        before.allocations * TOLERANCE + ALLOCATION_SLACK + f64::from(scenarios::body_reads(name));
    let has_risen = ratio - 1.0 > TOLERANCE || allocations > slack;
    has_risen.then(|| {
        format!(
            "{name}: {:+.1} % instructions, {allocations:+.2} allocations",
            (ratio - 1.0) * 100.0
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{CommittedCounts, UnitCounts};

    fn problems(instructions: f64, allocations: f64) -> usize {
        let before = [("small", UnitCounts { instructions: 1000.0, allocations: 40.0 })];
        let committed = CommittedCounts::parse(&CommittedCounts::text(&before));
        let now = [("small", UnitCounts { instructions, allocations })];
        committed.compare(&now).problems.len()
    }

    #[test]
    fn count_within_the_tolerance_passes() {
        assert_eq!(problems(1019.0, 40.5), 0);
        assert_eq!(problems(981.0, 39.5), 0);
    }

    #[test]
    fn count_beyond_the_tolerance_fails_if_it_rose() {
        assert_eq!(problems(1021.0, 40.0), 1);
        assert_eq!(problems(500.0, 20.0), 0);
        assert_eq!(problems(1000.0, 42.0), 1);
    }

    #[test]
    fn allocations_of_a_large_body_may_rise_by_its_reads() {
        let before = [("body-1MB", UnitCounts { instructions: 1000.0, allocations: 100.0 })];
        let committed = CommittedCounts::parse(&CommittedCounts::text(&before));
        let problems = |allocations| {
            let now = [("body-1MB", UnitCounts { instructions: 1000.0, allocations })];
            committed.compare(&now).problems.len()
        };
        assert_eq!(problems(150.0), 0);
        assert_eq!(problems(180.0), 1);
    }

    #[test]
    fn scenario_without_committed_counts_fails() {
        let now = [("new", UnitCounts { instructions: 1.0, allocations: 1.0 })];
        assert_eq!(CommittedCounts::default().compare(&now).problems.len(), 1);
    }
}
