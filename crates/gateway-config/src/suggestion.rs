//! Suggestions for misspelt names.

/// Returns the candidate that is most similar to `word`, if it is similar enough to be meant.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns `; did you mean ...?` with the closest candidate, or nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    closest(word, candidates).map_or_else(String::new, |it| format!("; did you mean `{it}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        let candidates = ["port", "host", "environment", "max_body_bytes"];
        assert_eq!(closest(word, candidates), expected);
    }

    #[test]
    fn closest_candidate_is_suggested_if_similar() {
        check("prot", Some("port"));
        check("PORT", Some("port"));
        check("enviroment", Some("environment"));
        check("max_body_byte", Some("max_body_bytes"));
        check("x", None);
        check("listen", None);
    }
}
