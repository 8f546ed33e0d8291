//! Token estimates, for requests whose provider does not count them.

use crate::{ChatRequest, Content, Message, Part, Source, ToolKind, ToolSpec};

/// Estimates the input tokens of `request` for a model called `model`.
///
/// The estimate uses the average token length of the model's family, with a surcharge per message.
/// Tool definitions count as input. An image counts as one of medium size: its bytes say little
/// about its tokens.
pub fn tokens(request: &ChatRequest, model: &str) -> u64 {
    let mut size = TextSize::default();
    for message in &request.messages {
        size.message(message);
    }
    for tool in &request.tools {
        size.tool(tool);
    }
    size.tokens(model)
}

/// Estimates the tokens of `message`.
pub fn message(message: &Message, model: &str) -> u64 {
    let mut size = TextSize::default();
    size.message(message);
    size.tokens(model)
}

/// Estimates the tokens of the definition of `tool`.
pub fn tool(tool: &ToolSpec, model: &str) -> u64 {
    let mut size = TextSize::default();
    size.tool(tool);
    size.tokens(model)
}

/// Estimates the tokens of an undecoded request from `json`, its body.
///
/// Four bytes a token, whatever they say. A long text in base64 counts as a picture.
pub fn tokens_of_json(json: &[u8]) -> u64 {
    let whole = (json.len() / 4) as u64;
    if !may_hold_base64(json) || memchr::memmem::find(json, b"base64").is_none() {
        return whole;
    }
    let mut tokens = whole;
    for text in json.split(|byte| *byte == b'"').filter(|text| text.len() >= MEDIUM) {
        let tail = text.get(text.len() - MEDIUM / 2..).unwrap_or_default();
        if tail.iter().copied().all(is_base64) {
            tokens = tokens.saturating_sub((text.len() / 4) as u64) + PER_PICTURE;
        }
    }
    tokens
}

/// Whether some of `json` may be the end of a long text in base64. That is `MEDIUM / 2` bytes long, so
/// that it holds a sample of every few bytes; other texts have spaces.
fn may_hold_base64(json: &[u8]) -> bool {
    const SAMPLE: usize = 64;
    let starts = (0..json.len()).step_by(MEDIUM / 2 - SAMPLE);
    let mut samples = starts.filter_map(|at| json.get(at..at + SAMPLE));
    json.len() >= MEDIUM && samples.any(|sample| sample.iter().copied().all(is_base64))
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte)
}

/// From how many bytes on a text may be a picture.
const MEDIUM: usize = 4 << 10;

/// Tokens of overhead for each message.
const PER_MESSAGE: u64 = 4;

/// A picture of a megapixel.
const PER_PICTURE: u64 = 1334;

/// A document or a recording that is somewhere else.
const PER_REFERENCE: u64 = 2000;

/// The bytes of a document or a recording, as base64, that make a token.
const BASE64_PER_TOKEN: usize = 16;

/// The characters that a token of a family holds, in tenths; the first that fits counts.
const FAMILIES: [(&str, u64); 6] =
    [("qwen", 35), ("codellama", 38), ("deepseek", 32), ("llama", 35), ("gpt", 40), ("claude", 38)];

fn tenths_per_token(model: &str) -> u64 {
    let model = model.to_lowercase();
    let family = FAMILIES.iter().find(|(name, _)| model.contains(name));
    family.map_or(40, |(_, tenths)| *tenths)
}

#[derive(Default)]
struct TextSize {
    /// Letters of the alphabets, of which a token holds several.
    letters: u64,
    /// Tokens that every model counts alike: CJK characters, media, chunks.
    tokens: u64,
}

impl TextSize {
    fn tokens(&self, model: &str) -> u64 {
        (self.letters.saturating_mul(10) / tenths_per_token(model)).saturating_add(self.tokens)
    }

    fn add(&mut self, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
    }

    fn message(&mut self, message: &Message) {
        self.add(PER_MESSAGE);
        self.parts(&message.parts);
    }

    /// Alphabets are written in one or two bytes a letter; what takes more is mostly a word.
    fn text(&mut self, text: &str) {
        let (letters, signs) = text.chars().fold((0_u64, 0_u64), |(letters, signs), it| {
            if it.len_utf8() < 3 { (letters + 1, signs) } else { (letters, signs + 1) }
        });
        self.letters = self.letters.saturating_add(letters);
        self.add(signs);
    }

    fn parts(&mut self, parts: &[Part]) {
        for part in parts {
            self.content(&part.content);
        }
    }

    fn content(&mut self, content: &Content) {
        match content {
            Content::Text(text) | Content::Refusal(text) => self.text(text),
            Content::Image(_) => self.add(PER_PICTURE),
            Content::Audio(source) => self.source(source),
            Content::File(file) => self.source(&file.source),
            Content::Reasoning(thought) => self.text(&thought.text),
            Content::ToolCall(call) => {
                self.text(&call.name);
                self.text(&call.arguments);
            }
            Content::ToolResult(result) => self.parts(&result.parts),
            Content::Opaque(it) => self.text(it.json.get()),
        }
    }

    fn source(&mut self, source: &Source) {
        self.add(match source {
            Source::Inline { base64, .. } => base64.len().div_ceil(BASE64_PER_TOKEN) as u64,
            Source::Url(_) | Source::FileId(_) => PER_REFERENCE,
        });
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
    fn estimate_counts_characters_not_bytes() {
        check(vec![], 4);
        check(vec![Content::Text("12345678".into())], 6);
        check(vec![Content::Text("äöüßéèêë".into())], 6);
        check(vec![Content::Text("1234567".into())], 5);
    }

    #[test]
    fn each_cjk_character_is_one_token() {
        check(vec![Content::Text("日本語".into())], 7);
        check(vec![Content::Text("1234日".into())], 6);
    }

    #[test]
    fn chunked_estimate_equals_whole_estimate() {
        let request = ChatRequest::user("m", "12345678");
        let pieces: u64 = request.messages.iter().map(|it| message(it, "m")).sum();
        assert_eq!(pieces, tokens(&request, "m"));
    }

    #[test]
    fn document_estimate_depends_on_byte_length() {
        let inline = |base64: String| Source::Inline { media_type: "audio/wav".into(), base64 };
        check(vec![Content::Audio(inline("A".repeat(160)))], 14);
        check(vec![Content::Audio(Source::Url("https://example.com/a.wav".into()))], 2004);
    }

    #[test]
    fn tool_calls_and_results_are_estimated() {
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
    fn image_estimate_ignores_byte_length() {
        let picture = |base64: String| {
            let source = Source::Inline { media_type: "image/png".into(), base64 };
            vec![Content::Image(Image { source, detail: None })]
        };
        check(picture("A".into()), 1338);
        check(picture("A".repeat(100_000)), 1338);
    }

    #[test]
    fn raw_body_estimate_depends_on_byte_length() {
        assert_eq!(tokens_of_json(&[b'a'; 400]), 100);
        let words = format!(r#"{{"type":"base64","text":"{}"}}"#, "word ".repeat(4_000));
        assert_eq!(tokens_of_json(words.as_bytes()), words.len() as u64 / 4);
        let picture = |size: usize| {
            let url = format!(r#"{{"url":"data:image/png;base64,{}"}}"#, "A".repeat(size));
            tokens_of_json(url.as_bytes())
        };
        assert!(
            (PER_PICTURE..PER_PICTURE + 20).contains(&picture(100_000)),
            "{}",
            picture(100_000)
        );
    }

    #[test]
    fn estimate_differs_by_model_family() {
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
    fn tool_definitions_are_estimated() {
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
