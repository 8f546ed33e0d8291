//! Reads the messages of a request.

use super::{
    decode_request_parts::{self, ChatCacheControlWire, ChatContentWire},
    decode_request_reasoning,
};
use crate::json::{
    lazy_object::LazyObject,
    lenient::{LossyText, owned},
    path::{JsonPath, read, reason},
};
use gateway_core::{
    Content, GatewayError, Json, Message, Part, Result, Role, Seal, ToolCall, ToolResult,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A message as clients write it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatMessageWire<'a> {
    #[serde(deserialize_with = "owned")]
    role: Option<String>,
    #[serde(borrow)]
    content: Option<ChatContentWire<'a>>,
    #[serde(deserialize_with = "owned")]
    name: Option<String>,
    #[serde(deserialize_with = "owned")]
    refusal: Option<String>,
    tool_calls: Option<Vec<&'a RawValue>>,
    function_call: Option<LegacyFunctionCallWire>,
    #[serde(deserialize_with = "owned")]
    tool_call_id: Option<String>,
    #[serde(deserialize_with = "owned")]
    pub(super) reasoning_content: Option<String>,
    pub(super) reasoning: Option<&'a RawValue>,
    pub(super) reasoning_details: Option<&'a RawValue>,
    pub(super) thinking_blocks: Option<&'a RawValue>,
    pub(super) extra_content: Option<GoogleExtraContentWire>,
    cache_control: Option<ChatCacheControlWire>,
}

#[derive(Deserialize)]
struct LegacyFunctionCallWire {
    #[serde(default, deserialize_with = "owned")]
    name: Option<String>,
    arguments: Option<Json>,
}

/// The `extra_content` member in which Google's OpenAI-compatible endpoint keeps thought
/// signatures.
#[derive(Debug, Default, Deserialize)]
pub(super) struct GoogleExtraContentWire {
    google: Option<GoogleSignatureWire>,
}

#[derive(Debug, Default, Deserialize)]
struct GoogleSignatureWire {
    thought_signature: Option<String>,
}

impl GoogleExtraContentWire {
    pub(super) fn seal(self) -> Option<Seal> {
        self.google.and_then(|it| it.thought_signature).map(decode_request_reasoning::gemini)
    }
}

/// Reads the list of messages.
pub(super) fn messages(raw: &RawValue, at: &JsonPath<'_>) -> Result<Vec<Message>> {
    let wires: Vec<ChatMessageWire<'_>> = serde_json::from_str(raw.get())
        .map_err(|error| diagnose(raw, at).unwrap_or_else(|| at.invalid(reason(&error))))?;
    let mut legacy = LegacyCallIds::default();
    wires
        .into_iter()
        .enumerate()
        .map(|(index, wire)| message(wire, &at.item(index), &mut legacy))
        .collect()
}

/// The legacy function-call format has no ids: results follow their calls.
#[derive(Default)]
struct LegacyCallIds {
    calls: usize,
}

impl LegacyCallIds {
    fn next(&mut self) -> String {
        self.calls += 1;
        self.last()
    }

    fn last(&self) -> String {
        format!("call_legacy_{}", self.calls)
    }
}

fn message(
    wire: ChatMessageWire<'_>,
    at: &JsonPath<'_>,
    legacy: &mut LegacyCallIds,
) -> Result<Message> {
    let role_at = at.member("role");
    let role = wire.role.as_deref().ok_or_else(|| role_at.invalid("is required"))?;
    match role {
        "system" => plain(Role::System, wire, at),
        "developer" => plain(Role::Developer, wire, at),
        "user" => plain(Role::User, wire, at),
        "assistant" => assistant(wire, at, legacy),
        "tool" => {
            let at_id = at.member("tool_call_id");
            let id = wire.tool_call_id.clone().ok_or_else(|| at_id.invalid("is required"))?;
            tool(wire, id, at)
        }
        "function" => {
            let id = legacy.last();
            tool(wire, id, at)
        }
        _ => {
            Err(role_at
                .invalid("must be one of system, developer, user, assistant, tool and function"))
        }
    }
}

