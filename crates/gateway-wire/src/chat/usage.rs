//! Token counts, as this dialect writes them.

use crate::json::{JsonCursor, lenient::LenientValue};
use crate::token_count::{CountReader, LenientCount, ServedTier};
use gateway_core::Usage;
use serde::{Deserialize, Serialize};

/// Counts as an upstream sends them: cached and thinking tokens are parts of the sums.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatUsageWire {
    prompt_tokens: Option<LenientCount>,
    completion_tokens: Option<LenientCount>,
    total_tokens: Option<LenientCount>,
    prompt_tokens_details: LenientValue<PromptDetailsWire>,
    completion_tokens_details: LenientValue<CompletionDetailsWire>,
    /// `DeepSeek`'s older name for cached tokens.
    prompt_cache_hit_tokens: Option<LenientCount>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct PromptDetailsWire {
    cached_tokens: Option<LenientCount>,
    audio_tokens: Option<LenientCount>,
    #[serde(alias = "cache_creation_tokens")]
    cache_write_tokens: Option<LenientCount>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetailsWire {
    reasoning_tokens: Option<LenientCount>,
    audio_tokens: Option<LenientCount>,
}

impl ChatUsageWire {
    /// Reads counts of the usual form, all of them whole numbers, without deserializing.
    ///
    /// Returns `None` for every other form; serde is to read those.
    pub(super) fn parse(cursor: &mut JsonCursor<'_>) -> Option<Self> {
        let mut wire = Self::default();
        let mut seen = 0_u8;
        cursor.object(|key, cursor| {
            let member = match key {
                "prompt_tokens" => (0, &mut wire.prompt_tokens),
                "completion_tokens" => (1, &mut wire.completion_tokens),
                "total_tokens" => (2, &mut wire.total_tokens),
                "prompt_cache_hit_tokens" => (3, &mut wire.prompt_cache_hit_tokens),
                "prompt_tokens_details" => {
                    first_time(&mut seen, 4)?;
                    wire.prompt_tokens_details = PromptDetailsWire::parse(cursor)?;
                    return Some(());
                }
                "completion_tokens_details" => {
                    first_time(&mut seen, 5)?;
                    wire.completion_tokens_details = CompletionDetailsWire::parse(cursor)?;
                    return Some(());
                }
                _ => return cursor.skip(),
            };
            parse_count(cursor, member, &mut seen)
        })?;
        Some(wire)
    }

    /// The counts of a response that was served in `tier`, in classes that do not overlap; nothing if
    /// the upstream counted nothing.
    pub(super) fn read(self, tier: ServedTier) -> Option<Usage> {
        if self.prompt_tokens.is_none() && self.completion_tokens.is_none() {
            return None;
        }
        let mut reading = CountReader::default();
        let prompt = self.prompt_tokens_details.0.unwrap_or_default();
        let completion = self.completion_tokens_details.0.unwrap_or_default();
        let total = reading.count(self.total_tokens);
        let mut input = reading.count(self.prompt_tokens);
        let mut output = reading.count(self.completion_tokens);
        let thought = reading.count(completion.reasoning_tokens);
        let heard = reading.count(prompt.audio_tokens);
        // Some count the thinking beside the completion, not in it, or the sound beside the prompt.
        // Then their total says so.
        let beside = total.checked_sub(input.saturating_add(output)).filter(|beside| *beside > 0);
        if beside == Some(thought) {
            output = output.saturating_add(thought);
        } else if beside == Some(heard) {
            input = input.saturating_add(heard);
        }
        let cached = prompt.cached_tokens.or(self.prompt_cache_hit_tokens);
        let mut usage = Usage {
            cache_read: reading.take(&mut input, cached),
            cache_write: reading.take(&mut input, prompt.cache_write_tokens),
            audio_input: reading.take(&mut input, prompt.audio_tokens),
            reasoning: reading.take(&mut output, completion.reasoning_tokens),
            audio_output: reading.take(&mut output, completion.audio_tokens),
            input,
            output,
            tier: tier.0,
            ..Usage::default()
        };
        usage.is_odd = reading.is_odd;
        usage.stated_total = Some(total).filter(|total| *total > 0 && *total != usage.total());
        Some(usage)
    }
}

impl PromptDetailsWire {
    fn parse(cursor: &mut JsonCursor<'_>) -> Option<LenientValue<Self>> {
        if cursor.is_null() {
            return Some(LenientValue::default());
        }
        let (mut details, mut seen) = (Self::default(), 0);
        cursor.object(|key, cursor| {
            let member = match key {
                "cached_tokens" => (0, &mut details.cached_tokens),
                "audio_tokens" => (1, &mut details.audio_tokens),
                "cache_write_tokens" | "cache_creation_tokens" => {
                    (2, &mut details.cache_write_tokens)
                }
                _ => return cursor.skip(),
            };
            parse_count(cursor, member, &mut seen)
        })?;
        Some(LenientValue(Some(details)))
    }
}

impl CompletionDetailsWire {
    fn parse(cursor: &mut JsonCursor<'_>) -> Option<LenientValue<Self>> {
        if cursor.is_null() {
            return Some(LenientValue::default());
        }
        let (mut details, mut seen) = (Self::default(), 0);
        cursor.object(|key, cursor| {
            let member = match key {
                "reasoning_tokens" => (0, &mut details.reasoning_tokens),
                "audio_tokens" => (1, &mut details.audio_tokens),
                _ => return cursor.skip(),
            };
            parse_count(cursor, member, &mut seen)
        })?;
        Some(LenientValue(Some(details)))
    }
}

/// Reads a count into its place, unless it is there already: serde rejects a repeated member.
fn parse_count(
    cursor: &mut JsonCursor<'_>,
    (number, place): (u8, &mut Option<LenientCount>),
    seen: &mut u8,
) -> Option<()> {
    first_time(seen, number)?;
    if !cursor.is_null() {
        *place = Some(LenientCount::new(cursor.unsigned()?));
    }
    Some(())
}

/// Notes that member `number` was read; `None` if it was before.
fn first_time(seen: &mut u8, number: u8) -> Option<()> {
    let bit = 1 << number;
    let is_first = *seen & bit == 0;
    *seen |= bit;
    is_first.then_some(())
}

/// Counts as callers read them.
#[derive(Serialize)]
pub(crate) struct ChatUsageOutWire {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetailsOutWire,
    completion_tokens_details: CompletionDetailsOutWire,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct PromptDetailsOutWire {
    cached_tokens: u64,
    audio_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct CompletionDetailsOutWire {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<&Usage> for ChatUsageOutWire {
    fn from(usage: &Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt(),
            completion_tokens: usage.completion(),
            total_tokens: usage.total(),
            prompt_tokens_details: PromptDetailsOutWire {
                cached_tokens: usage.cache_read,
                audio_tokens: usage.audio_input,
                cache_write_tokens: usage.cache_write.saturating_add(usage.cache_write_1h),
            },
            completion_tokens_details: CompletionDetailsOutWire {
                reasoning_tokens: usage.reasoning,
                audio_tokens: usage.audio_output,
                accepted_prediction_tokens: 0,
                rejected_prediction_tokens: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads counts; `expected` is input, cache read and write, output, thinking, stated total.
    #[track_caller]
    fn check(json: &str, expected: Option<[u64; 6]>) {
        let wire: ChatUsageWire = serde_json::from_str(json).unwrap();
        let got = wire.read(ServedTier::default()).map(|it| {
            let total = it.stated_total.unwrap_or_default();
            [it.input, it.cache_read, it.cache_write, it.output, it.reasoning, total]
        });
        assert_eq!(got, expected, "{json}");
        if let Some(fast) = JsonCursor::parse(json, ChatUsageWire::parse) {
            let wire: ChatUsageWire = serde_json::from_str(json).unwrap();
            assert_eq!(
                fast.read(ServedTier::default()),
                wire.read(ServedTier::default()),
                "{json}"
            );
        }
    }

    #[test]
    fn token_classes_are_disjoint() {
        check(
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":3},"completion_tokens_details":{"reasoning_tokens":2}}"#,
            Some([3, 4, 3, 3, 2, 0]),
        );
        check(
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":4,"prompt_tokens_details":null}"#,
            Some([6, 4, 0, 5, 0, 0]),
        );
    }

    #[test]
    fn provider_total_is_preserved() {
        check(
            r#"{"prompt_tokens":1,"completion_tokens":2,"total_tokens":9}"#,
            Some([1, 0, 0, 2, 0, 9]),
        );
    }

    #[test]
    fn separate_reasoning_tokens_are_counted() {
        check(
            r#"{"prompt_tokens":1,"completion_tokens":2,"total_tokens":10,"completion_tokens_details":{"reasoning_tokens":7}}"#,
            Some([1, 0, 0, 2, 7, 0]),
        );
    }

    #[test]
    fn inconsistent_counts_are_corrected() {
        check(
            r#"{"prompt_tokens":-5,"completion_tokens":"7","total_tokens":2.0}"#,
            Some([0, 0, 0, 7, 0, 2]),
        );
        check(
            r#"{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":99},"completion_tokens_details":[]}"#,
            Some([0, 1, 0, 1, 0, 0]),
        );
        check(r#"{"prompt_tokens":null,"completion_tokens":null}"#, None);
        check("{}", None);
    }

    #[test]
    fn written_usage_decodes_to_same_usage() {
        let usage = Usage {
            input: 3,
            cache_read: 4,
            cache_write: 2,
            output: 3,
            reasoning: 2,
            stated_total: Some(99),
            ..Usage::default()
        };
        let json = serde_json::to_string(&ChatUsageOutWire::from(&usage)).unwrap();
        assert_eq!(
            serde_json::from_str::<ChatUsageWire>(&json).unwrap().read(ServedTier::default()),
            Some(usage)
        );
    }
}
