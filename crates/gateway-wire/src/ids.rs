//! Ids for responses, items and calls that upstreams leave unnamed.

/// A generator of unique ids, all derived from one random number, so that encoding and decoding
/// stay pure functions.
///
/// ```
/// use gateway_wire::IdGenerator;
///
/// let mut ids = IdGenerator::new(0x1f);
/// let first = ids.next("call_");
/// assert!(first.starts_with("call_") && first != ids.next("call_"));
/// assert_eq!(IdGenerator::first(&ids.next("msg_"), "call_"), Some(first));
/// ```
#[derive(Clone, Debug)]
pub struct IdGenerator {
    base: u128,
    next: u64,
}

impl IdGenerator {
    /// Creates a generator from `base`, which must be random; its lower 112 bits are used.
    pub const fn new(base: u128) -> Self {
        Self { base: base & (u128::MAX >> 16), next: 0 }
    }

    /// Returns a generator that continues at the `number`-th id of this one.
    #[must_use]
    pub const fn from(&self, number: u64) -> Self {
        Self { base: self.base, next: number.saturating_sub(1) }
    }

    /// Returns the next id: `prefix`, 28 hexadecimal digits that all ids of this generator share,
    /// and its number in four digits, or more beyond the 65,535th.
    pub fn next(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{:028x}{:04x}", self.base, self.next)
    }

    /// Returns the first id of the generator that made `id`, with another prefix; `None` if no
    /// generator can have made `id`.
    pub fn first(id: &str, prefix: &str) -> Option<String> {
        let (_, digits) = id.rsplit_once('_')?;
        let is_ours = (32..=44).contains(&digits.len())
            && digits.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        let shared = digits.get(..28).filter(|_| is_ours)?;
        Some(format!("{prefix}{shared}0001"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_unique_and_alphanumeric() {
        let mut ids = IdGenerator::new(u128::MAX);
        let made: HashSet<_> = (0..1000).map(|_| ids.next("call_")).collect();
        assert_eq!(made.len(), 1000);
        let plain = |id: &String| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        assert!(made.iter().all(|id| plain(id) && id.len() == 37));
    }

    #[test]
    fn id_reveals_first_id_of_its_generator() {
        let mut ids = IdGenerator::new(7 << 64);
        let first = ids.next("resp_");
        let mut later = ids.from(1 << 15);
        for id in [ids.next("msg_"), later.next("fc_"), later.next("rs_"), first.clone()] {
            assert_eq!(IdGenerator::first(&id, "resp_").as_ref(), Some(&first));
        }
    }

    #[test]
    fn foreign_id_reveals_nothing() {
        for id in ["", "msg_", "msg_1", "x", "msg_é", &format!("msg_{}", "A".repeat(32))] {
            assert_eq!(IdGenerator::first(id, "resp_"), None, "{id}");
        }
        let foreign = format!("msg_{}", "0".repeat(50));
        assert_eq!(IdGenerator::first(&foreign, "resp_"), None);
    }
}
