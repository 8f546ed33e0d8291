//! Service tiers, by which providers price the same tokens differently.

use serde::{Deserialize, Serialize};

/// The class of service that an answer was given in.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    /// The tier of requests that name none.
    Standard,
    /// The tier of batches, which are answered within hours.
    Batch,
    /// Cheaper, and slower when the provider is busy.
    Flex,
    /// The tier that is served ahead of others.
    Priority,
    /// Ahead of others, on faster machines.
    Ultrafast,
    /// Faster output (`speed: "fast"`).
    Fast,
}

impl ServiceTier {
    /// Every tier, in order.
    pub const ALL: [Self; 6] =
        [Self::Standard, Self::Batch, Self::Flex, Self::Priority, Self::Ultrafast, Self::Fast];

    /// Returns the stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Ultrafast => "ultrafast",
            Self::Fast => "fast",
        }
    }

    /// Reads the `service_tier` of a request: the tier that it asks for, if that may have a price of
    /// its own. A word that leaves the choice to the provider (`auto`) asks for none.
    pub fn from_request(word: &str) -> Option<Self> {
        Self::from_answer(word).filter(|tier| *tier != Self::Standard)
    }

    /// Reads the `service_tier` of an answer, in the words of any provider. A word that names no
    /// tier of its own price (`auto`, `on_demand`, `scale`) is none.
    pub fn from_answer(word: &str) -> Option<Self> {
        match word {
            "default" | "standard" => Some(Self::Standard),
            "batch" => Some(Self::Batch),
            "flex" => Some(Self::Flex),
            "priority" | "fast" => Some(Self::Priority),
            "ultrafast" => Some(Self::Ultrafast),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_name_their_tier_in_several_words() {
        let cases = [
            ("default", Some(ServiceTier::Standard)),
            ("standard", Some(ServiceTier::Standard)),
            ("flex", Some(ServiceTier::Flex)),
            ("fast", Some(ServiceTier::Priority)),
            ("on_demand", None),
            ("", None),
        ];
        for (word, tier) in cases {
            assert_eq!(ServiceTier::from_answer(word), tier, "{word}");
        }
    }

    #[test]
    fn requests_ask_for_tiers_with_prices_of_their_own() {
        for (word, tier) in [
            ("priority", Some(ServiceTier::Priority)),
            ("flex", Some(ServiceTier::Flex)),
            ("default", None),
            ("auto", None),
            ("standard_only", None),
        ] {
            assert_eq!(ServiceTier::from_request(word), tier, "{word}");
        }
    }
}
