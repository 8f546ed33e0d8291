//! The owner of a seal, and the mark by which a seal that comes back is recognised.
//!
//! A provider accepts a proof of its own thinking only from the account, and for the model, that
//! made it. Every seal leaves the gateway with a mark in front that names its owner:
//!
//! ```text
//!   gw2x 0123456789ab 01234567 EqQBCkgIARABGAIiQ...
//!        issuer       model    the seal as the provider wrote it
//! ```
//!
//! The mark is of letters and digits alone and a multiple of four long, so that a marked token of
//! base64 is one still.

use std::fmt;

/// The beginning of every mark.
const PREFIX: &[u8; 4] = b"gw2x";
/// The length of a mark.
const LENGTH: usize = 24;

/// The owner of a seal: a provider's credential and a model. Shown as the mark of its seals.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct SealOwner([u8; LENGTH]);

impl SealOwner {
    /// The beginning of every mark, as it can be searched for.
    pub const PREFIX: &'static str = "gw2x";

    /// Creates the owner for the credential of digest `issuer` and for `model`.
    ///
    /// ```
    /// use gateway_core::SealOwner;
    ///
    /// let owner = SealOwner::new([1, 2, 3, 4, 5, 6], "claude-opus-4-8");
    /// let marked = owner.mark("EqQB");
    /// assert!(marked.starts_with("gw2x010203040506") && marked.ends_with("EqQB"));
    /// assert_eq!(SealOwner::of(&marked), Some(owner));
    /// assert_eq!(owner.unmark(&marked), "EqQB");
    /// ```
    pub fn new(issuer: [u8; 6], model: &str) -> Self {
        let mut mark = [0; LENGTH];
        if let Some((prefix, digits)) = mark.split_first_chunk_mut() {
            *prefix = *PREFIX;
            let digest = fnv1a(model).to_be_bytes();
            let (digits, _) = digits.as_chunks_mut();
            for (digits, byte) in digits.iter_mut().zip(issuer.iter().chain(&digest)) {
                *digits = [byte >> 4, byte & 15].map(hex_digit);
            }
        }
        Self(mark)
    }

    /// Returns the owner that the first mark in `text` names.
    pub fn of(text: &str) -> Option<Self> {
        marks(text.as_bytes()).next()
    }

    /// Returns the owner that the last mark in `bytes` names.
    pub fn last_of(bytes: &[u8]) -> Option<Self> {
        memchr::memmem::rfind_iter(bytes, PREFIX).find_map(|at| mark_at(bytes, at))
    }

    /// Returns the mark as text.
    pub fn as_str(&self) -> &str {
        // Letters and digits: this cannot fail.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns `seal` with the mark of this owner in front.
    pub fn mark(&self, seal: &str) -> String {
        [self.as_str(), seal].concat()
    }

    /// Removes the marks of this owner from `seal`.
    pub fn unmark(&self, seal: &str) -> String {
        seal.replace(self.as_str(), "")
    }
}

/// The owners that the marks in `bytes` name, in order.
fn marks(bytes: &[u8]) -> impl Iterator<Item = SealOwner> {
    memchr::memmem::find_iter(bytes, PREFIX).filter_map(|at| mark_at(bytes, at))
}

fn mark_at(bytes: &[u8], at: usize) -> Option<SealOwner> {
    let mark: [u8; LENGTH] = bytes.get(at..at + LENGTH)?.try_into().ok()?;
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    mark.iter().skip(PREFIX.len()).all(is_hex).then_some(SealOwner(mark))
}

const fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// FNV-1a of `text` without regard to the case of its letters.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
    })
}

impl fmt::Debug for SealOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealOwner").field(&self.as_str()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(issuer: u8, model: &str) -> SealOwner {
        SealOwner::new([issuer; 6], model)
    }

    #[test]
    fn owners_differ_by_credential_and_model() {
        let one = owner(1, "gpt-5.2");
        assert_eq!(one, owner(1, "GPT-5.2"));
        assert_ne!(one, owner(2, "gpt-5.2"));
        assert_ne!(one, owner(1, "gpt-6"));
    }

    #[test]
    fn mark_is_found_anywhere_and_removed_everywhere() {
        let owner = owner(7, "m");
        let text =
            format!(r#"[{{"signature":"{}"}},{{"data":"{}"}}]"#, owner.mark("a"), owner.mark("b"));
        assert_eq!(SealOwner::of(&text), Some(owner));
        assert_eq!(owner.unmark(&text), r#"[{"signature":"a"},{"data":"b"}]"#);
        assert_eq!(SealOwner::last_of(text.as_bytes()), Some(owner));
    }

    #[test]
    fn text_that_only_resembles_a_mark_has_no_owner() {
        for text in ["", "gw2x", "gw2x0123456789abcdef012", "gw2x0123456789ABCDEF01234", "EqQBgw2"]
        {
            assert_eq!(SealOwner::of(text), None, "{text}");
            assert_eq!(SealOwner::last_of(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn marked_base64_is_base64() {
        assert_eq!(owner(255, "m").as_str().len() % 4, 0);
    }
}
