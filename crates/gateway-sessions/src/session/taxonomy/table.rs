//! The table of known taxonomies: names, aliases and identifiers.

use super::words;
use std::collections::BTreeMap;
use thiserror::Error;

/// The known taxonomies. An empty table knows none, and then any name is recognized.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TaxonomyTable {
    /// Identifiers by the comparable form of each name.
    ids: BTreeMap<String, String>,
    /// The number of words of the longest name.
    longest: usize,
}

/// A name that cannot be in the table.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum AmbiguousName {
    /// It has no letter and no digit.
    #[error("`{0}` has no letters")]
    Blank(String),
    /// It reads like a name of another taxonomy.
    #[error("`{name}` reads like a name of `{other}`")]
    Taken {
        /// The name.
        name: String,
        /// The identifier of the other taxonomy.
        other: String,
    },
}

impl TaxonomyTable {
    /// Adds the taxonomy with the identifier `id` under its `names`.
    ///
    /// # Errors
    ///
    /// If a name is blank, or reads like a name of another taxonomy.
    pub fn add<'a>(
        &mut self,
        id: &'a str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), AmbiguousName> {
        for name in names.into_iter().chain([id]) {
            let parts = words::of_name(name);
            let key = parts.concat();
            if key.is_empty() {
                return Err(AmbiguousName::Blank(name.to_owned()));
            }
            if let Some(other) = self.ids.get(&key).filter(|other| *other != id) {
                return Err(AmbiguousName::Taken { name: name.to_owned(), other: other.clone() });
            }
            self.longest = self.longest.max(parts.len());
            self.ids.insert(key, id.to_owned());
        }
        Ok(())
    }

    /// Whether no taxonomy is known.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Returns the identifier for `name`, which may be a name, an alias or an identifier; `name`
    /// itself if it is none of them.
    pub fn id_of(&self, name: &str) -> String {
        let known = self.ids.get(&words::of_name(name).concat());
        known.map_or_else(|| name.to_owned(), Clone::clone)
    }

    /// Whether the bytes of a request may ask for a taxonomy of the table: most do not, and need
    /// not be decoded.
    pub fn may_be_requested_in(&self, body: &[u8]) -> bool {
        let has = |part: &[u8]| memchr::memmem::find(body, part).is_some();
        !self.is_empty() && [&b"axonom"[..], b"AXONOM", b" to ", b" TO "].into_iter().any(has)
    }

    /// Returns the identifier of the taxonomy whose name `words` begin with, and the number of
    /// words of that name. `is_end` decides whether a name may end before the word of an index.
    pub(super) fn at_start(
        &self,
        words: &[String],
        is_end: impl Fn(usize) -> bool,
    ) -> Option<(&str, usize)> {
        // A name may be written apart: `cyber security` for `cybersecurity`.
        let longest = words.len().min(self.longest + 2);
        (1..=longest).rev().find_map(|count| {
            let key = words.get(..count)?.concat();
            let id = self.ids.get(&key).filter(|_| is_end(count))?;
            Some((id.as_str(), count))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_hyphens() {
        let mut known = TaxonomyTable::default();
        known.add("sec-2024", ["Security", "cyber security"]).unwrap();
        known.add("AI-ML_taxonomy", ["AI-ML"]).unwrap();
        for name in ["security", "CYBER-SECURITY", "cybersecurity", "Security taxonomy", "SEC_2024"]
        {
            assert_eq!(known.id_of(name), "sec-2024", "{name}");
        }
        assert_eq!(known.id_of("aiml"), "AI-ML_taxonomy");
        assert_eq!(known.id_of("Cloud"), "Cloud");
    }

    #[test]
    fn name_of_two_taxonomies_is_refused() {
        let mut known = TaxonomyTable::default();
        known.add("a", ["Cloud"]).unwrap();
        known.add("a", ["cloud"]).unwrap();
        let error = known.add("b", ["CLOUD taxonomy"]).unwrap_err();
        assert_eq!(error.to_string(), "`CLOUD taxonomy` reads like a name of `a`");
        assert!(matches!(known.add("c", ["--"]), Err(AmbiguousName::Blank(_))));
    }
}
