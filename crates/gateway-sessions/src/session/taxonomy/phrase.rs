//! Phrases in which users ask for a known taxonomy: `use the Security taxonomy`, `switch to
//! Security`, `answer with the AI-ML taxonomy`, `taxonomy: AI-ML`.
//!
//! A negation (`don't use ...`), a quotation, and prose about taxonomies (`how do I use ...?`, `many
//! teams use ...`) ask for nothing. What is in doubt is prose: a search that is not narrowed shows
//! too much, one that is narrowed by mistake hides something.

use super::{
    table::TaxonomyTable,
    words::{self, NOUN, TextClause},
};

/// Phrases that ask for a taxonomy if they begin a clause, behind words of politeness. The name is
/// followed by the noun, or the phrase is in [`BARE`].
const REQUESTS: &[&str] = &[
    "use",
    "use taxonomy",
    "apply",
    "apply taxonomy",
    "select",
    "choose",
    "pick",
    "adopt",
    "switch to",
    "switch over to",
    "switch back to",
    "switch taxonomy to",
    "change to",
    "change taxonomy to",
    "change over to",
    "move to",
    "move over to",
    "go back to",
    "return to",
    "set taxonomy to",
    "search",
    "search in",
    "stick to",
    "stick with",
    "go with",
    "work with",
];

/// Phrases of [`REQUESTS`] behind which a name needs no noun.
const BARE: &[&str] = &[
    "use taxonomy",
    "apply taxonomy",
    "switch to",
    "switch over to",
    "switch back to",
    "switch taxonomy to",
    "change to",
    "change taxonomy to",
    "change over to",
    "go back to",
    "set taxonomy to",
];

/// Words that narrow a request wherever they stand in it: `find books with the AI-ML taxonomy`.
const ADVERBIAL: &[&str] = &["with", "using", "applying", "under", "within"];

/// Words between a phrase and a name.
const ARTICLES: &[&str] = &["the", "our", "my", "your", "only"];

/// Words that turn a phrase into its opposite.
const NEGATIONS: &[&str] = &[
    "not",
    "no",
    "never",
    "nor",
    "neither",
    "without",
    "stop",
    "stopped",
    "quit",
    "avoid",
    "avoiding",
    "cannot",
    "cant",
    "dont",
    "doesnt",
    "didnt",
    "wont",
    "wouldnt",
    "shouldnt",
    "couldnt",
    "mustnt",
    "neednt",
    "isnt",
    "arent",
    "refuse",
    "refrain",
    "forbid",
    "forget",
    "ignore",
    "except",
    "unless",
    "instead of",
    "rather than",
    "other than",
    "hardly",
    "cease",
];

/// Words before a narrowing phrase that make it prose.
const PROSE: &[&str] = &[
    "how",
    "why",
    "who",
    "whom",
    "whether",
    "if",
    "when",
    "while",
    "they",
    "people",
    "users",
    "user",
    "someone",
    "everyone",
    "customers",
    "teams",
    "companies",
    "authors",
    "mean",
    "means",
    "meaning",
    "difference",
    "advantage",
    "advantages",
    "benefit",
    "benefits",
    "drawbacks",
    "problem",
    "problems",
    "experience",
    "tried",
    "says",
    "said",
    "documentation",
    "docs",
    "example",
    "happens",
    "wrong",
];

/// Words directly before a narrowing phrase that make it prose: `we are using ...`, `about using`.
const PROSE_BEFORE: &[&str] = &[
    "is", "are", "was", "were", "be", "been", "am", "im", "were", "about", "of", "for", "by",
    "from", "before", "after",
];

