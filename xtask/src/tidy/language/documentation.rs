//! Documentation comments: what their first line is, how long they are, which words they use.

use super::{PEOPLE, TELL, words_among};
use crate::tidy::{
    code::RustFile,
    ratchet::{Finding, Measurement},
};

/// Words that begin a clause, where a noun phrase or a verb belongs.
const CLAUSE: &[&str] = &[
    "what", "who", "whose", "whom", "whoever", "where", "how", "which", "when", "those", "one",
    "so", "as",
];

/// Up to this many words say nothing that the name does not.
const FEW_WORDS: usize = 3;

/// A comment of consecutive lines.
struct DocComment {
    line: usize,
    text: String,
}

/// Counts clauses, short comments, and words that belong to people.
pub(super) fn measure(code: &[RustFile<'_>]) -> Vec<Measurement> {
    let mut clauses = Measurement::new("clause-docs", 0);
    let mut short = Measurement::new("short-docs", 4);
    let mut tell = Measurement::new("tell-words", 0);
    let mut people = Measurement::new("people-words", 0);
    for file in code.iter().filter(|file| !file.is_test()) {
        let comments = doc_comments(file.code);
        let find = |is_wrong: &dyn Fn(&str) -> bool| -> Vec<Finding> {
            let wrong = comments.iter().filter(|it| is_wrong(&it.text));
            wrong.map(|it| finding(file, it)).collect()
        };
        let find_words = |among: &[&str]| -> Vec<Finding> {
            let hits =
                |it: &DocComment| vec![finding(file, it); words_among(&it.text, among).len()];
            comments.iter().flat_map(hits).collect()
        };
        clauses.add(file.package, comments.len(), find(&begins_with_clause));
        short.add(file.package, comments.len(), find(&is_short));
        tell.add(file.package, 0, find_words(TELL));
        people.add(file.package, 0, find_words(PEOPLE));
    }
    vec![clauses, short, tell, people]
}

fn finding(file: &RustFile<'_>, comment: &DocComment) -> Finding {
    let what: String = comment.text.chars().take(80).collect();
    Finding { path: file.path.to_owned(), line: comment.line, what }
}

fn begins_with_clause(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    CLAUSE.contains(&first.trim_matches(['`', ',', '.', ':', ';']))
}

fn is_short(text: &str) -> bool {
    text.split_whitespace().count() <= FEW_WORDS
}

fn doc_comments(text: &str) -> Vec<DocComment> {
    let mut comments: Vec<DocComment> = Vec::new();
    let mut continues = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let Some(said) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            continues = false;
            continue;
        };
        match comments.last_mut() {
            Some(comment) if continues => {
                comment.text.push(' ');
                comment.text.push_str(said.trim());
            }
            _ => comments.push(DocComment { line: index + 1, text: said.trim().to_owned() }),
        }
        continues = true;
    }
    comments
}

#[cfg(test)]
mod tests {
    use super::measure;
    use crate::tidy::code::tests::parsed;

    /// The counts of clauses, short comments, words of telling, and words of people.
    fn check(text: &str, expected: [usize; 4]) {
        parsed(&[("a.rs", text)], |files| {
            let counts: Vec<usize> =
                measure(files).iter().map(|it| it.crates["x"].found.len()).collect();
            assert_eq!(counts, expected, "{text}");
        });
    }

    #[test]
    fn clause_is_counted() {
        check("/// What is left of it.\nstruct A;\n", [1, 0, 0, 0]);
        check("/// `One` of the many types.\nstruct A;\n", [1, 0, 0, 0]);
        check("/// Returns what is left.\nstruct A;\n", [0, 0, 0, 0]);
    }

    #[test]
    fn comment_of_three_words_is_short() {
        check("/// The only name.\nstruct A;\n", [0, 1, 0, 0]);
        check("/// The only\n/// name here.\nstruct A;\n", [0, 0, 0, 0]);
    }

    #[test]
    fn each_word_counts() {
        check("//! Tells those who told nobody of it.\n", [0, 0, 2, 1]);
    }

    #[test]
    fn tests_do_not_count() {
        check("struct A;\n#[cfg(test)]\nmod tests {\n    /// Tells.\n    fn f() {}\n}\n", [0; 4]);
    }
}
