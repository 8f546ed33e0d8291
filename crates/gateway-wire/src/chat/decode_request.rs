//! Reads requests of callers.

use super::{decode_request_messages, decode_request_options::option, request_shape, tools_decode};
use crate::json::{
    lazy_object::LazyObject,
    lenient::LossyText,
    path::{JsonPath, read, reason},
};
use crate::request_shape::members_without_place;
use gateway_core::{ChatRequest, Dialect, GatewayError, Result, ToolSpec};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Reads a request.
///
/// A member that is `null` counts as absent. What we do not model is kept in `extra`.
pub(super) fn decode(body: &[u8]) -> Result<ChatRequest> {
    let object: LazyObject<'_> = serde_json::from_slice(body).map_err(|error| {
        GatewayError::invalid("body", format!("the body cannot be read: {}", reason(&error)))
    })?;
    let mut request = ChatRequest { dialect: Some(Dialect::Chat), ..ChatRequest::default() };
    let mut functions: Vec<ToolSpec> = Vec::new();
    for (name, raw) in &object.0 {
        if raw.get() == "null" {
            continue;
        }
        let at = JsonPath::Root.member(name);
        match name.as_ref() {
            "functions" => {
                functions = tools_decode::functions(raw, &at)?;
                request.legacy_functions = true;
            }
            "function_call" => {
                let choice = tools_decode::function_call(raw, &at)?;
                request.legacy_functions = true;
                // The newer spelling counts, and the older one is passed on or reported.
                if object.get("tool_choice").is_some_and(|newer| newer.get() != "null") {
                    request.extra.push(name.as_ref(), (*raw).into());
                } else {
                    request.tool_choice = choice;
                }
            }
            _ => member(&mut request, name, raw, &at)?,
        }
    }
    request.tools.extend(functions);
    request.unmodelled = members_without_place(request_shape::MEMBERS, body);
    complete(&request)?;
    Ok(request)
}

