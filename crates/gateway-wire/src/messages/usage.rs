//! Converts token counts of the Messages API.

use crate::token_count::{CountReader, LenientCount, ServedTier};
use gateway_core::{ServiceTier, Usage};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// The `usage` object. Members that an event omits keep the value of the previous event.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct MessagesUsageWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input_tokens: Option<LenientCount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_creation_input_tokens: Option<LenientCount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<LenientCount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_creation: Option<CacheCreationWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_tokens: Option<LenientCount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetailsWire>,
    #[serde(default, skip_serializing)]
    service_tier: Option<ServedTier>,
    #[serde(default, skip_serializing)]
    speed: Option<ServedSpeed>,
    #[serde(default, skip_serializing)]
    server_tool_use: Option<ServerToolUseWire>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct ServerToolUseWire {
    #[serde(default)]
    web_search_requests: Option<LenientCount>,
}

/// Whether a response was written fast, which has a price of its own.
#[derive(Clone, Copy, Debug)]
struct ServedSpeed(bool);

impl<'de> Deserialize<'de> for ServedSpeed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Self(raw.get() == "\"fast\""))
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct CacheCreationWire {
    #[serde(default)]
    ephemeral_5m_input_tokens: Option<LenientCount>,
    #[serde(default)]
    ephemeral_1h_input_tokens: Option<LenientCount>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct OutputDetailsWire {
    #[serde(default)]
    thinking_tokens: Option<LenientCount>,
}

impl MessagesUsageWire {
    /// Nothing is known yet.
    pub(super) const NONE: Self = Self {
        input_tokens: None,
        cache_creation_input_tokens: None,
        cache_read_input_tokens: None,
        cache_creation: None,
        output_tokens: None,
        output_tokens_details: None,
        service_tier: None,
        speed: None,
        server_tool_use: None,
    };

    /// Takes in later counts, which are of the whole response and replace the earlier ones.
    pub(super) fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens =
            later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens =
            later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation = later.cache_creation.or(self.cache_creation);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
        self.service_tier = later.service_tier.or(self.service_tier);
        self.speed = later.speed.or(self.speed);
        self.server_tool_use = later.server_tool_use.or(self.server_tool_use);
    }

    /// The counts, in classes that do not overlap.
    pub(super) fn usage(&self) -> Usage {
        let mut reading = CountReader::default();
        let split = self.cache_creation.unwrap_or_default();
        let details = self.output_tokens_details.unwrap_or_default();
        let mut written = reading.count(self.cache_creation_input_tokens);
        if self.cache_creation_input_tokens.is_none() {
            let short = reading.count(split.ephemeral_5m_input_tokens);
            written = short.saturating_add(reading.count(split.ephemeral_1h_input_tokens));
        }
        let long = reading.take(&mut written, split.ephemeral_1h_input_tokens);
        let mut output = reading.count(self.output_tokens);
        let reasoning = reading.take(&mut output, details.thinking_tokens);
        let is_fast = self.speed.is_some_and(|it| it.0);
        let tier = self.service_tier.unwrap_or_default().0;
        Usage {
            input: reading.count(self.input_tokens),
            cache_read: reading.count(self.cache_read_input_tokens),
            cache_write: written,
            cache_write_1h: long,
            output,
            reasoning,
            searches: reading.count(self.server_tool_use.unwrap_or_default().web_search_requests),
            tier: if is_fast { Some(ServiceTier::Fast) } else { tier },
            is_odd: reading.is_odd,
            ..Usage::default()
        }
    }
}

impl From<&Usage> for MessagesUsageWire {
    fn from(usage: &Usage) -> Self {
        let written = usage.cache_write.saturating_add(usage.cache_write_1h);
        let split = CacheCreationWire {
            ephemeral_5m_input_tokens: Some(usage.cache_write.into()),
            ephemeral_1h_input_tokens: Some(usage.cache_write_1h.into()),
        };
        let details = OutputDetailsWire { thinking_tokens: Some(usage.reasoning.into()) };
        Self {
            input_tokens: Some(usage.input.saturating_add(usage.audio_input).into()),
            cache_creation_input_tokens: Some(written.into()),
            cache_read_input_tokens: Some(usage.cache_read.into()),
            cache_creation: (written > 0).then_some(split),
            output_tokens: Some(usage.completion().into()),
            output_tokens_details: (usage.reasoning > 0).then_some(details),
            service_tier: None,
            speed: None,
            server_tool_use: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(events: &[&str], expected: &Usage) {
        let mut counts = MessagesUsageWire::default();
        for event in events {
            counts.update(serde_json::from_str(event).unwrap());
        }
        assert_eq!(counts.usage(), *expected);
        let written = serde_json::to_string(&MessagesUsageWire::from(expected)).unwrap();
        assert_eq!(serde_json::from_str::<MessagesUsageWire>(&written).unwrap().usage(), *expected);
    }

    #[test]
    fn last_counts_win_and_are_not_summed() {
        let start = r#"{"input_tokens":10,"cache_read_input_tokens":3,"output_tokens":4}"#;
        let usage = Usage { input: 10, cache_read: 3, output: 50, ..Usage::default() };
        check(&[start, r#"{"output_tokens":50}"#], &usage);
        let more = r#"{"input_tokens":12,"cache_read_input_tokens":null,"output_tokens":50}"#;
        check(&[start, more], &Usage { input: 12, ..usage });
    }

    #[test]
    fn cache_writes_are_split_by_lifetime() {
        let split = r#"{"cache_creation_input_tokens":9,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":5}}"#;
        check(&[split], &Usage { cache_write: 4, cache_write_1h: 5, ..Usage::default() });
        check(
            &[r#"{"cache_creation_input_tokens":9,"cache_creation":null}"#],
            &Usage { cache_write: 9, ..Usage::default() },
        );
    }

    #[test]
    fn reasoning_is_part_of_output() {
        let thought = r#"{"output_tokens":9,"output_tokens_details":{"thinking_tokens":5}}"#;
        check(&[thought], &Usage { output: 4, reasoning: 5, ..Usage::default() });
    }
}
