//! Names of tests: subject, condition, expectation; no riddles.

use crate::tidy::{
    code::{RustFile, test_names},
    ratchet::{Finding, Measurement},
};

/// Words that leave the reader to guess what the test is about.
const RIDDLES: &[&str] = &[
    "what", "who", "whom", "whose", "whoever", "nobody", "somebody", "anybody", "told", "tells",
    "tell", "one", "kept",
];

/// Counts tests whose names are riddles.
pub(super) fn measure(code: &[RustFile<'_>]) -> Measurement {
    let mut riddles = Measurement::new("riddle-tests", 2);
    for file in code {
        let names = test_names(file);
        let examined = names.len();
        let found = names
            .into_iter()
            .filter(|(name, _)| is_riddle(name))
            .map(|(name, line)| Finding { path: file.path.to_owned(), line, what: name });
        riddles.add(file.package, examined, found.collect());
    }
    riddles
}

fn is_riddle(name: &str) -> bool {
    let words: Vec<&str> = name.split('_').collect();
    let none = words.windows(2).any(|pair| matches!(pair, ["is" | "are", "none"]));
    none || words.iter().any(|word| RIDDLES.contains(word))
}

#[cfg(test)]
mod tests {
    use super::is_riddle;

    #[test]
    fn riddle_is_recognised_by_a_whole_word() {
        assert!(is_riddle("what_is_left") && is_riddle("a_key_is_kept") && is_riddle("it_is_none"));
        assert!(!is_riddle("expired_key_is_rejected") && !is_riddle("stone_and_whatever"));
    }
}