fn member(request: &mut ChatRequest, name: &str, raw: &RawValue, at: &JsonPath<'_>) -> Result<()> {
    match name {
        "model" => request.model = read::<LossyText<'_>>(raw, at)?.into_string(),
        "messages" => request.messages = decode_request_messages::messages(raw, at)?,
        "tools" => request.tools = tools_decode::tools(raw, at)?,
        "tool_choice" => match tools_decode::choice(raw, at)? {
            Some(choice) => request.tool_choice = Some(choice),
            None => request.extra.push(name, raw.into()),
        },
        "parallel_tool_calls" => request.parallel_tool_calls = Some(read(raw, at)?),
        "stream" => request.stream = read(raw, at)?,
        "stream_options" => {
            let options: ChatStreamOptionsWire = read(raw, at)?;
            request.stream_usage = options.include_usage.unwrap_or_default();
        }
        // The gateway's own.
        "session_id" => {}
        _ => {
            if !option(&mut request.options, name, raw, at)? {
                request.extra.push(name, raw.into());
            }
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct ChatStreamOptionsWire {
    include_usage: Option<bool>,
}

/// Checks that nothing is missing without which there is no request.
fn complete(request: &ChatRequest) -> Result<()> {
    if request.model.is_empty() {
        return Err(GatewayError::invalid("model", "model is required"));
    }
    if request.messages.is_empty() {
        return Err(no_messages());
    }
    Ok(())
}

/// The error of a request that says nothing.
pub(super) fn no_messages() -> GatewayError {
    GatewayError::invalid("messages", "messages must be a list of at least one message")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a request with `members` besides the usual ones; `expected` is the parameter at fault.
    #[track_caller]
    fn check(members: &str, expected: &str) {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{}{members}}}"#,
            if members.is_empty() { "" } else { "," }
        );
        let at = decode(body.as_bytes()).map_err(|error| error.param().unwrap().to_owned());
        assert_eq!(at.err().unwrap_or_default(), expected, "{members}");
    }

    #[test]
    fn valid_members_are_accepted() {
        check("", "");
        check(r#""temperature":2,"top_p":0.0,"n":128,"presence_penalty":-2"#, "");
        check(r#""stop":null,"tools":null,"stream":null,"max_tokens":null"#, "");
        check(r#""max_completion_tokens":1,"seed":-5,"logprobs":true,"top_logprobs":20"#, "");
        check(r#""stream_options":{"include_usage":true}"#, "");
    }

    #[test]
    fn invalid_member_is_named_in_error() {
        check(r#""temperature":2.1"#, "temperature");
        check(r#""temperature":"hot""#, "temperature");
        check(r#""top_p":-0.1"#, "top_p");
        check(r#""n":0"#, "n");
        check(r#""n":129"#, "n");
        check(r#""max_tokens":0"#, "max_tokens");
        check(r#""max_tokens":-5"#, "max_tokens");
        check(r#""max_completion_tokens":1.5"#, "max_completion_tokens");
        check(r#""presence_penalty":3"#, "presence_penalty");
        check(r#""frequency_penalty":-2.5"#, "frequency_penalty");
        check(r#""top_logprobs":21"#, "top_logprobs");
        check(r#""stop":5"#, "stop");
        check(r#""stop":["a",5]"#, "stop[1]");
        check(r#""stream":"yes""#, "stream");
        check(r#""stream_options":{"include_usage":"yes"}"#, "stream_options");
        check(r#""tools":{}"#, "tools");
        check(r#""tools":[{"type":"function","function":{}}]"#, "tools[0].function.name");
        check(r#""tool_choice":5"#, "tool_choice");
        check(r#""tool_choice":{"type":"function"}"#, "tool_choice.function.name");
        check(r#""messages":[]"#, "messages");
        check(r#""messages":null"#, "");
        check(r#""messages":"hi""#, "messages");
        check(r#""messages":["hi"]"#, "messages[0]");
        check(r#""messages":[{"role":"robot","content":""}]"#, "messages[0].role");
        check(r#""messages":[{"content":""}]"#, "messages[0].role");
        check(r#""messages":[{"role":"user","content":5}]"#, "messages[0].content");
        check(r#""messages":[{"role":"user","content":[5]}]"#, "messages[0].content[0]");
        check(
            r#""messages":[{"role":"user","content":[{"type":"text","text":5}]}]"#,
            "messages[0].content[0].text",
        );
        check(r#""messages":[{"role":"user","content":[{}]}]"#, "messages[0].content[0].type");
        check(r#""messages":[{"role":"tool","content":""}]"#, "messages[0].tool_call_id");
        check(
            r#""messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function"}]}]"#,
            "messages[0].tool_calls[0].function",
        );
        check(r#""response_format":{"type":"json_schema"}"#, "response_format.json_schema");
    }

    #[test]
    fn missing_model_or_messages_is_rejected() {
        let missing = |body: &str| decode(body.as_bytes()).unwrap_err().param().unwrap().to_owned();
        assert_eq!(missing(r#"{"messages":[]}"#), "model");
        assert_eq!(missing(r#"{"model":"m"}"#), "messages");
        assert_eq!(missing("[]"), "body");
    }

    #[test]
    fn unknown_members_are_preserved() {
        let body = r#"{"model":"m","x":{"a" : 1.0},"messages":[{"role":"user","content":"hi"}],
            "session_id":"s","y":12345678901234567890}"#;
        let request = decode(body.as_bytes()).unwrap();
        let extra: Vec<_> = request.extra.iter().map(|(name, it)| (name, it.get())).collect();
        assert_eq!(extra, [("x", r#"{"a" : 1.0}"#), ("y", "12345678901234567890")]);
    }

    #[test]
    fn legacy_functions_are_decoded_as_tools() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],
            "functions":[{"name":"f"}],"function_call":{"name":"f"}}"#;
        let request = decode(body.as_bytes()).unwrap();
        assert!(request.legacy_functions);
        assert_eq!(request.tools[0].name(), "f");
        assert_eq!(request.tool_choice, Some(gateway_core::ToolChoice::Named("f".to_owned())));
    }
}
