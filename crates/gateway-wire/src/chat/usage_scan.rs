//! What is metered of a whole answer that is passed on as it is: its content is passed over.

use super::{
    errors, finish_reason,
    lenient::{Maybe, Text},
    usage,
};
use crate::{json::Walk, unreadable};
use gateway_core::{Finish, FinishReason, Result, StreamEvent};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Maybe<usage::Wire>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    message: Option<Message>,
    delta: Option<Message>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    tool_calls: Option<Vec<IgnoredAny>>,
    function_call: Option<IgnoredAny>,
}

/// How each choice of a whole answer ended, and what the answer took.
///
/// # Errors
///
/// If it is an error, or no answer. What is wrong inside of its content is not looked for.
pub(super) fn read(json: &str) -> Result<Vec<StreamEvent>> {
    Walk::through(json, quick).map_or_else(|| careful(json), Ok)
}

/// What there is to tell of an answer in which nothing is out of the ordinary.
fn quick(walk: &mut Walk<'_>) -> Option<Vec<StreamEvent>> {
    let (mut events, mut usage) = (Vec::new(), None);
    walk.object(|key, walk| match key {
        "choices" if events.is_empty() => walk.array(|walk| {
            events.push(StreamEvent::Finished(quick_choice(walk)?));
            Some(())
        }),
        "usage" if usage.is_none() => {
            usage = Some(serde_json::from_str(walk.value()?).ok()?);
            Some(())
        }
        "choices" | "usage" | "error" => None,
        _ => walk.value().map(drop),
    })?;
    if events.is_empty() {
        return None;
    }
    events.extend(usage.and_then(usage::Wire::read).map(StreamEvent::Usage));
    Some(events)
}

fn quick_choice(walk: &mut Walk<'_>) -> Option<Finish> {
    let (mut finish, mut has_message) = (None, false);
    walk.object(|key, walk| match key {
        "message" if !has_message => {
            has_message = true;
            walk.object(|key, walk| match key {
                // Whoever calls is looked at more closely.
                "tool_calls" | "function_call" => walk.is_null().then_some(()),
                _ => walk.value().map(drop),
            })
        }
        "finish_reason" if finish.is_none() => {
            let word = walk.value()?.strip_prefix('"')?.strip_suffix('"')?;
            finish = finish_reason::read(word).ok().filter(|_| !word.contains('\\'));
            finish.is_some().then_some(())
        }
        "message" | "delta" | "finish_reason" => None,
        _ => walk.value().map(drop),
    })?;
    finish
}

fn careful(json: &str) -> Result<Vec<StreamEvent>> {
    let answer: Answer<'_> = serde_json::from_str(json).map_err(|error| {
        // Not the error itself, which may quote the answer.
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
    events.extend(answer.usage.0.and_then(usage::Wire::read).map(StreamEvent::Usage));
    Ok(events)
}

impl Choice<'_> {
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
    use crate::{Ids, chat::decode_response::Decoder};

    /// What the digest tells is what is left of reading everything.
    #[track_caller]
    fn check(json: &str) {
        let mut all = Vec::new();
        let read_all = Decoder::whole(Ids::new(1)).read(json, &mut all);
        all.retain(|it| matches!(it, StreamEvent::Usage(_) | StreamEvent::Finished(_)));
        match (read(json), read_all) {
            (Ok(digest), Ok(())) => assert_eq!(digest, all, "{json}"),
            (Err(error), Err(other)) => assert_eq!(error.code(), other.code(), "{json}"),
            (digest, read_all) => panic!("{digest:?} {read_all:?} {json}"),
        }
    }

    #[test]
    fn it_tells_what_reading_everything_tells() {
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
    fn what_is_ordinary_is_read_quickly_and_the_same() {
        let said = r#""usage":{"prompt_tokens":3,"completion_tokens":4}"#;
        let ordinary = format!(
            r#"{{"id":"x","choices":[{{"message":{{"content":"a\"b","tool_calls":null}},
            "finish_reason":"stop"}}, {{"finish_reason":"eos"}}],{said}}}"#
        );
        assert_eq!(Walk::through(&ordinary, quick).unwrap(), careful(&ordinary).unwrap());
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
            assert_eq!(Walk::through(odd, quick), None, "{odd}");
            check(odd);
        }
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
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
