//! The things that a request may say besides a user's text.

use super::probes::{
    SCHEMA, any, assistant_says, call, choose, document, exchange, functions, hosted, inline,
    is_hosted, is_inline, is_url, number, picture, result, say,
};
use gateway_core::{
    CacheControl, ChatRequest, Content, Custom, Dialect, Effort, Image, Json, Message, Part,
    ReasoningOptions, ResponseFormat, Role, Source, ToolChoice, ToolKind, ToolSpec,
};

/// Something that a request may say.
#[derive(Clone, Copy, Debug)]
pub struct RequestFeature {
    /// The name of the feature in the documentation.
    pub name: &'static str,
    /// Among what it is listed.
    pub group: FeatureGroup,
    /// Adds the feature to a request.
    pub add: fn(&mut ChatRequest),
    /// Says what it is said with, and not it.
    pub bare: fn(&mut ChatRequest),
    /// Whether it is said.
    pub seen: fn(&ChatRequest) -> bool,
}

/// The subject of a feature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FeatureGroup {
    /// Content of messages.
    Messages,
    /// Tools and tool choice.
    Tools,
    /// Generation parameters.
    Options,
}

impl FeatureGroup {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Messages, Self::Tools, Self::Options];

    /// The head of its table.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Messages => "Messages",
            Self::Tools => "Tools",
            Self::Options => "Options",
        }
    }
}

const fn message(
    name: &'static str,
    add: fn(&mut ChatRequest),
    seen: fn(&ChatRequest) -> bool,
) -> RequestFeature {
    RequestFeature { name, group: FeatureGroup::Messages, add, bare: |_| {}, seen }
}

const fn tool(
    name: &'static str,
    add: fn(&mut ChatRequest),
    seen: fn(&ChatRequest) -> bool,
) -> RequestFeature {
    RequestFeature { name, group: FeatureGroup::Tools, add, bare: |_| {}, seen }
}

const fn option(
    name: &'static str,
    add: fn(&mut ChatRequest),
    seen: fn(&ChatRequest) -> bool,
) -> RequestFeature {
    RequestFeature { name, group: FeatureGroup::Options, add, bare: |_| {}, seen }
}

impl RequestFeature {
    /// The same, which is said with something else.
    const fn besides(self, bare: fn(&mut ChatRequest)) -> Self {
        Self { bare, ..self }
    }
}

