//! Builders of requests with one feature, and the matching detectors.

use gateway_core::{
    ChatRequest, Content, Dialect, File, Image, Json, Message, Opaque, Part, Role, Source,
    ToolCall, ToolChoice, ToolKind, ToolResult, ToolSpec,
};

pub(super) const SCHEMA: &str = r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#;

/// A PNG image of one red pixel, in base64.
const DOT: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

pub(super) fn number(value: f64) -> Option<serde_json::Number> {
    serde_json::Number::from_f64(value)
}

pub(super) fn say(request: &mut ChatRequest, content: Content) {
    let text = Content::Text("look at this".to_owned());
    request.messages.push(Message::new(Role::User, [text, content]));
}

/// A turn of the model, before the last of the user.
pub(super) fn exchange(request: &mut ChatRequest, content: Content) {
    request.messages.push(Message::new(Role::Assistant, [content]));
    request.messages.push(Message::text(Role::User, "and now?"));
}

pub(super) fn picture(request: &mut ChatRequest, source: Source) {
    say(request, Content::Image(Image { source, detail: None }));
}

pub(super) fn document(request: &mut ChatRequest, source: Source) {
    say(request, Content::File(File { source, name: Some("d.pdf".to_owned()) }));
}

pub(super) fn inline(media_type: &str) -> Source {
    Source::Inline { media_type: media_type.to_owned(), base64: DOT.to_owned() }
}

pub(super) const fn is_inline(source: &Source) -> bool {
    matches!(source, Source::Inline { .. })
}

pub(super) const fn is_url(source: &Source) -> bool {
    matches!(source, Source::Url(_))
}

pub(super) fn functions(request: &mut ChatRequest, strict: Option<bool>) {
    let mut tool = ToolSpec::function(
        "find",
        "Finds it",
        Json::parse(SCHEMA).unwrap_or_else(|_| Json::null()),
    );
    if let ToolKind::Function(function) = &mut tool.kind {
        function.strict = strict;
    }
    request.tools.push(tool);
}

pub(super) fn choose(request: &mut ChatRequest, choice: ToolChoice) {
    functions(request, None);
    request.tool_choice = Some(choice);
}

pub(super) fn hosted(request: &mut ChatRequest, dialect: Dialect, json: &str) {
    let json = Json::parse(json).unwrap_or_else(|_| Json::null());
    let kind = "web_search".to_owned();
    let kind = ToolKind::Hosted(Opaque { dialect, kind, json });
    request.tools.push(ToolSpec { kind, cache: None });
}

pub(super) fn is_hosted(request: &ChatRequest, dialect: Dialect) -> bool {
    let hosted =
        |tool: &ToolSpec| matches!(&tool.kind, ToolKind::Hosted(it) if it.dialect == dialect);
    request.tools.iter().any(hosted)
}

pub(super) fn call(request: &mut ChatRequest, parts: Vec<Part>, is_error: bool) {
    let (id, name) = ("call_1".to_owned(), "find".to_owned());
    functions(request, None);
    let asked = ToolCall {
        id: id.clone(),
        name: name.clone(),
        arguments: r#"{"a":"b"}"#.to_owned(),
        ..ToolCall::default()
    };
    request.messages.push(Message::new(Role::Assistant, [Content::ToolCall(asked)]));
    let result = ToolResult { call_id: id, name: Some(name), parts, is_error };
    request.messages.push(Message::new(Role::Tool, [Content::ToolResult(result)]));
}

pub(super) fn any(request: &ChatRequest, is: impl Fn(&Content) -> bool) -> bool {
    request.messages.iter().flat_map(|it| &it.parts).any(|part| is(&part.content))
}

pub(super) fn result(request: &ChatRequest, is: impl Fn(&ToolResult) -> bool) -> bool {
    any(request, |it| matches!(it, Content::ToolResult(result) if is(result)))
}

pub(super) fn assistant_says(request: &ChatRequest, words: &str) -> bool {
    let text = |it: &Content| matches!(it, Content::Text(text) | Content::Refusal(text) if text.contains(words));
    let model = request.messages.iter().filter(|it| it.role == Role::Assistant);
    model.flat_map(|it| &it.parts).any(|part| text(&part.content))
}
