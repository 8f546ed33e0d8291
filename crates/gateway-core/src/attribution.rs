//! The attribution of a request: labels under which its usage is booked besides its client.

use std::fmt;

/// The tags of a request and the end user it is for, as the key, headers and the body name them.
///
/// Both are labels of the operators' bookkeeping and mean nothing to the gateway.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Attribution {
    /// The tags, sorted, each once.
    tags: Vec<String>,
    /// The end user.
    user: Option<String>,
}

/// Maximum number of tags of a request, with those of its key.
const MAX_TAGS: usize = 32;

/// The longest tag, in bytes.
const MAX_TAG: usize = 256;

/// The longest name of a user, in bytes.
const MAX_USER: usize = 512;

/// The reason why a tag or a user cannot be booked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InvalidAttribution {
    /// A tag of a wrong form.
    Tag,
    /// More tags than are booked.
    TooManyTags,
    /// A user of a wrong form.
    User,
}

impl fmt::Display for InvalidAttribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag => write!(
                f,
                "a tag has at most {MAX_TAG} bytes, and neither commas nor control characters"
            ),
            Self::TooManyTags => {
                write!(f, "a request has at most {MAX_TAGS} tags, with those of its key")
            }
            Self::User => {
                write!(f, "a user has at most {MAX_USER} bytes, and no control characters")
            }
        }
    }
}

impl std::error::Error for InvalidAttribution {}

impl Attribution {
    /// Returns the tags, sorted.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Returns the end user.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the tags as one text, separated by commas.
    pub fn tags_text(&self) -> String {
        self.tags.join(",")
    }

    /// Returns the tags alone.
    #[must_use]
    pub fn without_user(&self) -> Self {
        Self { tags: self.tags.clone(), user: None }
    }

    /// Returns whether there is neither a tag nor a user.
    pub const fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.user.is_none()
    }

    /// Adds a tag; an empty one is none.
    ///
    /// # Errors
    ///
    /// If it is too long, has a comma or a control character, or there are too many.
    pub fn add_tag(&mut self, tag: &str) -> Result<(), InvalidAttribution> {
        let tag = tag.trim();
        if tag.is_empty() {
            return Ok(());
        }
        if tag.len() > MAX_TAG || tag.chars().any(|letter| letter == ',' || letter.is_control()) {
            return Err(InvalidAttribution::Tag);
        }
        let Err(place) = self.tags.binary_search_by(|known| known.as_str().cmp(tag)) else {
            return Ok(());
        };
        if self.tags.len() >= MAX_TAGS {
            return Err(InvalidAttribution::TooManyTags);
        }
        self.tags.insert(place, tag.to_owned());
        Ok(())
    }

    /// Adds the tags in `text`, separated by commas.
    ///
    /// # Errors
    ///
    /// As [`add_tag`](Self::add_tag).
    pub fn add_tags(&mut self, text: &str) -> Result<(), InvalidAttribution> {
        text.split(',').try_for_each(|tag| self.add_tag(tag))
    }

    /// Sets the end user; an empty name is none.
    ///
    /// # Errors
    ///
    /// If the name is too long or has a control character.
    pub fn set_user(&mut self, user: &str) -> Result<(), InvalidAttribution> {
        let user = user.trim();
        if user.len() > MAX_USER || user.chars().any(char::is_control) {
            return Err(InvalidAttribution::User);
        }
        self.user = Some(user.to_owned()).filter(|user| !user.is_empty());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_sorted_and_unique() {
        let mut attribution = Attribution::default();
        attribution.add_tags("team=search, env=prod,,env=prod").unwrap();
        assert_eq!(attribution.tags_text(), "env=prod,team=search");
        assert_eq!(attribution.add_tag("a,b"), Err(InvalidAttribution::Tag));
        assert_eq!(attribution.add_tag(&"x".repeat(MAX_TAG + 1)), Err(InvalidAttribution::Tag));
        for n in 2..MAX_TAGS {
            attribution.add_tag(&n.to_string()).unwrap();
        }
        assert_eq!(attribution.add_tag("one more"), Err(InvalidAttribution::TooManyTags));
        assert_eq!(attribution.add_tag("env=prod"), Ok(()), "it is there");
    }

    #[test]
    fn user_is_bounded_and_printable() {
        let mut attribution = Attribution::default();
        assert!(attribution.is_empty());
        attribution.set_user(" u-1 ").unwrap();
        assert_eq!(attribution.user(), Some("u-1"));
        assert_eq!(attribution.without_user(), Attribution::default());
        assert_eq!(attribution.set_user("a\nb"), Err(InvalidAttribution::User));
        assert!(attribution.set_user(&"x".repeat(MAX_USER + 1)).is_err());
    }
}
