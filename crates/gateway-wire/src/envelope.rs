//! The envelope of a request: the members that have the same name in every inbound dialect.

use crate::json::{self, JsonError, JsonErrorKind, JsonKind, JsonLimits, JsonMember};
use gateway_core::{Envelope, ErrorKind, GatewayError, Result, ServiceTier};
use std::{borrow::Cow, ops::Range};

/// Validates `body` and reads its envelope, in one pass over the bytes.
///
/// ```
/// use gateway_wire::{envelope, json::JsonLimits};
///
/// let body = br#"{"model":"gpt-5","stream":true,"messages":[]}"#;
/// let envelope = envelope::read(body, &JsonLimits::default())?;
/// assert_eq!((envelope.model.as_str(), envelope.stream), ("gpt-5", true));
/// # Ok::<(), gateway_core::GatewayError>(())
/// ```
///
/// # Errors
///
/// If `body` is not a valid JSON object (`invalid_json`, `json_too_deep`, `duplicate_key`), lacks a
/// model, or has another member of the wrong type (`invalid_parameter`).
pub fn read(body: &[u8], limits: &JsonLimits) -> Result<Envelope> {
    let mut reader = EnvelopeReader::default();
    let mut may_hold_reasoning = false;
    let parts = json::members_and_nested_keys(
        body,
        *limits,
        |member| reader.read(&member),
        |key, is_escaped| may_hold_reasoning |= is_escaped || names_reasoning(key),
    )?;
    Ok(Envelope {
        lacks_reasoning: !may_hold_reasoning,
        decoded_footprint: parts.footprint(body.len()),
        ..reader.finish()?
    })
}

/// Returns whether `key` is the name of a member that holds reasoning in some vendor's form of Chat
/// Completions.
#[inline]
fn names_reasoning(key: &[u8]) -> bool {
    key.starts_with(b"reasoning") || key == b"thinking_blocks" || key == b"extra_content"
}

impl From<JsonError> for GatewayError {
    /// Converts to the error that the caller sees.
    fn from(error: JsonError) -> Self {
        let (kind, code) = match error.what {
            JsonErrorKind::Invalid
            | JsonErrorKind::NotUtf8
            | JsonErrorKind::NotAnObject
            | JsonErrorKind::Empty => (ErrorKind::InvalidRequest, "invalid_json"),
            JsonErrorKind::TooDeep => (ErrorKind::InvalidRequest, "json_too_deep"),
            JsonErrorKind::DuplicateKey => (ErrorKind::InvalidRequest, "duplicate_key"),
            JsonErrorKind::TooLong => (ErrorKind::TooLarge, ErrorKind::TooLarge.as_str()),
        };
        Self::new(kind, error.to_string()).with_code(code)
    }
}

fn wrong(param: &'static str, message: impl Into<Cow<'static, str>>) -> GatewayError {
    GatewayError::invalid(param, message).with_code("invalid_parameter")
}

/// The span of a list; an empty span for an empty list.
fn list(member: &JsonMember<'_>) -> Range<usize> {
    let Range { start, end } = member.value_span.clone();
    let inside = member.raw.get(1..).unwrap_or_default();
    let first = inside.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b']') { start..start } else { start..end }
}

#[derive(Default)]
struct EnvelopeReader {
    envelope: Envelope,
    has_model: bool,
    /// The error of the first invalid member.
    wrong: Option<GatewayError>,
    /// The end of the previous member.
    end_of_last: Option<usize>,
    /// The session is the first member, so its span extends over the following comma.
    cut_to_next: bool,
}

impl EnvelopeReader {
    fn read(&mut self, member: &JsonMember<'_>) {
        self.end_first_session(member.key_span.start);
        if let Err(error) = self.take(member) {
            self.wrong.get_or_insert(error);
        }
        self.end_of_last = Some(member.value_span.end);
    }

