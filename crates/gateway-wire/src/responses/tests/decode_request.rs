//! The requests of callers.

use crate::{
    InboundDialect as _,
    responses::{ResponsesInbound, reasoning_seals},
};
use gateway_core::{
    ChatRequest, Content, Dialect, Effort, File, Image, Message, Reasoning, Result, Seal, SealKind,
    Source, ToolCall, ToolChoice, ToolKind, ToolResult,
};
use serde_json::json;
use std::fmt::Write as _;

fn decode(body: &str) -> Result<ChatRequest> {
    ResponsesInbound.decode()(body.as_bytes())
}

fn decode_input(input: &str) -> Result<ChatRequest> {
    decode(&format!(r#"{{"model":"m","input":{input}}}"#))
}

/// The messages in one line.
fn sketch(messages: &[Message]) -> String {
    let lines = messages.iter().map(|message| {
        let parts = message.parts.iter().map(|part| piece(&part.content)).collect::<Vec<_>>();
        format!("{:?}[{}]", message.role, parts.join(" "))
    });
    lines.collect::<Vec<_>>().join(" ")
}

fn piece(content: &Content) -> String {
    match content {
        Content::Text(text) => format!("'{text}'"),
        Content::Refusal(text) => format!("refusal '{text}'"),
        Content::Image(Image { source, detail }) => format!("image {} {detail:?}", place(source)),
        Content::Audio(source) => format!("audio {}", place(source)),
        Content::File(File { source, name }) => format!("file {} {name:?}", place(source)),
        Content::Reasoning(Reasoning { text, seal }) => {
            let mut out = format!("thought '{text}'");
            if let Some(Seal { dialect, id, data, .. }) = seal {
                write!(out, " {dialect} {id:?} '{data}'").unwrap();
            }
            out
        }
        Content::ToolCall(ToolCall { id, name, arguments, custom, seal }) => {
            let sealed = if seal.is_some() { " sealed" } else { "" };
            let custom = if *custom { " custom" } else { "" };
            format!("call {id} {name}({arguments}){custom}{sealed}")
        }
        Content::ToolResult(ToolResult { call_id, name, parts, .. }) => {
            let parts: Vec<_> = parts.iter().map(|part| piece(&part.content)).collect();
            format!("result {call_id} {name:?} {}", parts.join(" "))
        }
        Content::Opaque(opaque) => format!("opaque {}", opaque.kind),
    }
}

fn place(source: &Source) -> String {
    match source {
        Source::Inline { media_type, base64 } => format!("{media_type}:{base64}"),
        Source::Url(url) => url.clone(),
        Source::FileId(id) => format!("#{id}"),
    }
}

#[track_caller]
fn reads(input: &str, expected: &str) {
    assert_eq!(sketch(&decode_input(input).unwrap().messages), expected);
}

#[test]
fn input_decodes_from_text_or_messages() {
    reads(r#""hi""#, "User['hi']");
    reads(r#"["hi"]"#, "User['hi']");
    reads("[]", "");
    reads(
        r#"[{"role":"developer","content":"a"},{"role":"user","content":[{"type":"input_text","text":"b"}]},
            {"type":"message","role":"assistant","id":"msg_1","status":"completed",
             "content":[{"type":"output_text","text":"c","annotations":[]},{"type":"refusal","refusal":"d"}]}]"#,
        "Developer['a'] User['b'] Assistant['c' refusal 'd']",
    );
}

#[test]
fn images_and_documents_are_decoded() {
    reads(
        r#"[{"role":"user","content":[
            {"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"low"},
            {"type":"input_image","image_url":"https://a.example/b.png"},
            {"type":"input_image","file_id":"file-1"},
            {"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,BB=="},
            {"type":"input_file","filename":"a.txt","file_data":"CC=="},
            {"type":"input_file","file_url":"https://a.example/c"},
            {"type":"input_file","file_id":"file-2"},
            {"type":"input_audio","input_audio":{"data":"DD==","format":"wav"}}]}]"#,
        concat!(
            r#"User[image image/png:AA== Some("low") image https://a.example/b.png None image #file-1 None "#,
            r#"file application/pdf:BB== Some("a.pdf") file text/plain:CC== Some("a.txt") "#,
            "file https://a.example/c None file #file-2 None audio audio/wav:DD==]",
        ),
    );
}

#[test]
fn adjacent_model_items_become_a_message() {
    reads(
        r#"[{"role":"user","content":"q"},
            {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"a"},{"type":"summary_text","text":"b"}],"encrypted_content":"E"},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"t"}]},
            {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
            {"type":"custom_tool_call","call_id":"c2","name":"g","input":"x"},
            {"type":"function_call_output","call_id":"c1","output":"1"},
            {"type":"custom_tool_call_output","call_id":"c2","output":[{"type":"input_text","text":"2"}]},
            {"type":"reasoning","id":"rs_2","summary":[]},
            {"role":"assistant","content":"u"},
            {"role":"assistant","content":"v"}]"#,
        concat!(
            r#"User['q'] Assistant[thought 'a"#,
            "\n\n",
            r#"b' responses Some("rs_1") 'E' 't' call c1 f({}) call c2 g(x) custom] "#,
            r#"Tool[result c1 Some("f") '1' result c2 Some("g") '2'] "#,
            r#"Assistant[thought '' responses Some("rs_2") '' 'u'] Assistant['v']"#,
        ),
    );
}

