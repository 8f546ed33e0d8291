//! The rules of `docs/glossary.md` about names and documentation, counted per crate.

mod documentation;
mod prose;
mod tests_names;
mod types;

use super::{Source, code::RustFile, ratchet::Measurement};

/// Measures every language rule.
pub(super) fn measure(code: &[RustFile<'_>], files: &[Source]) -> Vec<Measurement> {
    let mut measurements = documentation::measure(code);
    measurements.extend(types::measure(code));
    measurements.push(tests_names::measure(code));
    measurements.extend(prose::measure(files));
    measurements
}

/// Returns the positions of words among these, ignoring case.
fn words_among<'a>(text: &'a str, among: &[&str]) -> Vec<&'a str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| among.iter().any(|it| it.eq_ignore_ascii_case(word)))
        .collect()
}

/// Words that make a thing talk.
const TELL: &[&str] = &["tell", "tells", "told", "telling"];

/// Words that make a thing a person.
const PEOPLE: &[&str] = &["nobody", "somebody", "anybody", "whoever"];

#[cfg(test)]
mod tests {
    use super::{TELL, words_among};

    #[test]
    fn words_stand_by_themselves() {
        assert_eq!(words_among("Told, intelligent; re-tell", TELL), ["Told", "tell"]);
    }
}
