//! Losses of a translated request, and the members for which it is refused.

use crate::unknown_values::refuse_unknown_values;
use gateway_core::{
    ChatRequest, Content, Dialect, DroppedParams, GatewayError, Json, Message, Opaque, Part,
    ResponseFormat, Result, Role, ToolKind, ToolSpec,
};

/// Reports in `dropped` what the neutral form of `request` had no place for, and what an upstream of
/// the dialect `upstream` has no place for.
///
/// # Errors
///
/// If the request would mean something else without it: the error names the member.
pub fn report_translation_losses(
    request: &ChatRequest,
    upstream: Dialect,
    dropped: &mut DroppedParams,
) -> Result<()> {
    for name in &request.unmodelled {
        dropped.insert(name.clone());
    }
    if request.dialect == Some(upstream) {
        return Ok(());
    }
    refuse_members(request)?;
    refuse_unknown_values(request)?;
    refuse_tools(request, upstream)?;
    request.messages.iter().try_for_each(|message| refuse_parts(message, upstream))?;
    report_options(request, upstream, dropped);
    // The others write the marks, or report them.
    let has_marks = !matches!(upstream, Dialect::Chat | Dialect::Messages) && is_marked(request);
    dropped.insert_if(has_marks, "cache_control");
    Ok(())
}

/// Members of the Responses API that the gateway itself sees to, whatever the upstream: they are
/// messages to it, or are returned with every response.
const HANDLED: [&str; 6] =
    ["background", "conversation", "instructions", "metadata", "previous_response_id", "store"];

/// Values of `include` that the gateway sees to.
const INCLUDED: [&str; 2] = ["reasoning.encrypted_content", "message.output_text.logprobs"];

/// Reports the unmodelled members of a request from a caller of another dialect, except those that
/// are `written`.
pub(crate) fn report_extra(request: &ChatRequest, written: &[&str], dropped: &mut DroppedParams) {
    let is_responses = request.dialect == Some(Dialect::Responses);
    for (name, json) in request.extra.iter() {
        let is_handled = is_responses && (HANDLED.contains(&name) || is_included(name, json));
        let says_nothing = matches!(json.get(), "null" | "{}" | "[]");
        if !is_handled && !says_nothing && !written.contains(&name) {
            dropped.insert(name.to_owned());
        }
    }
}

fn is_included(name: &str, json: &Json) -> bool {
    let entries = || json.read::<Vec<String>>().unwrap_or_default();
    name == "include" && entries().iter().all(|entry| INCLUDED.contains(&entry.as_str()))
}

/// Reports the options that an upstream has no word for.
fn report_options(request: &ChatRequest, upstream: Dialect, dropped: &mut DroppedParams) {
    let options = &request.options;
    let is_plain = matches!(upstream, Dialect::Gemini | Dialect::Ollama);
    let is_strict =
        |tool: &ToolSpec| matches!(&tool.kind, ToolKind::Function(it) if it.strict == Some(true));
    dropped.insert_if(is_plain && request.tools.iter().any(is_strict), "tools.strict");
    // Alternatives come with probabilities, or not at all.
    let has_alternatives = options.top_logprobs.is_some_and(|count| count > 0);
    let asks_none = has_alternatives && options.logprobs != Some(true);
    dropped.insert_if(is_plain && asks_none, "top_logprobs");
    let is_described = matches!(
        &options.response_format,
        Some(ResponseFormat::JsonSchema { description: Some(_), .. })
    );
    let has_descriptions = matches!(upstream, Dialect::Chat | Dialect::Responses);
    dropped.insert_if(is_described && !has_descriptions, "response_format.description");
    let summary = options.reasoning.as_ref().and_then(|it| it.summary.as_deref());
    // `auto` is what an upstream shows anyway.
    let is_special = summary.is_some_and(|summary| matches!(summary, "concise" | "detailed"));
    let is_hidden =
        summary == Some("omitted") && matches!(upstream, Dialect::Chat | Dialect::Ollama);
    let has_summaries = matches!(upstream, Dialect::Responses | Dialect::Gemini);
    dropped.insert_if((is_special && !has_summaries) || is_hidden, "reasoning.summary");
    let is_titled =
        |part: &Part| matches!(&part.content, Content::File(file) if file.name.is_some());
    let has_titles = request.messages.iter().any(|message| message.parts.iter().any(is_titled));
    // Other callers have to name a file.
    let has_titles = has_titles && request.dialect == Some(Dialect::Messages);
    dropped.insert_if(is_plain && has_titles, "title");
}

/// Members of a request that change its meaning, and that no other dialect has.
fn refuse_members(request: &ChatRequest) -> Result<()> {
    let members: &[&str] = match request.dialect {
        Some(Dialect::Messages) => &["compaction", "container", "mcp_servers", "inference_geo"],
        Some(Dialect::Responses) => &["prompt"],
        Some(Dialect::Gemini) => {
            &["cachedContent", "cached_content", "continuationToken", "continuation_token"]
        }
        Some(Dialect::Chat | Dialect::Ollama) | None => &[],
    };
    let is_said = |name: &&&str| {
        request.extra.get(name).is_some_and(|it| !matches!(it.get(), "null" | "[]" | "{}"))
    };
    match members.iter().find(is_said) {
        Some(name) => Err(refusal((*name).to_owned(), &format!("'{name}'"))),
        None => Ok(()),
    }
}

