//! The words of a message, and the places where its clauses end.

/// The noun that follows the name of every taxonomy.
pub(super) const NOUN: &str = "taxonomy";

/// A clause of a message: what stands between two marks of punctuation.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct TextClause {
    /// Its words, in lower case and without apostrophes.
    pub(super) words: Vec<String>,
    /// The indices of the words behind which a colon or an equals sign stands.
    pub(super) colons: Vec<usize>,
    /// Whether each word is in a quotation that other words of the message precede.
    pub(super) cited: Vec<bool>,
    /// Whether its sentence ends with it.
    pub(super) ends_sentence: bool,
}

/// Returns the words of a name, without the noun at its end.
pub(super) fn of_name(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut words: Vec<_> = words.map(str::to_owned).collect();
    if words.len() > 1 && words.last().is_some_and(|word| word == NOUN) {
        words.pop();
    }
    words
}

/// Splits `text` into clauses. Fenced code is left out: it is material, not a request.
pub(super) fn clauses(text: &str) -> Vec<TextClause> {
    let mut reader = ClauseReader::default();
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            reader.line(line);
        }
    }
    reader.clauses
}

#[derive(Default)]
struct ClauseReader {
    clauses: Vec<TextClause>,
    clause: TextClause,
    word: String,
    is_quoted: bool,
    /// Whether the open quotation began behind other words.
    is_cited: bool,
}

impl ClauseReader {
    fn line(&mut self, line: &str) {
        let mut chars = line.chars().peekable();
        while let Some(char) = chars.next() {
            let is_last = chars.peek().is_none_or(|next| !next.is_alphanumeric());
            match char {
                '\'' | '\u{2019}' if !self.word.is_empty() => {}
                c if c.is_alphanumeric() => self.word.extend(c.to_lowercase()),
                '"' | '\u{201c}' | '\u{201d}' | '`' => self.quote(),
                ':' | '=' => self.colon(),
                '.' | '!' | '?' if is_last => self.end(true),
                ',' | ';' | '(' | ')' | '[' | ']' | '\u{2014}' => self.end(false),
                _ => self.end_word(),
            }
        }
        self.end(true);
        // A quotation that is not closed in its line is no quotation.
        self.is_quoted = false;
    }

    fn quote(&mut self) {
        self.end_word();
        self.is_quoted = !self.is_quoted;
        self.is_cited =
            self.is_quoted && !(self.clauses.is_empty() && self.clause.words.is_empty());
    }

    /// A colon behind the noun belongs to it; any other ends the clause.
    fn colon(&mut self) {
        self.end_word();
        match self.clause.words.len().checked_sub(1) {
            Some(last) if self.clause.words.last().is_some_and(|word| word == NOUN) => {
                self.clause.colons.push(last);
            }
            _ => self.end(false),
        }
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        self.clause.cited.push(self.is_quoted && self.is_cited);
        self.clause.words.push(std::mem::take(&mut self.word));
    }

    fn end(&mut self, ends_sentence: bool) {
        self.end_word();
        let clause = std::mem::take(&mut self.clause);
        if !clause.words.is_empty() {
            self.clauses.push(TextClause { ends_sentence, ..clause });
        } else if let Some(last) = self.clauses.last_mut() {
            last.ends_sentence |= ends_sentence;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_split_into_clauses() {
        let read = |text: &str| {
            let words = clauses(text).into_iter().map(|it| it.words.join(" "));
            words.collect::<Vec<_>>().join("|")
        };
        assert_eq!(read("Find books, use AI-ML."), "find books|use ai ml");
        assert_eq!(read("don't (use v1.2)"), "dont|use v1 2");
        assert_eq!(read("a\n```\nuse X\n```\nb"), "a|b");
        assert_eq!(read("taxonomy: X; one thing: use Y"), "taxonomy x|one thing|use y");
        assert_eq!(read(""), "");
    }

    #[test]
    fn quotation_behind_other_words_is_marked() {
        let cited =
            |text: &str| clauses(text).into_iter().flat_map(|it| it.cited).collect::<Vec<_>>();
        assert_eq!(cited(r#"say "use X" now"#), [false, true, true, false]);
        assert_eq!(cited(r#""use X""#), [false, false]);
        assert_eq!(cited("it's a dog's"), [false, false, false]);
    }
}