/// Words of politeness and order before a request.
const POLITE: &[&[&str]] = &[
    &["please"],
    &["now"],
    &["then"],
    &["just"],
    &["always"],
    &["instead"],
    &["and"],
    &["but"],
    &["so"],
    &["ok"],
    &["okay"],
    &["also"],
    &["kindly"],
    &["lets"],
    &["let", "us"],
    &["can", "you"],
    &["could", "you"],
    &["would", "you"],
    &["will", "you"],
    &["you", "should"],
    &["you", "must"],
    &["you", "can"],
    &["you", "may"],
    &["i", "want", "to"],
    &["i", "want", "you", "to"],
    &["we", "want", "to"],
    &["i", "need", "you", "to"],
    &["id", "like", "to"],
    &["id", "like", "you", "to"],
    &["i", "would", "like", "to"],
    &["i", "would", "like", "you", "to"],
    &["make", "sure", "to"],
    &["be", "sure", "to"],
    &["remember", "to"],
];

/// Words of which an introduction consists: `for the rest of this conversation use ...`.
const INTRODUCTION: &[&str] = &[
    "for",
    "from",
    "in",
    "on",
    "this",
    "that",
    "these",
    "the",
    "rest",
    "of",
    "my",
    "next",
    "following",
    "now",
    "onward",
    "onwards",
    "here",
    "question",
    "questions",
    "search",
    "searches",
    "query",
    "chat",
    "conversation",
    "session",
    "answer",
    "turn",
    "time",
    "today",
    "all",
];

/// Words that may follow a name without the noun.
const FOLLOWING: &[&str] = &[
    "please", "now", "instead", "for", "and", "then", "from", "here", "again", "today", "when",
    "before",
];

/// Returns the identifier of the last of `known` that `text` asks for.
pub(super) fn requested(known: &TaxonomyTable, text: &str) -> Option<String> {
    let clauses = words::clauses(text);
    let found = clauses.iter().enumerate().rev().find_map(|(at, clause)| {
        if is_denied(clauses.get(..at)?) { None } else { in_clause(known, clause) }
    });
    found.map(str::to_owned)
}

/// Whether the clauses `before` deny the next one: `do not, under any circumstances, use ...`.
fn is_denied(before: &[TextClause]) -> bool {
    let same_sentence = before.iter().rev().take_while(|clause| !clause.ends_sentence);
    same_sentence.take(2).any(ends_in_negation)
}

/// The identifier of the last taxonomy that `clause` asks for.
fn in_clause<'a>(known: &'a TaxonomyTable, clause: &TextClause) -> Option<&'a str> {
    let words = &clause.words;
    (0..words.len()).rev().find_map(|at| {
        if clause.cited.get(at).is_some_and(|cited| *cited) {
            return None;
        }
        labelled(known, clause, at)
            .or_else(|| narrowed(known, clause, at))
            .or_else(|| requested_at(known, clause, at))
    })
}

/// `taxonomy: NAME`, with the noun at `at`.
fn labelled<'a>(known: &'a TaxonomyTable, clause: &TextClause, at: usize) -> Option<&'a str> {
    if !clause.colons.contains(&at) || has_negation(clause.words.get(..at)?) {
        return None;
    }
    let rest = clause.words.get(at + 1..)?;
    known.at_start(rest, |end| ends_name(rest, end)).map(|(id, _)| id)
}

/// `with the NAME taxonomy`, with the preposition at `at`.
fn narrowed<'a>(known: &'a TaxonomyTable, clause: &TextClause, at: usize) -> Option<&'a str> {
    let (before, rest) = clause.words.split_at_checked(at)?;
    let (first, rest) = rest.split_first()?;
    let is_prose = |word: &String| PROSE.contains(&word.as_str());
    let is_prose_before = |word: &String| PROSE_BEFORE.contains(&word.as_str());
    if !ADVERBIAL.contains(&first.as_str())
        || has_negation(before)
        || before.iter().any(is_prose)
        || before.last().is_some_and(is_prose_before)
    {
        return None;
    }
    name_after(known, rest, false)
}

/// `use the NAME taxonomy`, with the verb at `at`.
fn requested_at<'a>(known: &'a TaxonomyTable, clause: &TextClause, at: usize) -> Option<&'a str> {
    let (before, words) = clause.words.split_at_checked(at)?;
    let phrase = REQUESTS.iter().filter_map(|phrase| Some((*phrase, behind(words, phrase)?)));
    let mut longest: Vec<_> = phrase.collect();
    longest.sort_by_key(|(_, rest)| rest.len());
    if longest.is_empty() || has_negation(before) || !is_request(before) {
        return None;
    }
    longest.into_iter().find_map(|(phrase, rest)| name_after(known, rest, BARE.contains(&phrase)))
}