/// The features that the matrix distinguishes.
pub const FEATURES: &[RequestFeature] = &[
    message(
        "instructions",
        |it| it.messages.insert(0, Message::text(Role::System, "be brief")),
        |it| {
            let told = |role| matches!(role, Role::System | Role::Developer);
            it.messages.iter().any(|it| told(it.role) && it.plain_text().contains("be brief"))
        },
    ),
    message(
        "assistant message",
        |it| exchange(it, Content::Text("hello you".to_owned())),
        |it| assistant_says(it, "hello you"),
    ),
    message(
        "assistant refusal",
        |it| exchange(it, Content::Refusal("I will not".to_owned())),
        |it| assistant_says(it, "I will not"),
    ),
    message(
        "image, inline",
        |it| picture(it, inline("image/png")),
        |it| any(it, |it| matches!(it, Content::Image(image) if is_inline(&image.source))),
    ),
    message(
        "image, by URL",
        |it| picture(it, Source::Url("https://h/i.png".to_owned())),
        |it| any(it, |it| matches!(it, Content::Image(image) if is_url(&image.source))),
    ),
    message(
        "image `detail`",
        |it| {
            let (source, detail) = (inline("image/gif"), Some("low".to_owned()));
            say(it, Content::Image(Image { source, detail }));
        },
        |it| any(it, |it| matches!(it, Content::Image(image) if image.detail.is_some())),
    ).besides(|it| picture(it, inline("image/gif"))),
    message(
        "audio input",
        |it| say(it, Content::Audio(inline("audio/wav"))),
        |it| any(it, |it| matches!(it, Content::Audio(_))),
    ),
    message(
        "document, inline",
        |it| document(it, inline("application/pdf")),
        |it| any(it, |it| matches!(it, Content::File(file) if is_inline(&file.source))),
    ),
    message(
        "document, by URL",
        |it| document(it, Source::Url("https://h/d.pdf".to_owned())),
        |it| any(it, |it| matches!(it, Content::File(file) if is_url(&file.source))),
    ),
    message(
        "document, by OpenAI file id",
        |it| {
            // Whose id it is, the caller's dialect tells.
            it.dialect = Some(Dialect::Chat);
            document(it, Source::FileId("file-1".to_owned()));
        },
        |it| {
            any(
                it,
                |it| matches!(it, Content::File(file) if matches!(file.source, Source::FileId(_))),
            )
        },
    ).besides(|it| it.dialect = Some(Dialect::Chat)),
    message(
        "participant `name`",
        |it| {
            let name = Some("ann".to_owned());
            it.messages.push(Message { name, ..Message::text(Role::User, "it is me") });
        },
        |it| it.messages.iter().any(|it| it.name.as_deref() == Some("ann")),
    ).besides(|it| it.messages.push(Message::text(Role::User, "it is me"))),
    message(
        "prompt caching mark",
        |it| {
            let text = Content::Text("remember this".to_owned());
            let part = Part { content: text, cache: Some(CacheControl { ttl: None }) };
            it.messages.insert(0, Message::new(Role::System, [part]));
        },
        |it| it.messages.iter().flat_map(|it| &it.parts).any(|part| part.cache.is_some()),
    ).besides(|it| it.messages.insert(0, Message::text(Role::System, "remember this"))),
    tool(
        "function tool",
        |it| functions(it, None),
        |it| it.tools.iter().any(|tool| tool.name() == "find"),
    ),
    tool(
        "function `strict`",
        |it| functions(it, Some(true)),
        |it| {
            let strict = |tool: &ToolSpec| matches!(&tool.kind, ToolKind::Function(it) if it.strict == Some(true));
            it.tools.iter().any(strict)
        },
    ).besides(|it| functions(it, None)),
    tool(
        "custom tool (free text)",
        |it| {
            let name = "sql".to_owned();
            let kind = ToolKind::Custom(Custom { name, description: None, format: None });
            it.tools.push(ToolSpec { kind, cache: None });
        },
        |it| it.tools.iter().any(|tool| matches!(tool.kind, ToolKind::Custom(_))),
    ),
    tool(
        "Anthropic server tool",
        |it| hosted(it, Dialect::Messages, r#"{"type":"web_search_20250305","name":"web_search"}"#),
        |it| is_hosted(it, Dialect::Messages),
    ),
    tool(
        "OpenAI server tool",
        |it| hosted(it, Dialect::Responses, r#"{"type":"web_search"}"#),
        |it| is_hosted(it, Dialect::Responses),
    ),
    tool(
        "tool call and result",
        |it| call(it, vec![Content::Text("two".to_owned()).into()], false),
        |it| {
            result(it, |it| {
                !it.is_error && Message::new(Role::Tool, it.parts.clone()).plain_text() == "two"
            })
        },
    ),
    tool(
        "tool error flag",
        |it| call(it, vec![Content::Text("it broke".to_owned()).into()], true),
        |it| result(it, |it| it.is_error),
    ).besides(|it| call(it, vec![Content::Text("it broke".to_owned()).into()], false)),
    tool(
        "image as tool result",
        |it| {
            let image = Image { source: inline("image/webp"), detail: None };
            call(it, vec![Content::Image(image).into()], false);
        },
        |it| result(it, |it| it.parts.iter().any(|it| matches!(it.content, Content::Image(_)))),
    ).besides(|it| call(it, Vec::new(), false)),
    tool(
        "`tool_choice`: none",
        |it| choose(it, ToolChoice::None),
        |it| {
            // Where it cannot be said, there are no tools to be called.
            it.tool_choice == Some(ToolChoice::None)
        },
    ).besides(|it| functions(it, None)),
    tool(
        "`tool_choice`: required",
        |it| choose(it, ToolChoice::Required),
        |it| it.tool_choice == Some(ToolChoice::Required),
    ).besides(|it| functions(it, None)),
    tool(
        "`tool_choice`: named tool",
        |it| choose(it, ToolChoice::Named("find".to_owned())),
        |it| it.tool_choice == Some(ToolChoice::Named("find".to_owned())),
    ).besides(|it| functions(it, None)),
    tool(
        "`parallel_tool_calls`: false",
        |it| {
            functions(it, None);
            it.parallel_tool_calls = Some(false);
        },
        |it| it.parallel_tool_calls == Some(false),
    ).besides(|it| functions(it, None)),
    option(
        "`temperature`",
        |it| it.options.temperature = Some(1.into()),
        |it| it.options.temperature.is_some(),
    ),
    option("`top_p`", |it| it.options.top_p = number(0.5), |it| it.options.top_p.is_some()),
    option("`top_k`", |it| it.options.top_k = Some(40), |it| it.options.top_k == Some(40)),
    option("`n`", |it| it.options.n = Some(2), |it| it.options.n == Some(2)),
    option(
        "`stop`",
        |it| it.options.stop = vec!["END".to_owned()],
        |it| it.options.stop == ["END"],
    ),
    option("`seed`", |it| it.options.seed = Some(7.into()), |it| it.options.seed.is_some()),
    option(
        "`presence_penalty`",
        |it| it.options.presence_penalty = Some(1.into()),
        |it| it.options.presence_penalty.is_some(),
    ),
    option(
        "`frequency_penalty`",
        |it| it.options.frequency_penalty = Some(1.into()),
        |it| it.options.frequency_penalty.is_some(),
    ),
    option(
        "`logit_bias`",
        |it| it.options.logit_bias = Json::parse(r#"{"50256":-100}"#).ok(),
        |it| it.options.logit_bias.is_some(),
    ),
    option(
        "`logprobs`, `top_logprobs`",
        |it| (it.options.logprobs, it.options.top_logprobs) = (Some(true), Some(3)),
        |it| it.options.top_logprobs == Some(3),
    ),
    option(
        "`response_format`: `json_object`",
        |it| it.options.response_format = Some(ResponseFormat::JsonObject),
        |it| it.options.response_format == Some(ResponseFormat::JsonObject),
    ),
    option(
        "`response_format`: `json_schema`",
        |it| {
            it.options.response_format = Some(ResponseFormat::JsonSchema {
                name: "answer".to_owned(),
                description: None,
                schema: Json::parse(SCHEMA).ok(),
                strict: None,
            });
        },
        |it| matches!(it.options.response_format, Some(ResponseFormat::JsonSchema { .. })),
    ),
    option(
        "`reasoning_effort`",
        |it| {
            let effort = Some(Effort::Low);
            it.options.reasoning = Some(ReasoningOptions { effort, ..ReasoningOptions::default() });
        },
        |it| {
            it.options
                .reasoning
                .as_ref()
                .is_some_and(|it| it.effort.is_some() || it.budget > Some(0))
        },
    ),
    option(
        "`verbosity`",
        |it| it.options.verbosity = Some("low".to_owned()),
        |it| it.options.verbosity.is_some(),
    ),
    option("`user`", |it| it.options.user = Some("u-1".to_owned()), |it| it.options.user.is_some()),
    option(
        "`service_tier`: `flex`",
        |it| it.options.service_tier = Some("flex".to_owned()),
        |it| it.options.service_tier.as_deref() == Some("flex"),
    ),
];
