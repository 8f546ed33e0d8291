//! The decision which seals of a request are sent.

use gateway_core::{Chunk, GatewayError, Result, SealOwner};

/// Marks the seals in a chunk of a response with their owner. The second argument says whether its
/// bytes are server-sent events.
pub type SealMarker = fn(&mut Chunk, bool, &SealOwner);

/// The decision which seals of a request are sent, and a record of what it led to.
#[expect(clippy::struct_excessive_bools, reason = "each is a finding of its own")]
#[derive(Clone, Copy, Debug)]
pub struct SealFilter {
    owner: Option<SealOwner>,
    is_changed: bool,
    carries_seals: bool,
    has_foreign: bool,
    has_foreign_compaction: bool,
}

/// The treatment of one seal.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum SealVerdict {
    /// It is sent as it stands: the caller did not get it from the gateway.
    Keep,
    /// It is sent as its owner wrote it.
    Restore(String),
    /// It is not sent.
    Withhold,
}

impl SealFilter {
    /// A filter for a request to `owner`.
    pub const fn to_owner(owner: SealOwner) -> Self {
        Self { owner: Some(owner), ..Self::withholding() }
    }

    /// A filter that withholds every seal.
    pub const fn withholding() -> Self {
        Self {
            owner: None,
            is_changed: false,
            carries_seals: false,
            has_foreign: false,
            has_foreign_compaction: false,
        }
    }

    /// Returns whether seals are sent.
    pub const fn carries_seals(&self) -> bool {
        self.carries_seals
    }

    /// Decides on the seal `data`.
    pub(crate) fn verdict(&mut self, data: &str) -> SealVerdict {
        match (SealOwner::of(data), &self.owner) {
            (None, Some(_)) => {
                self.carries_seals = true;
                SealVerdict::Keep
            }
            (Some(owner), Some(own)) if owner == *own => {
                self.carries_seals = true;
                self.is_changed = true;
                SealVerdict::Restore(own.unmark(data))
            }
            (None | Some(_), None) | (Some(_), Some(_)) => {
                self.withhold();
                SealVerdict::Withhold
            }
        }
    }

    /// Records that something was left out.
    pub(crate) const fn withhold(&mut self) {
        self.is_changed = true;
        self.has_foreign = true;
    }

    /// Records that a compacted conversation cannot be sent.
    pub(crate) const fn withhold_compaction(&mut self) {
        self.withhold();
        self.has_foreign_compaction = true;
    }

    /// Checks that no compacted conversation is missing from the request.
    pub(super) fn check(&self) -> Result<()> {
        if !self.has_foreign_compaction {
            return Ok(());
        }
        let message = "the compaction item was made by another provider, which alone can read it";
        Err(GatewayError::invalid("input", message).with_code("invalid_encrypted_content"))
    }

    /// Returns whether something was left out.
    pub(crate) const fn has_foreign(&self) -> bool {
        self.has_foreign
    }

    /// Returns whether the request has to be written anew.
    pub(crate) const fn is_changed(&self) -> bool {
        self.is_changed
    }
}

/// Returns whether an upstream refused a request for a seal in it.
pub fn is_refusal(error: &GatewayError) -> bool {
    if !matches!(error.upstream_status(), Some(400 | 404 | 422)) {
        return false;
    }
    let message = error.message().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().all(|word| message.contains(word));
    error.code() == "invalid_encrypted_content"
        || says(&["encrypted content"])
        || says(&["signature", "thinking"])
        || says(&["thought", "signature"])
        || says(&["redacted_thinking"])
        || says(&["item with id 'rs_"])
}