/// The words behind `phrase`, which may have an article before its noun.
fn behind<'w>(words: &'w [String], phrase: &str) -> Option<&'w [String]> {
    let mut rest = words;
    for part in phrase.split(' ') {
        if part == NOUN {
            rest = without_articles(rest);
        }
        let (first, others) = rest.split_first()?;
        if first != part {
            return None;
        }
        rest = others;
    }
    Some(rest)
}

fn without_articles(words: &[String]) -> &[String] {
    match words.split_first() {
        Some((first, rest)) if ARTICLES.contains(&first.as_str()) => without_articles(rest),
        _ => words,
    }
}

/// The taxonomy whose name `words` begin with, behind articles. Unless it `is_bare`, the noun
/// follows.
fn name_after<'a>(known: &'a TaxonomyTable, words: &[String], is_bare: bool) -> Option<&'a str> {
    let rest = without_articles(words);
    let has_noun = |end: usize| rest.get(end).is_some_and(|word| word == NOUN);
    let may_end = |end: usize| has_noun(end) || (is_bare && ends_name(rest, end));
    let (id, end) = known.at_start(rest, may_end)?;
    let tail = rest.get(end + usize::from(has_noun(end))..)?;
    // `use the Security taxonomy no more`
    let is_taken_back = tail.first().is_some_and(|word| matches!(word.as_str(), "no" | "anymore"));
    (!is_taken_back).then_some(id)
}

/// Whether a name without the noun may end before the word `end`.
fn ends_name(words: &[String], end: usize) -> bool {
    words.get(end).is_none_or(|word| word == NOUN || FOLLOWING.contains(&word.as_str()))
}

/// Whether a verb behind `before` asks for something: only politeness, or an introduction, stands
/// before it.
fn is_request(before: &[String]) -> bool {
    let conjunction = |word: &String| matches!(word.as_str(), "and" | "but" | "then" | "so");
    let start = before.iter().rposition(conjunction).map_or(0, |at| at + 1);
    let mut rest = before.get(start..).unwrap_or_default();
    while let Some(shorter) = POLITE.iter().find_map(|words| without_end(rest, words)) {
        rest = shorter;
    }
    rest.iter().all(|word| INTRODUCTION.contains(&word.as_str()))
}

/// `words` without `end`, if they end so.
fn without_end<'w>(words: &'w [String], end: &[&str]) -> Option<&'w [String]> {
    let (rest, last) = words.split_at_checked(words.len().checked_sub(end.len())?)?;
    (last == end).then_some(rest)
}

/// Whether `words` deny what follows them. An `and` or `but` ends a denial with a verb of its own.
fn has_negation(words: &[String]) -> bool {
    let is_but = |word: &String| word == "but";
    let start = words.iter().rposition(is_but).map_or(0, |at| at + 1);
    let words = words.get(start..).unwrap_or_default();
    let pair = |at: usize| Some(format!("{} {}", words.get(at)?, words.get(at + 1)?));
    (0..words.len()).any(|at| {
        let one = words.get(at).is_some_and(|word| NEGATIONS.contains(&word.as_str()));
        one || pair(at).is_some_and(|pair| NEGATIONS.contains(&pair.as_str()))
    })
}