fn plain(role: Role, mut wire: ChatMessageWire<'_>, at: &JsonPath<'_>) -> Result<Message> {
    let parts = content(&mut wire, at)?;
    Ok(Message { role, parts, name: wire.name })
}

fn tool(mut wire: ChatMessageWire<'_>, call_id: String, at: &JsonPath<'_>) -> Result<Message> {
    let cache = wire.cache_control.take().and_then(ChatCacheControlWire::read);
    let parts = content(&mut wire, at)?;
    let result = ToolResult { call_id, name: wire.name, parts, is_error: false };
    let part = Part { content: Content::ToolResult(result), cache };
    Ok(Message { role: Role::Tool, parts: vec![part], name: None })
}

fn assistant(
    mut wire: ChatMessageWire<'_>,
    at: &JsonPath<'_>,
    legacy: &mut LegacyCallIds,
) -> Result<Message> {
    let mut parts = decode_request_reasoning::decode(&mut wire);
    parts.extend(content(&mut wire, at)?);
    parts.extend(wire.refusal.map(|text| Content::Refusal(text).into()));
    let calls_at = at.member("tool_calls");
    for (index, raw) in wire.tool_calls.unwrap_or_default().into_iter().enumerate() {
        parts.push(Content::ToolCall(call(raw, &calls_at.item(index))?).into());
    }
    if let Some(LegacyFunctionCallWire { name: Some(name), arguments }) = wire.function_call {
        let arguments = arguments.map(|it| arguments_text(&it)).unwrap_or_default();
        let id = legacy.next();
        parts.push(
            Content::ToolCall(ToolCall { id, name, arguments, ..ToolCall::default() }).into(),
        );
    }
    Ok(Message { role: Role::Assistant, parts, name: wire.name })
}

/// The content: a string or a list of parts. The message's own cache mark is its last part's.
fn content(wire: &mut ChatMessageWire<'_>, at: &JsonPath<'_>) -> Result<Vec<Part>> {
    let Some(content) = wire.content.take() else { return Ok(Vec::new()) };
    let mut parts = decode_request_parts::parts(content, &at.member("content"))?;
    if let (Some(last), Some(cache)) = (parts.last_mut(), wire.cache_control.take()) {
        last.cache = last.cache.or(cache.read());
    }
    Ok(parts)
}

#[derive(Deserialize)]
struct ChatToolCallWire<'a> {
    #[serde(default, deserialize_with = "owned")]
    id: Option<String>,
    function: Option<LegacyFunctionCallWire>,
    #[serde(borrow)]
    custom: Option<ChatCustomCallWire<'a>>,
    #[serde(default)]
    extra_content: Option<GoogleExtraContentWire>,
}

#[derive(Deserialize)]
struct ChatCustomCallWire<'a> {
    #[serde(default, deserialize_with = "owned")]
    name: Option<String>,
    #[serde(borrow, default)]
    input: LossyText<'a>,
}

fn call(raw: &RawValue, at: &JsonPath<'_>) -> Result<ToolCall> {
    let wire: ChatToolCallWire<'_> = read(raw, at)?;
    let id = wire.id.ok_or_else(|| at.member("id").invalid("is required"))?;
    let seal = wire.extra_content.and_then(GoogleExtraContentWire::seal);
    if let Some(ChatCustomCallWire { name, input }) = wire.custom {
        let at = at.member("custom");
        let name = name.ok_or_else(|| at.member("name").invalid("is required"))?;
        return Ok(ToolCall { id, name, arguments: input.into_string(), custom: true, seal });
    }
    let at = at.member("function");
    let function = wire.function.ok_or_else(|| at.invalid("is required"))?;
    let name = function.name.ok_or_else(|| at.member("name").invalid("is required"))?;
    let arguments = function.arguments.map(|it| arguments_text(&it)).unwrap_or_default();
    Ok(ToolCall { id, name, arguments, custom: false, seal })
}

