//! Token counts of embeddings.

use gateway_core::Usage;
use serde::Deserialize;

/// The `usage` object of a response.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct UpstreamEmbeddingUsageWire {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

impl UpstreamEmbeddingUsageWire {
    /// Converts the counts; some providers state only the total.
    pub(super) fn into_usage(self) -> Usage {
        let input = self.prompt_tokens.or(self.total_tokens).unwrap_or(0);
        let stated_total = self.total_tokens.filter(|total| *total != input);
        Usage { input, stated_total, ..Usage::default() }
    }
}
