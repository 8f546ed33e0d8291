//! Converts token counts of the Responses API.

use crate::token_count::{CountReader, LenientCount};
use gateway_core::Usage;
use serde::{Deserialize, Serialize};

/// Token counts on the wire.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct ResponsesUsageWire {
    input_tokens: Option<LenientCount>,
    input_tokens_details: Option<InputTokensDetailsWire>,
    output_tokens: Option<LenientCount>,
    output_tokens_details: Option<OutputTokensDetailsWire>,
    total_tokens: Option<LenientCount>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct InputTokensDetailsWire {
    cached_tokens: Option<LenientCount>,
    cache_write_tokens: Option<LenientCount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens_details: Option<CacheWriteDetailsWire>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct CacheWriteDetailsWire {
    ttl_12h_tokens: Option<LenientCount>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct OutputTokensDetailsWire {
    reasoning_tokens: Option<LenientCount>,
}

impl From<ResponsesUsageWire> for Usage {
    fn from(wire: ResponsesUsageWire) -> Self {
        let mut reading = CountReader::default();
        let inputs = wire.input_tokens_details.unwrap_or_default();
        let outputs = wire.output_tokens_details.unwrap_or_default();
        let mut input = reading.count(wire.input_tokens);
        let mut output = reading.count(wire.output_tokens);
        let sum = input.saturating_add(output);
        let total = wire.total_tokens.map(|total| reading.count(Some(total)));
        let cache_read = reading.take(&mut input, inputs.cached_tokens);
        let mut cache_write = reading.take(&mut input, inputs.cache_write_tokens);
        let long = inputs.cache_write_tokens_details.unwrap_or_default().ttl_12h_tokens;
        let cache_write_1h = reading.take(&mut cache_write, long);
        let reasoning = reading.take(&mut output, outputs.reasoning_tokens);
        Self {
            input,
            cache_read,
            cache_write,
            cache_write_1h,
            output,
            reasoning,
            stated_total: total.filter(|total| *total != sum),
            is_odd: reading.is_odd,
            ..Self::default()
        }
    }
}

impl From<&Usage> for ResponsesUsageWire {
    fn from(usage: &Usage) -> Self {
        let cache_write = usage.cache_write.saturating_add(usage.cache_write_1h);
        Self {
            input_tokens: Some(usage.prompt().into()),
            input_tokens_details: Some(InputTokensDetailsWire {
                cached_tokens: Some(usage.cache_read.into()),
                cache_write_tokens: Some(cache_write.into()),
                cache_write_tokens_details: (usage.cache_write_1h > 0).then(|| {
                    CacheWriteDetailsWire { ttl_12h_tokens: Some(usage.cache_write_1h.into()) }
                }),
            }),
            output_tokens: Some(usage.completion().into()),
            output_tokens_details: Some(OutputTokensDetailsWire {
                reasoning_tokens: Some(usage.reasoning.into()),
            }),
            total_tokens: Some(usage.total().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wire: &str, expected: Usage) {
        let read: ResponsesUsageWire = serde_json::from_str(wire).unwrap();
        assert_eq!(Usage::from(read), expected);
    }

    #[test]
    fn token_classes_are_disjoint() {
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
    fn inconsistent_counts_are_bounded() {
        check(
            r#"{"input_tokens":1,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":9},
                "output_tokens":2,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":9}"#,
            Usage {
                cache_read: 1,
                reasoning: 2,
                stated_total: Some(9),
                is_odd: true,
                ..Usage::default()
            },
        );
        check("{}", Usage::default());
    }

    #[test]
    fn written_usage_decodes_to_same_usage() {
        let usage = Usage {
            input: 1,
            cache_read: 2,
            cache_write: 3,
            output: 4,
            reasoning: 5,
            stated_total: Some(99),
            ..Usage::default()
        };
        check(&serde_json::to_string(&ResponsesUsageWire::from(&usage)).unwrap(), usage);
    }
}
