//! Names for things that upstreams leave nameless.

/// A source of ids that do not repeat: derived from one random number, so that writing and reading
/// stay pure.
#[derive(Clone, Debug)]
pub struct IdGenerator {
    base: u128,
    next: u64,
}

impl IdGenerator {
    /// Ids derived from `base`, which must be random: 112 bits of it count.
    pub const fn new(base: u128) -> Self {
        Self { base: base & (u128::MAX >> 16), next: 0 }
    }

    /// The same source, from its `number`-th id on: apart from what it gives out before that.
    #[must_use]
    pub const fn from(&self, number: u64) -> Self {
        Self { base: self.base, next: number.saturating_sub(1) }
    }

    /// The next id: `prefix`, 28 hexadecimal digits that all ids of this source share, and its
    /// number in four, or more if it is beyond the 65,535th.
    pub fn next(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{:028x}{:04x}", self.base, self.next)
    }

    /// The first id that the source of `id` gave out, as one that begins with `prefix`; none if
    /// `id` cannot be of any source.
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
