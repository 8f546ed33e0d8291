//! The output of tasks: the only module that writes to standard output and error.

use std::io::{self, Write as _};

/// Prints a line.
///
/// A reader that has gone, as `head` does, is no reason to fail.
pub(crate) fn say(line: impl AsRef<str>) {
    let mut out = io::stdout().lock();
    let _gone = writeln!(out, "{}", line.as_ref()).and_then(|()| out.flush());
}

/// Prints a line to standard error.
pub(crate) fn complain(line: impl AsRef<str>) {
    let _gone = writeln!(io::stderr().lock(), "{}", line.as_ref());
}

/// Lays out rows as columns: the first flush left, the others flush right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max())
        .map(Option::unwrap_or_default)
        .collect();
    rows.iter().map(|row| line(row, &widths)).collect::<Vec<_>>().join("\n")
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = row
        .iter()
        .zip(widths)
        .enumerate()
        .map(|(index, (cell, &width))| match index {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        })
        .collect();
    cells.join("  ").trim_end().to_owned()
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::table;

    fn check(rows: &[&[&str]], expected: &str) {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect();
        assert_eq!(table(&rows), expected);
    }

    #[test]
    fn columns_line_up() {
        check(&[&["a", "1"], &["long", "22"]], "a      1\nlong  22");
    }

    #[test]
    fn rows_may_be_short() {
        check(&[&["a", "b", "c"], &["x"]], "a  b  c\nx");
        check(&[], "");
    }
}
