//! Forbidden text in files: paths of one machine, and unfinished work.

use super::Source;

/// A word, and what is wrong with it. Put together, so that this file does not hold them.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/home", "/"), "a path of one machine"),
    (concat!("/Use", "rs/"), "a path of one machine"),
    (concat!("index.cra", "tes.io"), "a registry's host: the tools know it"),
    (concat!("static.cra", "tes.io"), "a registry's host: the tools know it"),
    (concat!("registry.npm", "js.org"), "a registry's host: the tools know it"),
    (concat!("files.python", "hosted.org"), "a registry's host: the tools know it"),
    (concat!("py", "pi.org"), "a registry's host: the tools know it"),
    (concat!("--index", "-url"), "a registry's host: the tools know it"),
    (concat!("FIX", "ME"), "a loose end"),
    (concat!("#[ign", "ore"), "a test that does not run"),
    (concat!("<<<<", "<<< "), "an unfinished merge"),
];

/// Files that tools write.
const WRITTEN_BY_TOOLS: &[&str] = &["Cargo.lock"];

/// Looks for the words in every file.
pub(super) fn check(files: &[Source]) -> Vec<String> {
    let ours = files.iter().filter(|file| !WRITTEN_BY_TOOLS.contains(&file.path.as_str()));
    ours.flat_map(find_words).collect()
}

fn find_words(file: &Source) -> Vec<String> {
    let lines = file.text.lines().enumerate();
    let hits = lines.flat_map(|(index, line)| {
        let words = FORBIDDEN.iter().filter(move |(word, _)| stands(line, word));
        words.map(move |(word, what)| (index + 1, word, what))
    });
    hits.map(|(line, word, what)| format!("{}:{line}: `{word}`: {what}", file.path)).collect()
}

/// Whether the word stands in the line by itself: an absolute path is no part of a longer one.
fn stands(line: &str, word: &str) -> bool {
    let begins = |at: usize| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !word.starts_with('/') || !before.is_some_and(|c| c.is_alphanumeric() || "._-}".contains(c))
    };
    line.match_indices(word).any(|(at, _)| begins(at))
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::check;

    fn broken(path: &str, text: &str) -> usize {
        check(&[source(path, text)]).len()
    }

    #[test]
    fn absolute_paths_are_noticed() {
        assert_eq!(broken("a.md", concat!("see /wo", "rk/x and (/ro", "ot/y)")), 2);
        assert_eq!(broken("a.md", concat!("ok\nfile:///wo", "rk/x")), 1);
    }

    #[test]
    fn parts_of_other_paths_are_not() {
        assert_eq!(broken("a.md", concat!("target/wo", "rk/x ../wo", "rk/ $x}/ro", "ot/")), 0);
    }

    #[test]
    fn hosts_and_loose_ends_are_noticed() {
        assert_eq!(broken("a.toml", concat!("x = 'https://index.cra", "tes.io/'")), 1);
        assert_eq!(broken("a.rs", concat!("    #[ign", "ore]\n    // FIX", "ME\n")), 2);
    }

    #[test]
    fn lock_files_are_exempt() {
        assert_eq!(broken("Cargo.lock", concat!("https://index.cra", "tes.io/")), 0);
    }
}
