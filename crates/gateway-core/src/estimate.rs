//! How many tokens a request has, roughly, where nobody counts them for us.

use crate::{ChatRequest, Content, Part, ToolKind, ToolSpec};

/// How many tokens a model called `model` would read of `request`.
///
/// Characters divided by what a token of the model's family holds on average, and a little for each
/// message. What is told of tools is read too, so it counts. A picture counts as one of middling
/// size, and so does what else is no text: its bytes say little of what it costs.
pub fn tokens(request: &ChatRequest, model: &str) -> u64 {
    let mut size = Size::default();
    for message in &request.messages {
        size.parts(&message.parts);
    }
    for tool in &request.tools {
        size.tool(tool);
    }
    let text = size.characters.saturating_mul(10) / tenths_per_token(model);
    let frames = PER_MESSAGE.saturating_mul(request.messages.len() as u64);
    let media = PER_MEDIUM.saturating_mul(size.media);
    text.saturating_add(frames).saturating_add(media)
}

/// What goes around a message.
const PER_MESSAGE: u64 = 4;

/// A picture of a megapixel.
const PER_MEDIUM: u64 = 1334;

/// The characters that a token of a family holds, in tenths; the first that fits counts.
const FAMILIES: [(&str, u64); 6] =
    [("qwen", 35), ("codellama", 38), ("deepseek", 32), ("llama", 35), ("gpt", 40), ("claude", 38)];

fn tenths_per_token(model: &str) -> u64 {
    let model = model.to_lowercase();
    let family = FAMILIES.iter().find(|(name, _)| model.contains(name));
    family.map_or(40, |(_, tenths)| *tenths)
}

#[derive(Default)]
struct Size {
    characters: u64,
    media: u64,
}

impl Size {
    fn text(&mut self, text: &str) {
        self.characters = self.characters.saturating_add(text.chars().count() as u64);
    }

    fn parts(&mut self, parts: &[Part]) {
        for part in parts {
            self.content(&part.content);
        }
    }

    fn content(&mut self, content: &Content) {
        match content {
            Content::Text(text) | Content::Refusal(text) => self.text(text),
            Content::Image(_) | Content::Audio(_) | Content::File(_) => self.media += 1,
            Content::Reasoning(thought) => self.text(&thought.text),
            Content::ToolCall(call) => {
                self.text(&call.name);
                self.text(&call.arguments);
            }
            Content::ToolResult(result) => self.parts(&result.parts),
            Content::Opaque(it) => self.text(it.json.get()),
        }
    }

    fn tool(&mut self, tool: &ToolSpec) {
        let (name, description, schema) = match &tool.kind {
            ToolKind::Function(it) => (&it.name, &it.description, &it.parameters),
            ToolKind::Custom(it) => (&it.name, &it.description, &it.format),
            ToolKind::Hosted(it) => return self.text(it.json.get()),
        };
        self.text(name);
        self.text(description.as_deref().unwrap_or_default());
        self.text(schema.as_ref().map_or("", |schema| schema.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Function, Image, Json, Message, Role, Source, ToolCall, ToolResult};

    /// The estimate for a message of these parts, to a model that holds four characters a token.
    #[track_caller]
    fn check(parts: Vec<Content>, expected: u64) {
        let request = ChatRequest {
            messages: vec![Message::new(Role::User, parts)],
            ..ChatRequest::default()
        };
        assert_eq!(tokens(&request, "m"), expected);
    }

    #[test]
    fn characters_count_and_not_bytes() {
        check(vec![], 4);
        check(vec![Content::Text("12345678".into())], 6);
        check(vec![Content::Text("äöüßéèêë".into())], 6);
        check(vec![Content::Text("1234567".into())], 5);
    }

    #[test]
    fn calls_and_their_results_count() {
        let call =
            ToolCall { name: "abcd".into(), arguments: "{12}".into(), ..ToolCall::default() };
        let result = ToolResult {
            call_id: "a long id that nobody reads".into(),
            name: None,
            parts: vec![Content::Text("12345678".into()).into()],
            is_error: false,
        };
        check(vec![Content::ToolCall(call), Content::ToolResult(result)], 8);
    }

    #[test]
    fn a_picture_counts_the_same_whatever_its_bytes() {
        let picture = |base64: String| {
            let source = Source::Inline { media_type: "image/png".into(), base64 };
            vec![Content::Image(Image { source, detail: None })]
        };
        check(picture("A".into()), 1338);
        check(picture("A".repeat(100_000)), 1338);
    }

    #[test]
    fn families_differ() {
        let request = ChatRequest::user("m", "x".repeat(760));
        for (model, expected) in [
            ("claude-sonnet-4", 204),
            ("GPT-5", 194),
            ("other", 194),
            ("deepseek-r1-distill-llama-8b", 241),
            ("codellama-7b", 204),
        ] {
            assert_eq!(tokens(&request, model), expected, "{model}");
        }
    }

    #[test]
    fn tools_count() {
        let mut request = ChatRequest::user("m", "");
        request.tools.push(ToolSpec {
            kind: ToolKind::Function(Function {
                name: "abcd".into(),
                description: Some("efgh".into()),
                parameters: Some(Json::parse(r#"{"type":"object"}"#).unwrap()),
                strict: None,
            }),
            cache: None,
        });
        assert_eq!(tokens(&request, "m"), 4 + 25 / 4);
    }
}
