//! Name patterns of models and tools.

/// Returns whether `name` matches `pattern`: the same name, or any name with the prefix before a
/// trailing `*`.
///
/// ASCII case is ignored.
///
/// ```
/// use gateway_core::matches_pattern;
///
/// assert!(matches_pattern("gpt-*", "GPT-5"));
/// assert!(matches_pattern("o3", "O3"));
/// assert!(!matches_pattern("o3", "o3-mini"));
/// ```
pub fn matches_pattern(pattern: &str, name: &str) -> bool {
    match pattern_prefix(pattern) {
        Some(prefix) => {
            name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        }
        None => name.eq_ignore_ascii_case(pattern),
    }
}

/// Returns the prefix before the trailing `*` of `pattern`; `None` if it is the name of a single thing.
///
/// ```
/// use gateway_core::pattern_prefix;
///
/// assert_eq!(pattern_prefix("gpt-*"), Some("gpt-"));
/// assert_eq!(pattern_prefix("o3"), None);
/// ```
pub fn pattern_prefix(pattern: &str) -> Option<&str> {
    pattern.strip_suffix('*')
}

/// Returns whether one of `patterns` [matches](matches_pattern) any of a model's `names`.
pub fn admits(patterns: &[String], names: &[&str]) -> bool {
    patterns.iter().any(|pattern| names.iter().any(|name| matches_pattern(pattern, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_pattern_matches_only_whole_characters() {
        assert!(matches_pattern("*", ""));
        assert!(matches_pattern("a*", "a"));
        assert!(!matches_pattern("ab*", "a"));
        assert!(!matches_pattern("\u{e9}*", "e"));
        assert!(!matches_pattern("x*", "\u{e9}x"));
    }

    #[test]
    fn any_name_of_a_model_admits_it() {
        let patterns = ["claude-*".to_owned(), "o3".to_owned()];
        assert!(admits(&patterns, &["best", "Claude-4"]));
        assert!(!admits(&patterns, &["best", "o3-mini"]));
        assert!(!admits(&[], &["best"]));
    }
}
