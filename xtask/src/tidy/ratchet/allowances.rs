//! The file of counts: a rule, a crate and a count in each line.

use std::{collections::BTreeMap, fmt::Write as _};

/// The file, from the workspace's root.
pub(in crate::tidy) const FILE: &str = "xtask/ratchet.txt";

/// The first lines of the file.
const HEAD: &str = "\
# How often each crate may break a rule; `cargo xtask tidy` fails if a count rises.
# `cargo xtask tidy --counts --write` lowers them. After a conflict here, take either side and write.
";

/// The allowed number of violations, by rule and crate.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::tidy) struct Allowances(BTreeMap<String, BTreeMap<String, usize>>);

impl Allowances {
    /// Reads the file. A line that cannot be read counts as missing.
    pub(in crate::tidy) fn parse(text: &str) -> Self {
        let mut allowances = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let (Some(rule), Some(package), Some(count)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            if let Ok(count) = count.parse() {
                allowances.declare(rule);
                allowances.allow(rule, package, count);
            }
        }
        allowances
    }

    /// Returns the text of the file.
    pub(in crate::tidy) fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (rule, crates) in &self.0 {
            text.push('\n');
            // A rule that nothing breaks has a line nevertheless: it has been counted.
            let none = crates.is_empty().then(|| ("all".to_owned(), 0));
            let crates = crates.iter().map(|(package, count)| (package.clone(), *count));
            for (package, count) in crates.chain(none) {
                let _infallible = writeln!(text, "{rule} {package} {count}");
            }
        }
        text
    }

    /// Returns whether the rule has been counted.
    pub(in crate::tidy) fn has(&self, rule: &str) -> bool {
        self.0.contains_key(rule)
    }

    /// Returns what one crate is allowed.
    pub(in crate::tidy) fn of(&self, rule: &str, package: &str) -> usize {
        self.0.get(rule).and_then(|crates| crates.get(package)).copied().unwrap_or_default()
    }

    /// Notes that a rule is counted.
    pub(in crate::tidy) fn declare(&mut self, rule: &str) {
        self.0.entry(rule.to_owned()).or_default();
    }

    /// Sets what one crate is allowed.
    pub(in crate::tidy) fn allow(&mut self, rule: &str, package: &str, count: usize) {
        if count > 0 {
            self.0.entry(rule.to_owned()).or_default().insert(package.to_owned(), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Allowances;

    #[test]
    fn written_counts_are_read_back() {
        let mut allowances = Allowances::default();
        allowances.allow("rule", "a", 3);
        allowances.allow("rule", "b", 0);
        allowances.declare("kept");
        let read = Allowances::parse(&allowances.text());
        assert_eq!(read.of("rule", "a"), 3);
        assert!(read.has("rule") && read.has("kept") && !read.has("other"));
        assert_eq!(read.text(), allowances.text());
    }
}
