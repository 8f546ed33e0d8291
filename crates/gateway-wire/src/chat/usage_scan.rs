//! Extracts usage and finish reasons from a whole response that is passed through, skipping its
//! content.

use super::{errors, finish_reason, usage};
use crate::json::lenient::{LenientValue, LossyText};
use crate::{json::JsonCursor, token_count::ServedTier, unreadable};
use gateway_core::{Finish, FinishReason, Result, StreamEvent};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScannedResponseWire<'a> {
    #[serde(borrow)]
    choices: Option<Vec<ScannedChoiceWire<'a>>>,
    usage: LenientValue<usage::ChatUsageWire>,
    service_tier: Option<ServedTier>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScannedChoiceWire<'a> {
    message: Option<ScannedMessageWire>,
    delta: Option<ScannedMessageWire>,
    #[serde(borrow)]
    finish_reason: Option<LossyText<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScannedMessageWire {
    tool_calls: Option<Vec<IgnoredAny>>,
    function_call: Option<IgnoredAny>,
}

/// Reads the finish reason of each choice and the usage of a whole response.
///
/// # Errors
///
/// If it is an error, or no response. What is wrong inside of its content is not looked for.
pub(super) fn scan(json: &str) -> Result<Vec<StreamEvent>> {
    JsonCursor::parse(json, fast_path).map_or_else(|| full_parse(json), Ok)
}

/// The fast path: reads a response of the usual shape with the cursor, without deserializing it.
fn fast_path(cursor: &mut JsonCursor<'_>) -> Option<Vec<StreamEvent>> {
    let (mut events, mut usage, mut tier) = (Vec::with_capacity(2), None, None);
    cursor.object(|key, cursor| match key {
        "choices" if events.is_empty() => cursor.array(|cursor| {
            events.push(StreamEvent::Finished(fast_choice(cursor)?));
            Some(())
        }),
        "usage" if usage.is_none() => {
            usage = Some(usage::ChatUsageWire::parse(cursor)?);
            Some(())
        }
        "service_tier" if tier.is_none() => {
            tier = Some(ServedTier::read(cursor.skip_value()?));
            Some(())
        }
        "choices" | "usage" | "service_tier" | "error" => None,
        _ => cursor.skip(),
    })?;
    if events.is_empty() {
        return None;
    }
    let tier = tier.unwrap_or_default();
    events.extend(usage.and_then(|it| it.read(tier)).map(StreamEvent::Usage));
    Some(events)
}

fn fast_choice(cursor: &mut JsonCursor<'_>) -> Option<Finish> {
    let (mut finish, mut has_message) = (None, false);
    cursor.object(|key, cursor| match key {
        "message" if !has_message => {
            has_message = true;
            cursor.object(|key, cursor| match key {
                // Whoever calls is looked at more closely.
                "tool_calls" | "function_call" => cursor.is_null().then_some(()),
                _ => cursor.skip(),
            })
        }
        "finish_reason" if finish.is_none() => {
            let word = cursor.skip_value()?.strip_prefix('"')?.strip_suffix('"')?;
            finish = finish_reason::read(word).ok().filter(|_| !word.contains('\\'));
            finish.is_some().then_some(())
        }
        "message" | "delta" | "finish_reason" => None,
        _ => cursor.skip(),
    })?;
    finish
}

fn full_parse(json: &str) -> Result<Vec<StreamEvent>> {
    let answer: ScannedResponseWire<'_> = serde_json::from_str(json).map_err(|error| {
        // Not the error itself, which may quote the response.
        unreadable(format!("{:?} error at character {}", error.classify(), error.column()))
    })?;
    if let Some(error) = answer.error {
        return Err(errors::in_answer(error));
    }
    let choices = answer.choices.unwrap_or_default();
    if choices.is_empty() {
        return Err(unreadable("neither choices nor an error"));
    }
    let mut events = Vec::with_capacity(choices.len() + 1);
    for choice in choices {
        events.push(StreamEvent::Finished(choice.finish()?));
    }
    let tier = answer.service_tier.unwrap_or_default();
    events.extend(answer.usage.0.and_then(|it| it.read(tier)).map(StreamEvent::Usage));
    Ok(events)
}

