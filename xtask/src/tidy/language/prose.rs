//! The prose of README and docs.

use super::{PEOPLE, TELL, words_among};
use crate::tidy::{
    Source,
    ratchet::{Finding, Measurement},
};

/// The name of the pages in counts per crate.
const PAGES: &str = "pages";

/// Terms that operators search for; of those between bars, either will do.
const TERMS: &[&str] = &[
    "rate limit",
    "concurrency limit",
    "budget",
    "circuit breaker",
    "fallback",
    "retry",
    "timeout",
    "health check",
    "readiness",
    "graceful shutdown",
    "observability",
    "troubleshoot",
    "pricing",
    "streaming",
    "upstream",
    "tenant",
    "cache hit",
    "load shedding",
    "idempotency",
    "rate-limited|rate limited",
    "virtual key|api key",
    "access log|request log",
    "tracing",
    "metrics",
];

/// Counts words that belong to people, and terms that are nowhere.
pub(super) fn measure(files: &[Source]) -> Vec<Measurement> {
    let pages: Vec<(&Source, String)> =
        files.iter().filter(|file| is_page(file)).map(|file| (file, without_code(file))).collect();
    let mut tell = Measurement::new("tell-words-in-pages", 0);
    let mut people = Measurement::new("people-words-in-pages", 0);
    for (file, text) in &pages {
        tell.add(PAGES, 0, hits(file, text, TELL));
        people.add(PAGES, 0, hits(file, text, PEOPLE));
    }
    let mut missing = Measurement::new("missing-terms", 0);
    let all: String = pages.iter().map(|(_, text)| text.to_lowercase()).collect();
    let terms = TERMS.iter().filter(|term| !term.split('|').any(|either| all.contains(either)));
    let found =
        terms.map(|term| Finding { path: "docs".to_owned(), line: 1, what: (*term).to_owned() });
    missing.add(PAGES, 0, found.collect());
    vec![tell, people, missing]
}

fn is_page(file: &Source) -> bool {
    let in_docs = file.path.strip_prefix("docs/").is_some_and(|name| !name.contains('/'));
    file.is("md") && (in_docs || file.path == "README.md")
}

/// The text with its lines, those of code emptied.
fn without_code(file: &Source) -> String {
    let mut code = false;
    let mut text = String::new();
    for line in file.text.lines() {
        let fence = line.trim_start().starts_with("```");
        if !code && !fence {
            text.push_str(line);
        }
        code ^= fence;
        text.push('\n');
    }
    text
}

fn hits(file: &Source, text: &str, among: &[&str]) -> Vec<Finding> {
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(index, line)| {
            words_among(line, among).into_iter().map(move |word| (index + 1, word))
        })
        .map(|(line, word)| Finding { path: file.path.clone(), line, what: word.to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{TERMS, measure};
    use crate::tidy::source;

    #[test]
    fn code_and_other_files_are_left_out() {
        let files = [
            source("docs/a.md", "It tells nobody.\n```sh\ntell\n```\ntold\n"),
            source("docs/b/c.md", "tell"),
            source("README.md", "Rate limit"),
        ];
        let counts: Vec<usize> =
            measure(&files).iter().map(|it| it.crates["pages"].found.len()).collect();
        assert_eq!(counts, [2, 1, TERMS.len() - 1]);
    }
}