    fn take(&mut self, member: &JsonMember<'_>) -> Result<()> {
        match &*member.key {
            "model" => self.model(member),
            "stream" => {
                self.envelope.stream = flag(member.kind, "stream")?;
                Ok(())
            }
            "stream_options" => self.stream_options(member),
            "session_id" => self.session(member),
            "tools" => {
                self.envelope.tools = Some(member.value_span.clone());
                Ok(())
            }
            name @ ("max_tokens" | "max_completion_tokens" | "max_output_tokens") => {
                self.envelope.present.get_or_insert_default().note(name);
                // What is wrong with it is told by those that take it.
                self.envelope.max_output = member.value().parse().ok();
                Ok(())
            }
            "messages" => {
                let list = (member.kind == JsonKind::Array).then(|| list(member));
                self.envelope.messages = list;
                Ok(())
            }
            // What is wrong with them is reported by those that take them.
            "service_tier" => {
                let tier = member.string().and_then(|word| ServiceTier::from_request(&word));
                self.envelope.tier = self.envelope.tier.or(tier);
                Ok(())
            }
            "speed" => {
                let is_fast = member.string().is_some_and(|word| word == "fast");
                self.envelope.tier = is_fast.then_some(ServiceTier::Fast).or(self.envelope.tier);
                Ok(())
            }
            "metadata" if member.kind == JsonKind::Object => {
                self.envelope.metadata = Some(member.value_span.clone());
                Ok(())
            }
            "user" if member.kind == JsonKind::String => {
                self.envelope.user = Some(member.value_span.clone());
                Ok(())
            }
            // The newer name of `user`.
            "safety_identifier" if member.kind == JsonKind::String => {
                self.envelope.user.get_or_insert_with(|| member.value_span.clone());
                Ok(())
            }
            "thread" if member.kind == JsonKind::Null => Ok(()),
            name => {
                self.envelope.present.get_or_insert_default().note(name);
                Ok(())
            }
        }
    }

    fn model(&mut self, member: &JsonMember<'_>) -> Result<()> {
        self.has_model = true;
        let Some(model) = member.string() else {
            return Err(wrong("model", "model must be a string"));
        };
        if model.is_empty() {
            return Err(wrong("model", "model must not be empty"));
        }
        self.envelope.model = model.into_owned();
        self.envelope.model_span = member.value_span.clone();
        Ok(())
    }

    fn stream_options(&mut self, member: &JsonMember<'_>) -> Result<()> {
        self.envelope.stream_options = Some(member.value_span.clone());
        if member.kind == JsonKind::Null {
            return Ok(());
        }
        let mut usage = Ok(false);
        let inside = json::members(member.raw, &JsonLimits { depth: usize::MAX }, |inner| {
            if inner.key == "include_usage" {
                usage = flag(inner.kind, "stream_options.include_usage");
            }
        });
        inside.map_err(|_| wrong("stream_options", "stream_options must be an object"))?;
        self.envelope.stream_usage = usage?;
        Ok(())
    }

    fn session(&mut self, member: &JsonMember<'_>) -> Result<()> {
        if member.kind == JsonKind::Null {
            return Ok(());
        }
        let Some(session) = member.string() else {
            return Err(wrong("session_id", "session_id must be a string"));
        };
        self.cut_to_next = self.end_of_last.is_none();
        let start = self.end_of_last.unwrap_or(member.key_span.start);
        self.envelope.session = Some((session.into_owned(), start..member.value_span.end));
        Ok(())
    }

    fn end_first_session(&mut self, next_key: usize) {
        if std::mem::take(&mut self.cut_to_next)
            && let Some((_, Range { end, .. })) = &mut self.envelope.session
        {
            *end = next_key;
        }
    }

    fn finish(self) -> Result<Envelope> {
        match self.wrong {
            Some(error) => Err(error),
            None if self.has_model => {
                let present = Some(self.envelope.present.unwrap_or_default());
                Ok(Envelope { present, ..self.envelope })
            }
            None => Err(wrong("model", "model is required")),
        }
    }
}

