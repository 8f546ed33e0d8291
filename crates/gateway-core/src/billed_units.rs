//! Units that are billed other than by the token: images, time and characters.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// The units of a request that are not counted in tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct BilledUnits {
    /// Images that were made.
    pub images: u64,
    /// Milliseconds of sound, heard or made.
    pub audio_millis: u64,
    /// Characters of text that was spoken.
    pub characters: u64,
}

/// Fees for units that are not counted in tokens, in nano-dollars each.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct UnitFees {
    /// Nano-dollars for an image.
    pub image: u64,
    /// Nano-dollars for a second of sound or video.
    pub second: u64,
    /// Nano-dollars for a thousand characters.
    pub kilo_characters: u64,
}

impl BilledUnits {
    /// No units, as a constant for others; the same as the default.
    pub const NONE: Self = Self { images: 0, audio_millis: 0, characters: 0 };

    /// Whether there is no unit of any kind.
    pub const fn is_empty(&self) -> bool {
        self.images == 0 && self.audio_millis == 0 && self.characters == 0
    }
}

impl UnitFees {
    /// The fees as a constant for others; the same as the default.
    pub const NONE: Self = Self { image: 0, second: 0, kilo_characters: 0 };

    /// Returns the nano-dollars for `units`, rounded up for each kind of them.
    pub fn cost(&self, units: &BilledUnits) -> u128 {
        [
            (units.images, self.image, 1),
            (units.audio_millis, self.second, 1000),
            (units.characters, self.kilo_characters, 1000),
        ]
        .into_iter()
        .map(|(count, fee, per)| (u128::from(count) * u128::from(fee)).div_ceil(per))
        .fold(0, u128::saturating_add)
    }
}

impl AddAssign for BilledUnits {
    fn add_assign(&mut self, other: Self) {
        self.images = self.images.saturating_add(other.images);
        self.audio_millis = self.audio_millis.saturating_add(other.audio_millis);
        self.characters = self.characters.saturating_add(other.characters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_has_its_fee() {
        let fees = UnitFees { image: 40_000_000, second: 100_000, kilo_characters: 15_000_000 };
        for (units, cost) in [
            (BilledUnits { images: 2, ..BilledUnits::NONE }, 80_000_000),
            (BilledUnits { audio_millis: 1500, ..BilledUnits::NONE }, 150_000),
            (BilledUnits { audio_millis: 1, ..BilledUnits::NONE }, 100),
            (BilledUnits { characters: 11, ..BilledUnits::NONE }, 165_000),
            (BilledUnits::NONE, 0),
        ] {
            assert_eq!(fees.cost(&units), cost, "{units:?}");
        }
    }
}
