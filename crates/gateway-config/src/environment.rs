//! The variables of the process, read once.

use std::collections::BTreeMap;

/// The prefix of the gateway's variables.
pub(super) const PREFIX: &str = "LLM_GATEWAY_";

/// Variables by name. Names are matched without regard to case; a value of nothing but space
/// counts as not set.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
    }

    /// Returns the trimmed value of a variable; `None` if it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_uppercase()).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The names of all variables that are set, in upper case.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| self.get(name).is_some())
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    /// Of names that differ only in case, the one in capitals counts.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut variables = BTreeMap::new();
        for (name, value) in pairs {
            let name: String = name.into();
            let folded = name.to_uppercase();
            if name == folded || !variables.contains_key(&folded) {
                variables.insert(folded, value.into());
            }
        }
        Self(variables)
    }
}

/// Returns the variable made of the key of a setting.
pub(super) fn nested(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&str, &str)], name: &str, expected: Option<&str>) {
        let environment: Environment = pairs.iter().copied().collect();
        assert_eq!(environment.get(name), expected);
    }

    #[test]
    fn case_does_not_matter_but_capitals_count_first() {
        check(&[("llm_gateway_port", "1")], "LLM_GATEWAY_PORT", Some("1"));
        check(&[("A", "1"), ("a", "2")], "A", Some("1"));
        check(&[("a", "2"), ("A", "1")], "a", Some("1"));
    }

    #[test]
    fn empty_variable_is_not_set() {
        check(&[("A", "")], "A", None);
        check(&[("A", " \n")], "A", None);
        check(&[("A", " x\n")], "A", Some("x"));
    }
}
