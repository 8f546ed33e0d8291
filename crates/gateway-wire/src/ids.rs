//! Names for things that upstreams leave nameless.

/// A source of ids that do not repeat: derived from one random number, so that writing and reading
/// stay pure.
#[derive(Clone, Debug)]
pub struct Ids {
    base: u128,
    next: u64,
}

impl Ids {
    /// Ids derived from `base`, which must be random: 128 bits of it.
    pub const fn new(base: u128) -> Self {
        Self { base, next: 0 }
    }

    /// The next id: `prefix` and 32 hexadecimal digits.
    pub fn next(&mut self, prefix: &str) -> String {
        // An odd multiplier visits every number before it repeats one.
        const STEP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        self.next += 1;
        let id = self.base.wrapping_add(STEP.wrapping_mul(u128::from(self.next)));
        format!("{prefix}{id:032x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_differ_and_fit_every_providers_alphabet() {
        let mut ids = Ids::new(u128::MAX);
        let made: HashSet<_> = (0..1000).map(|_| ids.next("call_")).collect();
        assert_eq!(made.len(), 1000);
        let plain = |id: &String| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        assert!(made.iter().all(|id| plain(id) && id.len() == 37));
    }
}
