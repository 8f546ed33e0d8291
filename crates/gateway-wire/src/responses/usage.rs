//! Token counts.

use gateway_core::Usage;
use serde::{Deserialize, Serialize};

/// Token counts on the wire.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct WireUsage {
    input_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
    total_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        let read = wire.input_tokens.unwrap_or_default();
        let written = wire.output_tokens.unwrap_or_default();
        let input = wire.input_tokens_details.unwrap_or_default();
        let cache_read = input.cached_tokens.unwrap_or_default().min(read);
        let cache_write = input.cache_write_tokens.unwrap_or_default().min(read - cache_read);
        let output = wire.output_tokens_details.unwrap_or_default();
        let reasoning = output.reasoning_tokens.unwrap_or_default().min(written);
        Self {
            input: read - cache_read - cache_write,
            cache_read,
            cache_write,
            output: written - reasoning,
            reasoning,
            stated_total: wire.total_tokens.filter(|total| *total != read.saturating_add(written)),
            ..Self::default()
        }
    }
}

impl From<&Usage> for WireUsage {
    fn from(usage: &Usage) -> Self {
        let cache_write = usage.cache_write.saturating_add(usage.cache_write_1h);
        Self {
            input_tokens: Some(usage.prompt()),
            input_tokens_details: Some(InputDetails {
                cached_tokens: Some(usage.cache_read),
                cache_write_tokens: Some(cache_write),
            }),
            output_tokens: Some(usage.completion()),
            output_tokens_details: Some(OutputDetails { reasoning_tokens: Some(usage.reasoning) }),
            total_tokens: Some(usage.total()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wire: &str, expected: Usage) {
        let read: WireUsage = serde_json::from_str(wire).unwrap();
        assert_eq!(Usage::from(read), expected);
    }

    #[test]
    fn the_classes_are_taken_apart() {
        check(
            r#"{"input_tokens":10,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":1},
                "output_tokens":7,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":17}"#,
            Usage {
                input: 5,
                cache_read: 4,
                cache_write: 1,
                output: 2,
                reasoning: 5,
                ..Usage::default()
            },
        );
    }

    #[test]
    fn counts_that_cannot_be_are_bounded() {
        check(
            r#"{"input_tokens":1,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":9},
                "output_tokens":2,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":9}"#,
            Usage { cache_read: 1, reasoning: 2, stated_total: Some(9), ..Usage::default() },
        );
        check("{}", Usage::default());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let usage = Usage {
            input: 1,
            cache_read: 2,
            cache_write: 3,
            output: 4,
            reasoning: 5,
            stated_total: Some(99),
            ..Usage::default()
        };
        check(&serde_json::to_string(&WireUsage::from(&usage)).unwrap(), usage);
    }
}
