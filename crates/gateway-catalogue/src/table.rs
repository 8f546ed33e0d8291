//! Rows found in the text of a catalogue, without a copy of it on the heap.

use std::{borrow::Cow, cmp::Ordering};

/// The text of a catalogue: a head of `#` comments and `@` aliases, then rows, sorted by provider and
/// name in lower case.
#[derive(Clone, Debug)]
pub struct RowTable {
    text: Cow<'static, str>,
    /// The offset of the first row.
    rows: usize,
}

impl RowTable {
    /// The table of `text`.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        let is_head = |line: &str| line.starts_with(['#', '@']) || line.trim().is_empty();
        let head = text.split_inclusive('\n').take_while(|line| is_head(line));
        let rows = head.map(str::len).sum();
        Self { text, rows }
    }

    /// Returns the whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the number of rows, without parsing them.
    pub fn count(&self) -> usize {
        self.body().lines().filter(|line| !line.starts_with('\t')).count()
    }

    /// Returns the lines of the head.
    pub fn head(&self) -> impl Iterator<Item = &str> {
        self.text.get(..self.rows).unwrap_or_default().lines()
    }

    /// Returns the text of the row called `key`: `provider/name`, in lower case.
    pub fn find(&self, key: &str) -> Option<&str> {
        let row = self.rows_from(key).next()?;
        (compare(key_of(row), key) == Ordering::Equal).then_some(row)
    }

    /// Returns the rows whose keys begin with `prefix`, in order.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.rows_from(prefix).take_while(move |row| {
            let key = key_of(row);
            key.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        })
    }

    /// Returns all rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.rows_from("")
    }

    fn body(&self) -> &str {
        self.text.get(self.rows..).unwrap_or_default()
    }

    /// The rows from the first whose key is not before `key`.
    fn rows_from<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let body = self.body();
        let (mut low, mut high) = (0, body.len());
        while low < high {
            let middle = start_of_row(body, low + (high - low) / 2);
            let row = row_at(body, middle);
            if compare(key_of(row), key) == Ordering::Less {
                low = middle + row.len();
            } else if middle == high {
                break;
            } else {
                high = middle;
            }
        }
        let mut at = low;
        std::iter::from_fn(move || {
            let row = row_at(body, at);
            at += row.len();
            (!row.is_empty()).then_some(row)
        })
    }
}

/// The beginning of the row that stands at `at`.
fn start_of_row(body: &str, at: usize) -> usize {
    let mut start = at;
    loop {
        let before = body.as_bytes().get(..start).unwrap_or_default();
        start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        if start == 0 || body.as_bytes().get(start) != Some(&b'\t') {
            return start;
        }
        start -= 1;
    }
}

/// The row that begins at `start`, its prices included.
fn row_at(body: &str, start: usize) -> &str {
    let rest = body.get(start..).unwrap_or_default();
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        if end > 0 && !line.starts_with('\t') {
            break;
        }
        end += line.len();
    }
    rest.get(..end).unwrap_or_default()
}

/// The provider and the name of a row.
pub(crate) fn key_of(row: &str) -> &str {
    let end = row.find([' ', '\n']).unwrap_or(row.len());
    row.get(..end).unwrap_or_default()
}

/// Compares a key with one in lower case.
fn compare(key: &str, lower: &str) -> Ordering {
    key.bytes().map(|byte| byte.to_ascii_lowercase()).cmp(lower.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# head\n@alias b\na/B i=1\n\t* l i=1\na/c i=2\n\t* l i=1\n\t2026-01-01 l i=2\nb/a i=3\nb/a-b\n";

    #[test]
    fn every_row_is_found_by_its_key() {
        let table = RowTable::new(TEXT);
        assert_eq!(table.head().collect::<Vec<_>>(), ["# head", "@alias b"]);
        assert_eq!(table.iter().count(), 4);
        for (key, expected) in [
            ("a/b", Some("a/B i=1\n\t* l i=1\n")),
            ("a/c", Some("a/c i=2\n\t* l i=1\n\t2026-01-01 l i=2\n")),
            ("b/a", Some("b/a i=3\n")),
            ("b/a-b", Some("b/a-b\n")),
            ("a/a", None),
            ("a/bb", None),
            ("c/a", None),
            ("", None),
        ] {
            assert_eq!(table.find(key), expected, "{key}");
        }
    }

    #[test]
    fn rows_of_a_provider_stand_together() {
        let table = RowTable::new(TEXT);
        let keys = |prefix: &str| {
            table.with_prefix(prefix).map(key_of).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(keys("a/"), ["a/B", "a/c"]);
        assert_eq!(keys("b/a"), ["b/a", "b/a-b"]);
        assert!(keys("x/").is_empty());
    }

    #[test]
    fn empty_catalogue_has_no_rows() {
        let table = RowTable::new("");
        assert_eq!((table.find("a/b"), table.iter().count()), (None, 0));
    }
}
