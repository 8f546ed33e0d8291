//! Names of tool calls.

use std::borrow::Cow;

/// `id` in the alphabet that this dialect allows; the same for a call and for its result.
pub(super) fn tool_id(id: &str) -> Cow<'_, str> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() {
        Cow::Borrowed("_")
    } else if id.chars().all(is_fine) {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(id.chars().map(|c| if is_fine(c) { c } else { '_' }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_restricted_to_the_alphabet() {
        for (id, expected) in [("call_1-A", "call_1-A"), ("f.x:0", "f_x_0"), ("é", "_"), ("", "_")]
        {
            assert_eq!(tool_id(id), expected);
        }
    }
}