/// Reads a flag; `null` counts as `false`.
fn flag(kind: JsonKind, param: &'static str) -> Result<bool> {
    match kind {
        JsonKind::Bool(flag) => Ok(flag),
        JsonKind::Null => Ok(false),
        JsonKind::Number | JsonKind::String | JsonKind::Array | JsonKind::Object => {
            Err(wrong(param, format!("{param} must be true or false")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of `body`, or why it is refused: code, parameter, message.
    #[track_caller]
    fn check(body: &str, expected: &str) {
        let told = match read(body.as_bytes(), &JsonLimits::default()) {
            Ok(envelope) => summary(body, &envelope),
            Err(error) => {
                format!("{} {}: {}", error.code(), error.param().unwrap_or("-"), error.message())
            }
        };
        assert_eq!(told, expected);
    }

    fn summary(body: &str, envelope: &Envelope) -> String {
        let mut told = format!("{}={}", envelope.model, &body[envelope.model_span.clone()]);
        for (flag, name) in [(envelope.stream, " stream"), (envelope.stream_usage, " usage")] {
            told += if flag { name } else { "" };
        }
        if let Some((session, span)) = &envelope.session {
            let (before, after) = (&body[..span.start], &body[span.end..]);
            told = format!("{told} session {session}: {before}{after}");
        }
        for span in [&envelope.tools, &envelope.stream_options].into_iter().flatten() {
            told = [&told, " ", &body[span.clone()]].concat();
        }
        told
    }

    #[test]
    fn every_field_is_read() {
        check(r#"{"model":"m"}"#, r#"m="m""#);
        check(r#"{ "messages":[], "mod\u0065l" : "\u006d" }"#, r#"m="\u006d""#);
        check(r#"{"model":"m","stream":true}"#, r#"m="m" stream"#);
        check(r#"{"stream":false,"model":"m"}"#, r#"m="m""#);
        check(r#"{"stream":null,"model":"m"}"#, r#"m="m""#);
        check(r#"{"model":"m","tools":[{"a":1}]}"#, r#"m="m" [{"a":1}]"#);
        check(
            r#"{"model":"m","stream_options":{"include_usage":true}}"#,
            r#"m="m" usage {"include_usage":true}"#,
        );
        check(
            r#"{"model":"m","stream_options":{"include_usage":null}}"#,
            r#"m="m" {"include_usage":null}"#,
        );
        check(r#"{"model":"m","stream_options":null}"#, r#"m="m" null"#);
    }

    #[test]
    fn requested_tier_is_read_from_every_dialects_member() {
        for (members, expected) in [
            (r#""service_tier":"priority""#, Some(ServiceTier::Priority)),
            (r#""service_tier":"flex""#, Some(ServiceTier::Flex)),
            (r#""service_tier":"auto","speed":"fast""#, Some(ServiceTier::Fast)),
            (r#""speed":"fast","service_tier":"priority""#, Some(ServiceTier::Fast)),
            (r#""service_tier":"default""#, None),
            (r#""service_tier":null,"speed":7"#, None),
        ] {
            let body = format!(r#"{{"model":"m",{members}}}"#);
            let envelope = read(body.as_bytes(), &JsonLimits::default()).unwrap();
            assert_eq!(envelope.tier, expected, "{members}");
        }
    }

    #[track_caller]
    fn check_messages(list: &str, expected: Option<bool>) {
        let body = format!(r#"{{"model":"m","messages":{list}}}"#);
        let messages = read(body.as_bytes(), &JsonLimits::default()).unwrap().messages;
        assert_eq!(messages.map(|messages| !messages.is_empty()), expected, "{list}");
    }

    #[test]
    fn empty_message_list_has_empty_span() {
        check_messages("[{}]", Some(true));
        check_messages("[ 1 ]", Some(true));
        check_messages("[]", Some(false));
        check_messages("[ \n]", Some(false));
        check_messages("{}", None);
        check_messages("null", None);
    }

    #[test]
    fn footprint_is_that_of_the_parts_outside_of_texts() {
        for part in ["{\"a\": \"b\"}", "\"{{{{{,,,,,\"", "{\"{,\":[\"\\\"\"]}"] {
            let parts = vec![part; 5_000].join(" , ");
            let body = format!(r#"{{"model":"m","messages":[{parts}]}}"#);
            let envelope = read(body.as_bytes(), &JsonLimits::default()).unwrap();
            assert_eq!(envelope.decoded_footprint, json::decoded_footprint(body.as_bytes()));
            assert!(envelope.decoded_footprint > 0, "{part}");
        }
        let body = format!(r#"{{"model":"{}"}}"#, "{,".repeat(500_000));
        let envelope = read(body.as_bytes(), &JsonLimits::default()).unwrap();
        assert_eq!(envelope.decoded_footprint, 0);
    }

    #[test]
    fn nested_members_are_ignored() {
        check(
            r#"{"model":"m","metadata":{"model":"x","stream":true,"session_id":"s"}}"#,
            r#"m="m""#,
        );
        check(r#"{"messages":[{"model":"x"}]}"#, "invalid_parameter model: model is required");
    }

    #[test]
    fn session_member_can_be_cut_out() {
        check(r#"{"session_id":"s","model":"m"}"#, r#"m="m" session s: {"model":"m"}"#);
        check(r#"{"session_id":"s" , "model":"m"}"#, r#"m="m" session s: {"model":"m"}"#);
        check(r#"{"model":"m", "session_id":"s" }"#, r#"m="m" session s: {"model":"m" }"#);
        check(
            r#"{"model":"m","session_id":"s\n","n":1}"#,
            "m=\"m\" session s\n: {\"model\":\"m\",\"n\":1}",
        );
        check(r#"{"model":"m","session_id":null}"#, r#"m="m""#);
    }

    #[test]
    fn member_of_wrong_type_is_named_in_error() {
        check("{}", "invalid_parameter model: model is required");
        check(r#"{"model":null}"#, "invalid_parameter model: model must be a string");
        check(r#"{"model":["m"]}"#, "invalid_parameter model: model must be a string");
        check(r#"{"model":""}"#, "invalid_parameter model: model must not be empty");
        let stream = "invalid_parameter stream: stream must be true or false";
        check(r#"{"model":"m","stream":"true"}"#, stream);
        check(r#"{"model":"m","stream":1}"#, stream);
        check(
            r#"{"model":"m","session_id":5}"#,
            "invalid_parameter session_id: session_id must be a string",
        );
        check(
            r#"{"model":"m","stream_options":[]}"#,
            "invalid_parameter stream_options: stream_options must be an object",
        );
        check(
            r#"{"model":"m","stream_options":{"include_usage":1}}"#,
            "invalid_parameter stream_options.include_usage: \
             stream_options.include_usage must be true or false",
        );
    }

    #[test]
    fn invalid_body_is_rejected_without_quoting_it() {
        check("", "invalid_json -: the document is empty at line 1, column 1");
        check(r#"["m"]"#, "invalid_json -: the document must be an object at line 1, column 1");
        check("{\n\"canary\" x", "invalid_json -: invalid JSON at line 2, column 10");
        check(
            r#"{"model":"m","\u006dodel":"n"}"#,
            "duplicate_key -: duplicate key at line 1, column 14",
        );
        let deep = format!(r#"{{"model":"m","a":{}"#, "[".repeat(200));
        check(&deep, "json_too_deep -: JSON is nested too deeply at line 1, column 81");
        check(r#"{"model":5,"stream":"x"} {"#, "invalid_json -: invalid JSON at line 1, column 26");
    }
}