/// Whether a clause ends in a denial whose verb is in a later clause. A `no` is an answer.
fn ends_in_negation(clause: &TextClause) -> bool {
    clause.words.last().is_some_and(|word| word != "no" && NEGATIONS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known_taxonomies() -> TaxonomyTable {
        let mut known = TaxonomyTable::default();
        known.add("AI-ML_taxonomy", ["AI-ML", "machine learning"]).unwrap();
        known.add("security-2024", ["Security", "cyber security"]).unwrap();
        known.add("cloud-v1", ["Cloud"]).unwrap();
        known
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(requested(&known_taxonomies(), text).unwrap_or_default(), expected, "{text}");
    }

    #[test]
    fn requests_select_known_taxonomies() {
        for text in [
            "use the AI-ML_taxonomy",
            "use the AI-ML taxonomy",
            "Use AI ML taxonomy.",
            "USE THE AIML TAXONOMY!",
            "Find books on agents, use AI-ML taxonomy",
            "find books on agents and use the machine learning taxonomy",
            "find books on agents with the AI-ML taxonomy",
            "which books cover agents, using the \u{201c}AI-ML\u{201d} taxonomy?",
            "what is RAG? (taxonomy: ai-ml)",
            "taxonomy = AI-ML",
            "Taxonomy:AI-ML, please",
            "please switch to AI-ML now",
            "Could you please use the AI-ML taxonomy for this?",
            "I'd like you to apply the AI-ML taxonomy",
            "from now on use the AI-ML taxonomy",
            "set the taxonomy to AI-ML",
            "Let's switch back to machine-learning.",
            "change the taxonomy to machine learning",
            "don't use Security, use the AI-ML taxonomy",
            "do not use the Security taxonomy but use the AI-ML taxonomy",
            "instead of using the Security taxonomy, apply the AI-ML taxonomy",
            "use the AI-ML_taxonomy.\n\nWhat is new in security?",
        ] {
            check(text, "AI-ML_taxonomy");
        }
        check("switch to Security", "security-2024");
        check("apply the cyber security taxonomy", "security-2024");
        check("apply the cybersecurity taxonomy", "security-2024");
        check("use the security-2024 taxonomy", "security-2024");
        check("use the AI-ML taxonomy. No: switch to Cloud.", "cloud-v1");
    }

    #[test]
    fn negations_select_no_taxonomy() {
        for text in [
            "don't use the Security taxonomy",
            "Don\u{2019}t switch to Security",
            "please do not use the Security taxonomy",
            "never apply the Security taxonomy",
            "do not, under any circumstances, use the Security taxonomy",
            "answer without using the Security taxonomy",
            "stop using the Security taxonomy",
            "avoid the Security taxonomy",
            "I would rather not use the Security taxonomy",
            "there is no need to switch to Security",
            "never use or apply the Security taxonomy",
            "use anything but the Security taxonomy",
            "use any taxonomy other than Security",
            "use the Security taxonomy no more",
            "forget the Security taxonomy",
        ] {
            check(text, "");
        }
    }

    #[test]
    fn prose_selects_no_taxonomy() {
        for text in [
            "what is the Security taxonomy?",
            "how do I use the Security taxonomy?",
            "should we use the Security taxonomy?",
            "what happens if I switch to Security?",
            "most teams use the Security taxonomy",
            "people using the Security taxonomy like it",
            "we are using the Security taxonomy at work",
            "explain how to apply the Security taxonomy",
            "papers that use the Security taxonomy",
            "the docs say \"use the Security taxonomy\"",
            "what are the benefits of using the Security taxonomy?",
            "use security best practices",
            "help me with security",
            "switch to security best practices",
            "apply security patches",
            "use the taxonomy",
            "use the Biology taxonomy",
            "```\nuse the Security taxonomy\n```",
            "",
        ] {
            check(text, "");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_selects_a_known_taxonomy_or_none(text in "\\PC{0,80}") {
            if let Some(found) = requested(&known_taxonomies(), &text) {
                prop_assert!(known_taxonomies().id_of(&found) == found);
            }
        }

        #[test]
        fn names_are_found_in_any_case(name in "[aA][iI][- ]?[mM][lL]|[sS]ECURITY|[mM]achine-learning|[cC]loud") {
            let (asked, denied) = (format!("Please use the {name} taxonomy now"), format!("don't use the {name} taxonomy"));
            prop_assert!(requested(&known_taxonomies(), &asked).is_some());
            prop_assert!(requested(&known_taxonomies(), &denied).is_none());
        }
    }
}
