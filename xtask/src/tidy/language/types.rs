//! Names of types: whole terms, nouns, and unique in the workspace.

use crate::tidy::{
    code::{RustFile, type_names},
    ratchet::{Finding, Measurement},
};
use std::collections::BTreeMap;

/// Names that are no nouns, beside those that end like participles.
const ODD: &[&str] = &[
    "Told", "Kept", "Taken", "Gone", "Made", "Said", "Sent", "Shown", "Known", "Begun", "Broken",
    "Left", "Met", "Lost", "Of", "Before", "After", "Again", "Beside", "Within", "Through", "Who",
    "Whom", "What", "Which", "Why", "How", "Where", "When", "Rest", "Wish", "Wishes", "Want",
    "Look", "Fate", "News", "Ask", "Aside", "Against",
];

/// Counts names of one word, names that are no nouns, and names that mean several types.
pub(super) fn measure(code: &[RustFile<'_>]) -> Vec<Measurement> {
    let types: Vec<_> = code.iter().map(|file| (file, type_names(file))).collect();
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for definition in types.iter().flat_map(|(_, types)| types) {
        *uses.entry(&definition.name).or_default() += 1;
    }
    let mut one_word = Measurement::new("one-word-types", 40);
    let mut odd = Measurement::new("odd-types", 2);
    let mut reused = Measurement::new("reused-types", 20);
    for (file, types) in &types {
        let find = |is_wrong: &dyn Fn(&str) -> bool| -> Vec<Finding> {
            let wrong = types.iter().filter(|it| is_wrong(&it.name));
            wrong
                .map(|it| Finding {
                    path: file.path.to_owned(),
                    line: it.line,
                    what: it.name.clone(),
                })
                .collect()
        };
        let is_reused = |name: &str| uses.get(name).is_some_and(|&uses| uses > 1);
        one_word.add(file.package, types.len(), find(&is_one_word));
        odd.add(file.package, types.len(), find(&is_odd));
        reused.add(file.package, types.len(), find(&is_reused));
    }
    vec![one_word, odd, reused]
}

/// Whether a name has one capital only.
fn is_one_word(name: &str) -> bool {
    name.chars().filter(char::is_ascii_uppercase).count() == 1
}

fn is_odd(name: &str) -> bool {
    let participle = is_one_word(name) && (name.ends_with("ed") || name.ends_with("ing"));
    participle || ODD.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{is_odd, is_one_word, measure};
    use crate::tidy::code::tests::parsed;

    #[test]
    fn words_begin_with_capitals() {
        assert!(is_one_word("Router") && is_one_word("Sha2"));
        assert!(!is_one_word("RateLimit") && !is_one_word("IO"));
    }

    #[test]
    fn participles_are_odd() {
        assert!(is_odd("Joined") && is_odd("Gathering") && is_odd("Of"));
        assert!(!is_odd("JoinedStream") && !is_odd("Router"));
    }

    #[test]
    fn name_of_two_types_counts_twice() {
        parsed(&[("a.rs", "struct Head; struct Tail;"), ("b.rs", "enum Head {}")], |files| {
            assert_eq!(measure(files)[2].crates["x"].found.len(), 2);
        });
    }
}