/// Servers of tools that only the caller's own provider connects to.
fn refuse_tools(request: &ChatRequest, upstream: Dialect) -> Result<()> {
    let is_connector = |hosted: &Opaque| {
        hosted.dialect != upstream && matches!(hosted.kind.as_str(), "mcp" | "mcp_toolset")
    };
    let connector = request.tools.iter().find_map(|tool| match &tool.kind {
        ToolKind::Hosted(hosted) if is_connector(hosted) => Some(hosted.kind.as_str()),
        ToolKind::Hosted(_) | ToolKind::Function(_) | ToolKind::Custom(_) => None,
    });
    match connector {
        Some(kind) => Err(refusal("tools".to_owned(), &format!("tools of type '{kind}'"))),
        None => Ok(()),
    }
}

/// Refuses parts of the user, and compacted conversations, that the upstream cannot get.
fn refuse_parts(message: &Message, upstream: Dialect) -> Result<()> {
    let is_needed = |kind: &str| message.role == Role::User || kind == "compaction";
    let foreign = message.parts.iter().find_map(|part| {
        let Content::Opaque(it) = &part.content else { return None };
        (it.dialect != upstream && is_needed(&it.kind)).then_some(it.kind.as_str())
    });
    match foreign {
        Some(kind) => {
            let kind: String = kind.chars().filter(char::is_ascii_graphic).take(64).collect();
            Err(refusal("messages".to_owned(), &format!("a part of type '{kind}'")))
        }
        None => Ok(()),
    }
}

fn is_marked(request: &ChatRequest) -> bool {
    let is_marked = |part: &Part| {
        part.cache.is_some()
            || matches!(&part.content, Content::ToolResult(it)
                if it.parts.iter().any(|part| part.cache.is_some()))
    };
    request.tools.iter().any(|tool| tool.cache.is_some())
        || request.messages.iter().any(|message| message.parts.iter().any(is_marked))
}

fn refusal(param: String, what: &str) -> GatewayError {
    GatewayError::invalid(param, format!("the model's provider cannot be sent {what}"))
        .with_code("unsupported_parameter")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InboundDialect as _, messages::MessagesInbound, responses::ResponsesInbound};

    /// What is reported, or the parameter that is refused.
    #[track_caller]
    fn check(request: &ChatRequest, upstream: Dialect, expected: Result<&str, &str>) {
        let mut dropped = DroppedParams::default();
        let result = report_translation_losses(request, upstream, &mut dropped);
        let reported = dropped.iter().collect::<Vec<_>>().join(" ");
        let result = result.as_ref().map(|()| reported.as_str());
        assert_eq!(result.map_err(|error| error.param().unwrap()), expected);
    }

    fn messages(members: &str) -> ChatRequest {
        let body = format!(
            r#"{{"model":"m","max_tokens":9,{members}"messages":[{{"role":"user","content":[{{"type":"text","text":"hi"}}]}}]}}"#
        );
        MessagesInbound.decode()(body.as_bytes()).unwrap()
    }

    #[test]
    fn members_that_change_the_meaning_are_refused() {
        for name in ["compaction", "container", "mcp_servers", "inference_geo"] {
            let request = messages(&format!(r#""{name}":"x","#));
            check(&request, Dialect::Gemini, Err(name));
            check(&request, Dialect::Messages, Ok(""));
        }
        check(&messages(r#""mcp_servers":[],"#), Dialect::Chat, Ok(""));
        let tools = r#""tools":[{"type":"mcp_toolset","mcp_server_name":"a"}],"#;
        check(&messages(tools), Dialect::Chat, Err("tools"));
    }

    #[test]
    fn members_without_a_place_are_reported() {
        let tools = r#""tools":[{"name":"f","input_schema":{},"defer_loading":true}],"#;
        for upstream in [Dialect::Chat, Dialect::Messages, Dialect::Gemini] {
            check(&messages(tools), upstream, Ok("tools.defer_loading"));
        }
    }

    #[test]
    fn cache_marks_are_reported_where_none_are_written() {
        let marked =
            r#""tools":[{"name":"f","input_schema":{},"cache_control":{"type":"ephemeral"}}],"#;
        check(&messages(marked), Dialect::Gemini, Ok("cache_control"));
        check(&messages(marked), Dialect::Messages, Ok(""));
    }

    #[test]
    fn unknown_parts_of_the_user_are_refused() {
        let body =
            br#"{"model":"m","input":[{"role":"user","content":[{"type":"input_video","x":1}]}]}"#;
        let request = ResponsesInbound.decode()(body).unwrap();
        check(&request, Dialect::Chat, Err("messages"));
        check(&request, Dialect::Responses, Ok(""));
    }
}