#[test]
fn unknown_items_are_preserved() {
    reads(
        r#"[{"type":"item_reference","id":"msg_1"},{"type":"web_search_call","id":"ws_1"},
            {"type":"function_call","namespace":"n","call_id":"c","name":"f","arguments":"{}"},
            {"type":"computer_call_output","call_id":"c","output":{}},
            {"role":"user","content":[{"type":"input_video","x":1}]}]"#,
        "Assistant[opaque item_reference opaque web_search_call opaque function_call] \
         Tool[opaque computer_call_output] User[opaque input_video]",
    );
}

#[track_caller]
fn refuses(body: &str, param: &str) {
    let error = decode(body).unwrap_err();
    assert_eq!(error.param(), Some(param), "{error}");
    assert_eq!(error.kind(), gateway_core::ErrorKind::InvalidRequest);
}

#[test]
fn invalid_value_is_named_in_error() {
    refuses("[]", "body");
    refuses(r#"{"input":"x"}"#, "model");
    refuses(r#"{"model":1,"input":"x"}"#, "model");
    refuses(r#"{"model":"m"}"#, "input");
    refuses(r#"{"model":"m","input":5}"#, "input");
    refuses(r#"{"model":"m","input":[5]}"#, "input[0]");
    refuses(r#"{"model":"m","input":["a",{"role":"x","content":""}]}"#, "input[1].role");
    refuses(r#"{"model":"m","input":[{"role":"user"}]}"#, "input[0].content");
    refuses(r#"{"model":"m","input":[{"role":"user","content":5}]}"#, "input[0].content");
    refuses(
        r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text"}]}]}"#,
        "input[0].content[0].text",
    );
    refuses(
        r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_image"}]}]}"#,
        "input[0].content[0].image_url",
    );
    refuses(r#"{"model":"m","input":[{"type":"function_call"}]}"#, "input[0].call_id");
    refuses(r#"{"model":"m","input":"x","tools":{}}"#, "tools");
    refuses(r#"{"model":"m","input":"x","tools":[{"type":"function"}]}"#, "tools[0].name");
    refuses(r#"{"model":"m","input":"x","tool_choice":5}"#, "tool_choice");
    refuses(r#"{"model":"m","input":"x","temperature":"hot"}"#, "temperature");
    refuses(r#"{"model":"m","input":"x","reasoning":{"effort":5}}"#, "reasoning");
    refuses(r#"{"model":"m","input":"x","text":{"format":{"type":5}}}"#, "text");
}

#[test]
fn continued_response_needs_no_input() {
    assert!(decode(r#"{"model":"m","previous_response_id":"resp_1"}"#).is_ok());
}

#[test]
fn options_are_decoded_and_the_rest_preserved() {
    let request = decode(
        r#"{"model":"m","input":"x","instructions":"i","stream":true,"session_id":"s",
            "max_output_tokens":20,"temperature":0.5,"top_p":1,"top_logprobs":2,"safety_identifier":"u",
            "include":["message.output_text.logprobs"],"reasoning":{"effort":"xhigh","summary":"auto"},
            "text":{"verbosity":"low","format":{"type":"json_schema","name":"n","schema":{"a": 1}}},
            "service_tier":"flex","parallel_tool_calls":false,"truncation":null,"store":false}"#,
    )
    .unwrap();
    assert_eq!(sketch(&request.messages), "System['i'] User['x']");
    assert!(request.stream && request.parallel_tool_calls == Some(false));
    let options = &request.options;
    assert_eq!((options.max_tokens, options.top_logprobs), (Some(20), Some(2)));
    assert_eq!((options.logprobs, options.user.as_deref()), (Some(true), Some("u")));
    assert_eq!(options.reasoning.as_ref().unwrap().effort, Some(Effort::XHigh));
    assert_eq!(options.verbosity.as_deref(), Some("low"));
    let kept: Vec<_> = request.extra.iter().map(|(name, _)| name).collect();
    assert_eq!(kept, ["instructions", "safety_identifier", "include", "truncation", "store"]);
}

#[test]
fn omitted_strict_defaults_to_true() {
    let request = decode(
        r#"{"model":"m","input":"x","tools":[{"type":"function","name":"f","parameters":{}},
            {"type":"function","name":"g","strict":false},{"type":"web_search"}],
            "tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"},{"type":"web_search"}]}}"#,
    )
    .unwrap();
    let strict: Vec<_> = request
        .tools
        .iter()
        .map(|tool| match &tool.kind {
            ToolKind::Function(function) => function.strict,
            ToolKind::Custom(_) | ToolKind::Hosted(_) => None,
        })
        .collect();
    assert_eq!(strict, [Some(true), Some(false), None]);
    let names = vec!["f".to_owned(), "web_search".to_owned()];
    assert_eq!(request.tool_choice, Some(ToolChoice::Allowed { names, required: true }));
}

#[test]
fn foreign_seal_survives_the_caller() {
    let seal = Seal {
        dialect: Dialect::Gemini,
        kind: SealKind::Signature,
        id: None,
        data: "S".to_owned(),
    };
    let carried = reasoning_seals::wrap(&seal, Some("c"), "rs_1");
    let input = json!([
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": carried},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]);
    reads(&input.to_string(), "Assistant[call c f({}) sealed]");
}
