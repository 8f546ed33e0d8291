//! The recognition of any name where no taxonomies are known: `use the Security taxonomy`, `with
//! AI-ML taxonomy`, `taxonomy: AI-ML`.

/// The suffix of every taxonomy's identifier.
const SUFFIX: &str = "_taxonomy";

/// Longer than any name.
const MAX_NAME: usize = 64;

/// Words that stand before "taxonomy" without naming one.
const NO_NAMES: [&str; 22] = [
    "a", "an", "the", "this", "that", "these", "those", "any", "no", "my", "our", "your", "its",
    "their", "his", "her", "same", "some", "each", "every", "which", "another",
];

/// Returns the identifier of the last taxonomy that `text` names.
pub(super) fn asked_for(text: &str) -> Option<String> {
    let words: Vec<_> = text.split_whitespace().collect();
    let found = (0..words.len()).rev().find_map(|at| phrase(words.get(at..)?));
    found.map(identifier)
}

/// The name in a phrase that begins with the first of `words`.
fn phrase<'a>(words: &[&'a str]) -> Option<&'a str> {
    let (first, rest) = words.split_first()?;
    if let Some(named) = after_colon(first) {
        return if named.is_empty() {
            name(trim_end(rest.first()?))
        } else {
            name(trim_end(named))
        };
    }
    let lead = trim_start(first);
    if !["use", "using", "with"].iter().any(|word| lead.eq_ignore_ascii_case(word)) {
        return None;
    }
    let rest = match rest.split_first()? {
        (article, rest) if article.eq_ignore_ascii_case("the") => rest,
        _ => rest,
    };
    let [named, noun, ..] = rest else { return None };
    trim_end(noun).eq_ignore_ascii_case("taxonomy").then(|| name(named)).flatten()
}

/// Returns the text after `taxonomy:` in the same word.
fn after_colon(word: &str) -> Option<&str> {
    let (noun, named) = trim_start(word).split_once(':')?;
    noun.eq_ignore_ascii_case("taxonomy").then_some(named)
}

/// A name, without quotes around it.
fn name(word: &str) -> Option<&str> {
    let bare = word.trim_matches(|c| matches!(c, '"' | '\'' | '`' | '*' | '“' | '”' | '‘' | '’'));
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '&' | '/');
    let is_name = bare.chars().all(plain)
        && bare.chars().any(char::is_alphanumeric)
        && bare.len() <= MAX_NAME
        && !NO_NAMES.iter().any(|word| bare.eq_ignore_ascii_case(word));
    is_name.then_some(bare)
}

fn identifier(name: &str) -> String {
    let tail = name.len().checked_sub(SUFFIX.len()).and_then(|at| name.get(at..));
    if tail.is_some_and(|tail| tail.eq_ignore_ascii_case(SUFFIX)) {
        return name.to_owned();
    }
    format!("{name}{SUFFIX}")
}

fn trim_start(word: &str) -> &str {
    word.trim_start_matches(|c: char| !c.is_alphanumeric())
}

fn trim_end(word: &str) -> &str {
    word.trim_end_matches(|c: char| !c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(asked_for(text).unwrap_or_default(), expected, "{text}");
    }

    #[test]
    fn phrase_selects_taxonomy() {
        check("Find books on agents, use AI-ML taxonomy", "AI-ML_taxonomy");
        check("use the Security taxonomy", "Security_taxonomy");
        check("USE THE security TAXONOMY.", "security_taxonomy");
        check("search, using the Security taxonomy, for keys", "Security_taxonomy");
        check("answer (with AI-ML taxonomy)", "AI-ML_taxonomy");
        check("use\n the\tCloud\ntaxonomy!", "Cloud_taxonomy");
        check("use the \"AI-ML\" taxonomy", "AI-ML_taxonomy");
        check("taxonomy: Security", "Security_taxonomy");
        check("Taxonomy:AI-ML, please", "AI-ML_taxonomy");
        check("what is RAG? (taxonomy: ai-ml-2024)", "ai-ml-2024_taxonomy");
    }

    #[test]
    fn taxonomy_identifier_is_used_verbatim() {
        check("taxonomy: AI-ML_taxonomy.", "AI-ML_taxonomy");
        check("use AI-ML_Taxonomy taxonomy", "AI-ML_Taxonomy");
    }

    #[test]
    fn last_taxonomy_phrase_wins() {
        check("use the A1 taxonomy, no: use the B2 taxonomy", "B2_taxonomy");
        check("use the A1 taxonomy. taxonomy: C3", "C3_taxonomy");
    }

    #[test]
    fn mention_of_taxonomies_selects_no_taxonomy() {
        check("what is a taxonomy?", "");
        check("use the taxonomy", "");
        check("use a taxonomy", "");
        check("using this taxonomy", "");
        check("without Security taxonomy", "");
        check("misuse Security taxonomy", "");
        check("use Security taxonomies", "");
        check("the Security taxonomy is good", "");
        check("use the two Security taxonomy", "");
        check("taxonomy:", "");
        check("with <script> taxonomy", "");
        check("", "");
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in "\\PC{0,80}") {
            if let Some(found) = asked_for(&text) {
                prop_assert!(found.to_lowercase().ends_with(SUFFIX));
            }
        }

        #[test]
        fn arbitrary_taxonomy_name_is_found(name in "[A-Z][A-Za-z0-9-]{2,20}[0-9]", before in "[a-z ,.]{0,20}") {
            let text = format!("{before} use the {name} taxonomy now");
            prop_assert_eq!(asked_for(&text), Some(format!("{name}_taxonomy")));
        }
    }
}
