//! The recognition of the taxonomy that a conversation is about.
//!
//! A user may name one: `use the Security taxonomy`, `switch to Security`, `taxonomy: AI-ML`. It
//! applies until another is named. With a [`TaxonomyTable`] only its names are recognized,
//! and only where a user asks for one (`phrase`); without a table, any name is (`any_name`).

mod any_name;
mod phrase;
mod table;
mod words;

pub use self::table::{AmbiguousName, TaxonomyTable};

use gateway_core::{Message, Role};

/// Returns the taxonomy that the latest of the user's `messages` to name one asks for.
///
/// ```
/// use gateway_core::{Message, Role};
/// use gateway_sessions::taxonomy::{TaxonomyTable, latest};
///
/// let messages = ["use the Security taxonomy", "and what is RAG?"];
/// let messages = messages.map(|text| Message::text(Role::User, text));
/// let found = latest(&TaxonomyTable::default(), &messages);
/// assert_eq!(found.as_deref(), Some("Security_taxonomy"));
/// ```
pub fn latest(taxonomies: &TaxonomyTable, messages: &[Message]) -> Option<String> {
    let users = messages.iter().rev().filter(|message| message.role == Role::User);
    users.into_iter().find_map(|message| requested(taxonomies, &message.plain_text()))
}

/// Returns the identifier of the last taxonomy that `text` asks for.
fn requested(taxonomies: &TaxonomyTable, text: &str) -> Option<String> {
    if taxonomies.is_empty() {
        any_name::asked_for(text)
    } else {
        phrase::requested(taxonomies, text)
    }
}

/// Returns the current taxonomy: of the model's tool call, else of the latest message, else of the
/// session.
pub fn resolve<'a>(
    argument: Option<&'a str>,
    phrase: Option<&'a str>,
    session: Option<&'a str>,
) -> Option<&'a str> {
    [argument, phrase, session].into_iter().flatten().find(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_specific_last_taxonomy_wins() {
        let (a, b, c) = (Some("a"), Some("b"), Some("c"));
        assert_eq!(resolve(a, b, c), a);
        assert_eq!(resolve(None, b, c), b);
        assert_eq!(resolve(Some(""), None, c), c);
        assert_eq!(resolve(None, None, None), None);
    }
}
