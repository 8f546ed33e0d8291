//! The output of callgrind: total instructions, and the number of calls of each function.

use std::collections::BTreeMap;

/// The allocator's entry points, without the prefix that compilers vary.
const ALLOCATIONS: &[&str] = &["__rust_alloc", "__rust_alloc_zeroed", "__rust_realloc"];

/// The counts of a profile.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct ProfileCounts {
    /// The number of instructions.
    pub(super) instructions: u64,
    /// The number of allocations and reallocations.
    pub(super) allocations: u64,
}

impl ProfileCounts {
    /// Reads a profile.
    ///
    /// A function has its name where it is met first, `fn=(12) name`, and its number later on. A
    /// line `calls=` counts calls of the function that the line `cfn=` before it names.
    pub(super) fn parse(profile: &str) -> Self {
        let mut counts = Self::default();
        let mut names: BTreeMap<&str, bool> = BTreeMap::new();
        let mut called = false;
        for line in profile.lines() {
            if let Some(function) = line.strip_prefix("fn=") {
                is_allocation(function, &mut names);
            } else if let Some(function) = line.strip_prefix("cfn=") {
                called = is_allocation(function, &mut names);
            } else if let Some(calls) = line.strip_prefix("calls=") {
                let calls = calls.split(' ').next().and_then(|calls| calls.parse().ok());
                counts.allocations += calls.filter(|_| called).unwrap_or(0);
            } else if let Some(total) =
                line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: "))
            {
                let first = total.split(' ').next().and_then(|total| total.parse().ok());
                counts.instructions = counts.instructions.max(first.unwrap_or(0));
            }
        }
        counts
    }
}

fn is_allocation<'a>(function: &'a str, names: &mut BTreeMap<&'a str, bool>) -> bool {
    match function.split_once(' ') {
        Some((number, name)) => {
            let name = name.split('\'').next().unwrap_or(name);
            let plain = name.rsplit("::").next().unwrap_or(name);
            // Mangled names end with the same word, or with a length before it.
            let is_one = ALLOCATIONS.iter().any(|it| plain == *it || plain.ends_with(it));
            *names.entry(number).or_insert(is_one)
        }
        None => names.get(function).copied().unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use super::ProfileCounts;

    #[test]
    fn calls_of_the_allocator_are_counted_under_name_and_number() {
        let profile = "events: Ir\nfn=(1) main\n4 20\ncfn=(2) __rustc::__rust_alloc\ncalls=3 0\n\
                       5 90\ncfn=(3) free\ncalls=9 0\n5 9\nfn=(4) other\ncfn=(2)\ncalls=4 0\n1 2\n\
                       summary: 1234\ntotals: 1234\n";
        let expected = ProfileCounts { instructions: 1234, allocations: 7 };
        assert_eq!(ProfileCounts::parse(profile), expected);
    }

    #[test]
    fn empty_profile_counts_nothing() {
        assert_eq!(ProfileCounts::parse(""), ProfileCounts::default());
    }
}