impl ScannedChoiceWire<'_> {
    fn finish(self) -> Result<Finish> {
        let said = self.message.or(self.delta).unwrap_or_default();
        let has_calls =
            said.function_call.is_some() || said.tool_calls.is_some_and(|calls| !calls.is_empty());
        let mut finish = match self.finish_reason {
            Some(word) => finish_reason::read(&word.0)?,
            None if has_calls => FinishReason::ToolCalls.into(),
            None => Finish::default(),
        };
        // Whoever was made to call a tool says "stop" and waits all the same.
        if finish.reason == FinishReason::Stop && has_calls {
            finish.native.get_or_insert_with(|| "stop".to_owned());
            finish.reason = FinishReason::ToolCalls;
        }
        Ok(finish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IdGenerator, chat::decode_response::ChatResponseDecoder};

    /// What the digest tells is what is left of reading everything.
    #[track_caller]
    fn check(json: &str) {
        let mut all = Vec::new();
        let read_all = ChatResponseDecoder::whole(IdGenerator::new(1)).read(json, &mut all);
        all.retain(|it| matches!(it, StreamEvent::Usage(_) | StreamEvent::Finished(_)));
        match (scan(json), read_all) {
            (Ok(digest), Ok(())) => assert_eq!(digest, all, "{json}"),
            (Err(error), Err(other)) => assert_eq!(error.code(), other.code(), "{json}"),
            (digest, read_all) => panic!("{digest:?} {read_all:?} {json}"),
        }
    }

    #[test]
    fn scan_matches_full_decode() {
        let said = r#""usage":{"prompt_tokens":3,"completion_tokens":"4"}"#;
        for message in [
            r#""message":{"content":"hello","role":"assistant"}"#,
            r#""message":{"content":null,"tool_calls":null}"#,
            r#""message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
            r#""message":{"function_call":{"name":"f","arguments":"{}"}}"#,
            r#""delta":{"content":"a"},"message":null"#,
            r#""logprobs":null"#,
        ] {
            for end in ["", r#","finish_reason":"stop""#, r#","finish_reason":"length""#] {
                let choice = format!(r#"{{"index":0,{message}{end}}}"#);
                let second = format!(r#"{{"index":1,{message}{end}}}"#);
                check(&format!(r#"{{"choices":[{choice}],{said}}}"#));
                check(&format!(r#"{{"id":"x","choices":[{choice},{second}],"usage":null}}"#));
            }
        }
    }

    #[test]
    fn fast_path_matches_full_parse() {
        let said = r#""usage":{"prompt_tokens":3,"completion_tokens":4}"#;
        let ordinary = format!(
            r#"{{"id":"x","choices":[{{"message":{{"content":"a\"b","tool_calls":null}},
            "finish_reason":"stop"}}, {{"finish_reason":"eos"}}],{said}}}"#
        );
        assert_eq!(
            JsonCursor::parse(&ordinary, fast_path).unwrap(),
            full_parse(&ordinary).unwrap()
        );
        for odd in [
            r#"{"choices":[],"usage":{"prompt_tokens":1}}"#,
            r#"{"choices":[{"finish_reason":"stop"}],"choices":[{"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"finish_reason":"stop"}],"error":null}"#,
            r#"{"choices":[{"finish_reason":"st\u006fp"}]}"#,
            r#"{"choices":[{"finish_reason":"error"}]}"#,
            r#"{"choices":[{"finish_reason":"stop","message":{"tool_calls":[{}]}}]}"#,
            r#"{"choices":[{"finish_reason":"stop","delta":{}}]}"#,
            r#"{"choices":[{}]}"#,
        ] {
            assert_eq!(JsonCursor::parse(odd, fast_path), None, "{odd}");
            check(odd);
        }
    }

    #[test]
    fn invalid_response_is_an_error() {
        for json in [
            "{}",
            "[]",
            "",
            r#"{"choices":[]}"#,
            r#"{"choices":null}"#,
            r#"{"choices":{}}"#,
            r#"{"error":{"message":"no","code":429}}"#,
            r#"{"choices":[{"finish_reason":"error"}]}"#,
            r#"{"choices":[{"finish_reason":"stop"}"#,
        ] {
            check(json);
        }
    }
}