/// Arguments: a string that holds JSON, or, from some clients, the JSON itself.
fn arguments_text(arguments: &Json) -> String {
    match arguments.read::<LossyText<'_>>() {
        Ok(text) => text.into_string(),
        Err(_) => arguments.get().to_owned(),
    }
}

/// Finds what is wrong with the list of messages.
fn diagnose(raw: &RawValue, at: &JsonPath<'_>) -> Option<GatewayError> {
    let items: Vec<&RawValue> = match read(raw, at) {
        Ok(items) => items,
        Err(error) => return Some(error),
    };
    items.iter().enumerate().find_map(|(index, raw)| {
        let error = serde_json::from_str::<ChatMessageWire<'_>>(raw.get()).err()?;
        let at = at.item(index);
        wrong_member(raw, &at).or_else(|| Some(at.invalid(reason(&error))))
    })
}

/// Finds the member that is wrong; `None` if it is not one of those that can be.
fn wrong_member(raw: &RawValue, at: &JsonPath<'_>) -> Option<GatewayError> {
    let object: LazyObject<'_> = match read(raw, at) {
        Ok(object) => object,
        Err(error) => return Some(error),
    };
    let wrong = |name: &str| {
        let raw = object.get(name)?;
        read::<LossyText<'_>>(raw, &at.member(name)).err()
    };
    ["role", "name", "refusal", "tool_call_id", "reasoning_content"]
        .into_iter()
        .find_map(wrong)
        .or_else(|| {
            let raw = object.get("content")?;
            read::<ChatContentWire<'_>>(raw, &at.member("content")).err()
        })
        .or_else(|| {
            let raw = object.get("tool_calls")?;
            read::<Vec<&RawValue>>(raw, &at.member("tool_calls")).err()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Dialect, SealKind, Source};

    fn spell_part(part: &Part) -> String {
        let cache = if part.cache.is_some() { "!" } else { "" };
        let seal = |seal: &Option<Seal>| {
            seal.as_ref().map_or_else(String::new, |it| {
                let kind = match it.kind {
                    SealKind::Signature => "signed",
                    SealKind::Encrypted => "encrypted",
                    SealKind::Details => "details",
                };
                format!(" {} {kind} {}", it.dialect, it.data)
            })
        };
        let source = |source: &Source| match source {
            Source::Inline { media_type, base64 } => format!("{media_type} {base64}"),
            Source::Url(url) => url.clone(),
            Source::FileId(id) => format!("id {id}"),
        };
        let spelled = match &part.content {
            Content::Text(text) => format!("text {text}"),
            Content::Refusal(text) => format!("refusal {text}"),
            Content::Image(it) => {
                format!("image {} {}", source(&it.source), it.detail.as_deref().unwrap_or("-"))
            }
            Content::Audio(it) => format!("audio {}", source(it)),
            Content::File(it) => {
                format!("file {} {}", source(&it.source), it.name.as_deref().unwrap_or("-"))
            }
            Content::Reasoning(it) => format!("think {}{}", it.text, seal(&it.seal)),
            Content::ToolCall(it) => {
                let kind = if it.custom { "custom" } else { "call" };
                format!("{kind} {} {} {}{}", it.id, it.name, it.arguments, seal(&it.seal))
            }
            Content::ToolResult(it) => {
                let parts = it.parts.iter().map(spell_part).collect::<Vec<_>>().join("+");
                format!("result {} [{parts}]", it.call_id)
            }
            Content::Opaque(it) => format!("opaque {} {}", it.kind, it.json.get()),
        };
        spelled + cache
    }

    #[track_caller]
    fn check(json: &str, expected: &str) {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let messages = messages(raw, &JsonPath::Root.member("messages")).unwrap();
        let parts = |it: &Message| it.parts.iter().map(spell_part).collect::<Vec<_>>().join(", ");
        let spelled: Vec<_> =
            messages.iter().map(|it| format!("{:?}: {}", it.role, parts(it))).collect();
        assert_eq!(spelled.join("; "), expected, "{json}");
    }

    #[test]
    fn content_may_be_string_list_or_null() {
        check(r#"[{"role":"user","content":"hi"}]"#, "User: text hi");
        check(
            r#"[{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]"#,
            "System: text a, text b",
        );
        check(r#"[{"role":"developer","content":null}]"#, "Developer: ");
        check(r#"[{"role":"user","content":["a"]}]"#, "User: text a");
    }

    #[test]
    fn media_parts_are_decoded() {
        check(
            r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,QQ==","detail":"low"}}]}]"#,
            "User: image image/png QQ== low",
        );
        check(
            r#"[{"role":"user","content":[{"type":"image_url","image_url":"https://a/b.png"}]}]"#,
            "User: image https://a/b.png -",
        );
        check(
            r#"[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"QQ==","format":"mp3"}}]}]"#,
            "User: audio audio/mp3 QQ==",
        );
        check(
            r#"[{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,QQ==","filename":"a.pdf"}},{"type":"file","file":{"file_id":"f1"}}]}]"#,
            "User: file application/pdf QQ== a.pdf, file id f1 -",
        );
        check(
            r#"[{"role":"user","content":[{"type":"video_url","video_url":{"url":"u"}}]}]"#,
            r#"User: opaque video_url {"type":"video_url","video_url":{"url":"u"}}"#,
        );
    }

    #[test]
    fn tool_calls_and_results_are_decoded() {
        check(
            r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": 1.0}"}},{"id":"b","type":"custom","custom":{"name":"g","input":"x"}}]},{"role":"tool","tool_call_id":"a","content":"21"}]"#,
            r#"Assistant: call a f {"x": 1.0}, custom b g x; Tool: result a [text 21]"#,
        );
        check(
            r#"[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":{"x" :1}}}]}]"#,
            r#"Assistant: call a f {"x" :1}"#,
        );
        check(
            r#"[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f"},"extra_content":{"google":{"thought_signature":"s"}}}]}]"#,
            "Assistant: call a f  gemini signed s",
        );
    }

    #[test]
    fn legacy_function_calls_get_generated_ids() {
        check(
            r#"[{"role":"assistant","function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"1"},{"role":"assistant","function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"2"}]"#,
            "Assistant: call call_legacy_1 f {}; Tool: result call_legacy_1 [text 1]; \
             Assistant: call call_legacy_2 f {}; Tool: result call_legacy_2 [text 2]",
        );
    }

    #[test]
    fn reasoning_of_every_spelling_is_decoded() {
        check(
            r#"[{"role":"assistant","reasoning_content":"r","content":"a"}]"#,
            "Assistant: think r, text a",
        );
        check(
            r#"[{"role":"assistant","reasoning":"r","refusal":"no"}]"#,
            "Assistant: think r, refusal no",
        );
        check(
            r#"[{"role":"assistant","reasoning":"r","reasoning_details":[{"a": 1}]}]"#,
            r#"Assistant: think r chat details [{"a": 1}]"#,
        );
        check(
            r#"[{"role":"assistant","reasoning_content":"r","thinking_blocks":[{"type":"thinking","thinking":"r","signature":"s"},{"type":"redacted_thinking","data":"d"}]}]"#,
            "Assistant: think r messages signed s, think  messages encrypted d",
        );
        assert_eq!(decode_request_reasoning::gemini("x".to_owned()).dialect, Dialect::Gemini);
    }

    #[test]
    fn cache_control_is_decoded() {
        check(
            r#"[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"b"}]}]"#,
            "User: text a!, text b",
        );
        check(
            r#"[{"role":"user","content":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]"#,
            "User: text a!",
        );
    }
}
