//! Counts of tokens and other things, as upstreams really write them.

use gateway_core::ServiceTier;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// More tokens than any response takes: a count beyond it is a mistake.
const MOST: u64 = 1 << 40;

/// The service tier that served a response, if it is one of its own price.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ServedTier(pub(crate) Option<ServiceTier>);

impl ServedTier {
    /// Reads the value of a `service_tier`, as it is written.
    pub(crate) fn read(json: &str) -> Self {
        let tier = ServiceTier::from_answer(json.trim_matches('"'));
        Self(tier.filter(|tier| *tier != ServiceTier::Standard))
    }
}

impl<'de> Deserialize<'de> for ServedTier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Self::read(raw.get()))
    }
}

/// A count, such as one of tokens; `None` for a value that is not a plausible count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LenientCount(Option<u64>);

impl<'de> Deserialize<'de> for LenientCount {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get().trim_matches('"');
        let number = || text.parse::<f64>().ok().filter(|number| *number >= 0.0);
        let rounded = || number().map(|number| number.round() as u64);
        let number: Option<u64> = text.parse().ok().or_else(rounded);
        Ok(Self(number.filter(|number| *number <= MOST)))
    }
}

impl Serialize for LenientCount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.or_zero().serialize(serializer)
    }
}

impl LenientCount {
    /// Creates a count as it is read: a number beyond [`MOST`] is none.
    pub(crate) fn new(number: u64) -> Self {
        Self(Some(number).filter(|number| *number <= MOST))
    }

    /// Returns the number; `None` if the value was not a count.
    pub(crate) const fn number(self) -> Option<u64> {
        self.0
    }

    /// Returns the number; 0 if the value was not a count.
    pub(crate) fn or_zero(self) -> u64 {
        self.0.unwrap_or_default()
    }
}

impl From<u64> for LenientCount {
    fn from(number: u64) -> Self {
        Self(Some(number))
    }
}

/// Reads counts, and notices those that cannot be.
#[derive(Debug, Default)]
pub(crate) struct CountReader {
    /// Whether one was no number of tokens, or more than the sum of which it is a part.
    pub(crate) is_odd: bool,
}

impl CountReader {
    /// A count; none is none.
    pub(crate) fn count(&mut self, count: Option<LenientCount>) -> u64 {
        self.is_odd |= matches!(count, Some(LenientCount(None)));
        count.map(LenientCount::or_zero).unwrap_or_default()
    }

    /// Takes `part` out of `sum`, as much of it as that holds.
    pub(crate) fn take(&mut self, sum: &mut u64, part: Option<LenientCount>) -> u64 {
        let part = self.count(part);
        self.is_odd |= part > *sum;
        let taken = part.min(*sum);
        *sum -= taken;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: u64, odd: bool) {
        let mut reading = CountReader::default();
        let count = serde_json::from_str(json).unwrap();
        assert_eq!((reading.count(count), reading.is_odd), (expected, odd), "{json}");
    }

    #[test]
    fn invalid_counts_are_bounded() {
        check("7", 7, false);
        check("7.0", 7, false);
        check("\"12\"", 12, false);
        check("null", 0, false);
        for odd in ["-7", "1e400", "\"many\"", "[1]", "{\"a\":1}", "true", "18446744073709551615"] {
            check(odd, 0, true);
        }
    }

    #[test]
    fn part_never_exceeds_its_sum() {
        let (mut reading, mut sum) = (CountReader::default(), 10);
        assert_eq!((reading.take(&mut sum, Some(4.into())), sum), (4, 6));
        assert!(!reading.is_odd);
        assert_eq!((reading.take(&mut sum, Some(7.into())), sum), (6, 0));
        assert!(reading.is_odd);
    }
}
