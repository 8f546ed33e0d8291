//! Counts that may only fall.
//!
//! A rule that the code does not keep yet is counted per crate, and a file under version control
//! holds how often each crate may break it: never, for a crate that is not in the file. A count above
//! that fails, also if the count of another crate has fallen: code that moves to another crate is
//! mended on the way. `tidy --write` lowers the file, and never raises a count.

mod allowances;

pub(super) use self::allowances::{Allowances, FILE};

use std::{collections::BTreeMap, fmt};

/// A place where a rule is broken.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Finding {
    /// The file, from the workspace's root.
    pub(super) path: String,
    /// The line, from 1.
    pub(super) line: usize,
    /// The text of the finding.
    pub(super) what: String,
}

/// The measurement of one rule.
#[derive(Clone, Debug)]
pub(super) struct Measurement {
    /// The rule, as it is called in the file.
    pub(super) rule: &'static str,
    /// The percentage of what was looked at that may break it in any crate.
    pub(super) tolerated: usize,
    /// The counts by crate.
    pub(super) crates: BTreeMap<String, Count>,
}

/// The measurement of one crate.
#[derive(Clone, Debug, Default)]
pub(super) struct Count {
    /// The number of examined items.
    pub(super) examined: usize,
    /// The violations, in the unit of the rule: lines for a rule about lines.
    pub(super) found: Vec<Finding>,
}

impl Measurement {
    /// Starts with no crate.
    pub(super) fn new(rule: &'static str, tolerated: usize) -> Self {
        Self { rule, tolerated, crates: BTreeMap::new() }
    }

    /// Adds what was found in a part of a crate.
    pub(super) fn add(&mut self, package: &str, examined: usize, found: Vec<Finding>) {
        let count = self.crates.entry(package.to_owned()).or_default();
        count.examined += examined;
        count.found.extend(found);
    }

    /// Whether so little is found in a crate that the rule asks for no less.
    fn is_tolerable(&self, count: &Count) -> bool {
        count.found.len() * 100 <= count.examined * self.tolerated
    }

    /// Compares with what is allowed.
    fn check(&self, allowances: &Allowances) -> Vec<String> {
        if !allowances.has(self.rule) {
            return vec![format!("{FILE} has no counts of {}: write them", self.rule)];
        }
        let over = self.crates.iter().filter_map(|(package, count)| {
            let allowed = allowances.of(self.rule, package);
            let found = count.found.len();
            (found > allowed && !self.is_tolerable(count)).then(|| {
                format!(
                    "{package}: {} is {found}, allowed {allowed}: cargo xtask tidy --show {}",
                    self.rule, self.rule
                )
            })
        });
        over.collect()
    }
}

/// Compares all measurements with what is allowed.
pub(super) fn check(measurements: &[Measurement], allowances: &Allowances) -> Vec<String> {
    measurements.iter().flat_map(|measurement| measurement.check(allowances)).collect()
}

/// Returns what is allowed from now on: what there is, unless that is more than before.
pub(super) fn lowered(measurements: &[Measurement], allowances: &Allowances) -> Allowances {
    let mut lowered = Allowances::default();
    for measurement in measurements {
        let rule = measurement.rule;
        lowered.declare(rule);
        for (package, count) in &measurement.crates {
            let found = count.found.len();
            let is_counted = allowances.has(rule);
            let allowed = if is_counted { allowances.of(rule, package) } else { found };
            lowered.allow(rule, package, found.min(allowed));
        }
    }
    lowered
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowances, Finding, Measurement, check, lowered};

    fn measured(counts: &[(&str, usize, usize)]) -> Vec<Measurement> {
        let mut measurement = Measurement::new("rule", 40);
        for (package, found, examined) in counts {
            let finding = Finding { path: String::new(), line: 1, what: String::new() };
            measurement.add(package, *examined, vec![finding; *found]);
        }
        vec![measurement]
    }

    fn allowed(counts: &[(&str, usize)]) -> Allowances {
        let mut allowances = Allowances::default();
        allowances.declare("rule");
        for (package, count) in counts {
            allowances.allow("rule", package, *count);
        }
        allowances
    }

    #[test]
    fn risen_count_fails_where_it_rose() {
        let before = allowed(&[("a", 5), ("b", 5)]);
        assert_eq!(check(&measured(&[("a", 5, 9), ("b", 5, 9)]), &before).len(), 0);
        assert_eq!(check(&measured(&[("a", 6, 9), ("b", 5, 9)]), &before).len(), 1);
        assert_eq!(check(&measured(&[("a", 4, 9), ("b", 5, 9)]), &before).len(), 0);
        assert_eq!(check(&measured(&[("a", 4, 9), ("b", 6, 9)]), &before).len(), 1);
    }

    #[test]
    fn new_crate_is_allowed_what_is_tolerated() {
        let before = allowed(&[("a", 5)]);
        assert_eq!(check(&measured(&[("a", 5, 9), ("new", 1, 2)]), &before).len(), 1);
        assert_eq!(check(&measured(&[("a", 5, 9), ("new", 4, 10)]), &before).len(), 0);
    }

    #[test]
    fn moved_code_is_mended() {
        let before = allowed(&[("a", 5)]);
        assert_eq!(check(&measured(&[("a", 2, 9), ("new", 3, 3)]), &before).len(), 1);
        assert_eq!(check(&measured(&[("a", 2, 9), ("new", 0, 3)]), &before).len(), 0);
    }

    #[test]
    fn rule_without_counts_asks_for_them() {
        assert_eq!(check(&measured(&[("a", 0, 9)]), &Allowances::default()).len(), 1);
    }

    #[test]
    fn written_counts_fall_and_never_rise() {
        let before = allowed(&[("a", 5), ("b", 5)]);
        let fell = lowered(&measured(&[("a", 2, 9), ("b", 6, 9)]), &before);
        assert_eq!((fell.of("rule", "a"), fell.of("rule", "b")), (2, 5));
        let first = lowered(&measured(&[("a", 2, 9)]), &Allowances::default());
        assert_eq!((first.has("rule"), first.of("rule", "a")), (true, 2));
        let rose = lowered(&measured(&[("a", 5, 9), ("b", 6, 9)]), &before);
        assert_eq!((rose.of("rule", "a"), rose.of("rule", "b")), (5, 5));
    }
}
