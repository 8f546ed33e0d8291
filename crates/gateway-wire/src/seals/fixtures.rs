//! Owners of seals, for the tests of every dialect.

use gateway_core::SealOwner;

/// The owner of the number `issuer`.
pub(crate) fn owner(issuer: u8) -> SealOwner {
    SealOwner::new([issuer; 6], "m")
}

/// Replaces `OWN` by the mark of owner 1, and `OTHER` by that of owner 2.
pub(crate) fn named(text: &str) -> String {
    text.replace("OWN", owner(1).as_str()).replace("OTHER", owner(2).as_str())
}
