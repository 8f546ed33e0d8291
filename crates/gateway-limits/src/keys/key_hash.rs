//! The hashes of API keys, remembered for keys that keep coming.

use gateway_core::state::KeyHash;
use sha2::{Digest as _, Sha256};
use std::{
    cell::RefCell,
    hash::{BuildHasher as _, RandomState},
};

/// The number of hashes that a thread remembers.
const SLOTS: usize = 64;

/// The hashes of the keys that a thread saw last.
///
/// A key is recognized by 128 bits that depend on a secret of this process: nothing of the key is
/// kept, and a caller that does not know the secret cannot make one key look like another.
struct RecentHashes {
    secret: RandomState,
    slots: [Option<([u64; 2], KeyHash)>; SLOTS],
}

thread_local! {
    static RECENT: RefCell<RecentHashes> = RefCell::new(RecentHashes {
        secret: RandomState::new(),
        slots: [const { None }; SLOTS],
    });
}

/// Returns the hash of a key.
pub(crate) fn key_hash(key: &[u8]) -> KeyHash {
    RECENT.with_borrow_mut(|recent| recent.hash(key))
}

impl RecentHashes {
    fn hash(&mut self, key: &[u8]) -> KeyHash {
        let tag = [0_u8, 1].map(|half| self.secret.hash_one((half, key)));
        let [first, _] = tag;
        let slot = self.slots.get_mut(usize::from(first.to_le_bytes()[0]) % SLOTS);
        match slot {
            Some(Some((known, hash))) if *known == tag => *hash,
            slot => {
                let hash = KeyHash::new(Sha256::digest(key).into());
                if let Some(slot) = slot {
                    *slot = Some((tag, hash));
                }
                hash
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_hash_is_that_of_its_key() {
        for round in 0..3 {
            for number in 0..200 {
                let key = format!("sk-{number}");
                let expected = KeyHash::new(Sha256::digest(&key).into());
                assert!(key_hash(key.as_bytes()) == expected, "{key}, round {round}");
            }
        }
    }
}
