//! The numbers of passed and failed tests, parsed from the output of test runners.

use std::{fmt, iter::Sum, ops::Add};

/// Passed and failed tests. Shown as the line by which a reader of a log sees that tests ran.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    /// The number of passed tests.
    pub passed: u64,
    /// The number of failed tests.
    pub failed: u64,
}

impl Tally {
    /// Reads everything a run printed: summaries of `cargo nextest`, and those of `cargo test`,
    /// of which there is one for each test binary.
    pub(crate) fn of(output: &str) -> Self {
        output.lines().filter_map(summary).sum()
    }

    /// Returns the tally of one test.
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: passed.into(), failed: (!passed).into() }
    }

    /// Reads a line that begins as this type is shown: `3 passed, 1 failed, 2 skipped`.
    pub(crate) fn leading(line: &str) -> Option<Self> {
        let (passed, rest) = line.split_once(" passed, ")?;
        let (failed, _) = rest.split_once(" failed")?;
        Some(Self { passed: passed.parse().ok()?, failed: failed.parse().ok()? })
    }

    /// Returns the tally, with at least one failure if the run did not end well: the failed test
    /// may not have been counted.
    pub(crate) fn ended(self, well: bool) -> Self {
        if well { self } else { Self { failed: self.failed.max(1), ..self } }
    }
}

fn summary(line: &str) -> Option<Tally> {
    let line = line.trim_start();
    let counts = if line.starts_with("test result:") {
        line.split_once(". ")?.1
    } else if line.starts_with("Summary [") {
        line.split_once(" run: ")?.1
    } else {
        return None;
    };
    Some(counts.split([',', ';']).filter_map(count).sum())
}

/// Parses one of `2 passed (1 slow)`, `1 failed`, `1 timed out`, `3 skipped`.
fn count(counted: &str) -> Option<Tally> {
    let (number, what) = counted.trim().split_once(' ')?;
    let number = number.parse().ok()?;
    match what.split(" (").next()? {
        "passed" => Some(Tally { passed: number, failed: 0 }),
        "failed" | "timed out" | "exec failed" => Some(Tally { passed: 0, failed: number }),
        _ => None,
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn check(output: &str, expected: &str) {
        assert_eq!(Tally::of(output).to_string(), expected);
    }

    #[test]
    fn cargo_test_summary_is_parsed() {
        check("test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured", "2 passed, 0 failed");
        check("test result: FAILED. 2 passed; 3 failed; 0 ignored", "2 passed, 3 failed");
    }

    #[test]
    fn nextest_summary_is_parsed() {
        check("     Summary [   0.1s] 3 tests run: 3 passed, 0 skipped", "3 passed, 0 failed");
        check("Summary [ 9s] 3 tests run: 1 passed (1 slow), 2 failed", "1 passed, 2 failed");
        check("Summary [ 9s] 4 tests run: 1 passed, 2 failed, 1 timed out", "1 passed, 3 failed");
        check("Summary [ 0s] 1/3 tests run: 0 passed, 1 failed", "0 passed, 1 failed");
    }

    #[test]
    fn tallies_of_runs_are_summed() {
        check("test result: ok. 2 passed;\nx\ntest result: ok. 3 passed;", "5 passed, 0 failed");
    }

    #[test]
    fn other_lines_do_not_count() {
        check("9 passed, 9 failed\ntest a::b ... ok\n Summary of 3 passed", "0 passed, 0 failed");
    }

    #[test]
    fn closing_line_is_parsed() {
        let tally = Tally { passed: 12, failed: 3 };
        assert_eq!(Tally::leading(&tally.to_string()), Some(tally));
        assert_eq!(Tally::leading("12 passed, 3 failed, 4 skipped"), Some(tally));
        assert_eq!(Tally::leading("  openai-py  12 passed   3 failed"), None);
    }

    #[test]
    fn aborted_run_is_a_failure() {
        assert_eq!(Tally::of("").ended(false).to_string(), "0 passed, 1 failed");
        assert_eq!(Tally { passed: 1, failed: 2 }.ended(false).failed, 2);
        assert_eq!(Tally { passed: 1, failed: 0 }.ended(true).failed, 0);
    }
}
