//! What is asked and answered, whatever the dialect.

use gateway_tests::{Dialect, Script, Speech};
use serde_json::json;

/// What a caller wants, beside an answer to `Hello`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    /// The tools `look` and `locate` may be called.
    pub(super) tools: bool,
    /// `look` was called before, and said `12 C`.
    pub(super) history: bool,
    /// There is a picture beside the text.
    pub(super) image: bool,
    /// The answer is to follow a schema that requires a `verdict`.
    pub(super) schema: bool,
    /// The model is to think.
    pub(super) reasoning: bool,
}

/// How the provider behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Act {
    Says,
    Refuses,
    BreaksOff,
}

/// A wish, and what becomes of it.
pub(super) struct Story {
    pub(super) name: &'static str,
    pub(super) wish: Wish,
    act: Act,
    speech: Speech,
    /// What the caller hears.
    heard: &'static str,
    /// What the provider must be told.
    arrives: &'static [&'static str],
}

/// A picture, as far as anybody looks.
pub(super) const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";

impl Story {
    /// All stories.
    pub(super) fn all() -> Vec<Self> {
        let text = || Speech::text(&["Hel", "lo."]);
        let look = ("look", json!({ "city": "Oslo", "days": 2 }));
        let locate = ("locate", json!({}));
        let says = |name, wish, speech, heard, arrives| Self {
            name,
            wish,
            act: Act::Says,
            speech,
            heard,
            arrives,
        };
        let wish = Wish::default();
        vec![
            says("text", wish, text(), "Hello. [stop]", &["Hello"]),
            says(
                "tools",
                Wish { tools: true, history: true, ..wish },
                Speech::calls(std::slice::from_ref(&look)),
                r#"look {"city":"Oslo","days":2} [tool_calls]"#,
                &["look", "locate", "the city to look at", "12 C", "Bergen"],
            ),
            says(
                "parallel tools",
                Wish { tools: true, ..wish },
                Speech { calls: vec![look, locate], ..text() },
                r#"Hello. look {"city":"Oslo","days":2} locate {} [tool_calls]"#,
                &["look", "locate"],
            ),
            says("image", Wish { image: true, ..wish }, text(), "Hello. [stop]", &[PICTURE]),
            says(
                "structured",
                Wish { schema: true, ..wish },
                Speech::text(&["{\"verdict\":", "true}"]),
                r#"{"verdict":true} [stop]"#,
                &["verdict"],
            ),
            says(
                "reasoning",
                Wish { reasoning: true, ..wish },
                Speech { thought: "Hm.", ..text() },
                "(Hm.) Hello. [stop]",
                &[],
            ),
            Self {
                act: Act::Refuses,
                ..says("error", wish, text(), "429 rate_limit_exceeded", &["Hello"])
            },
            Self {
                act: Act::BreaksOff,
                ..says("cut", wish, text(), "Hello. <broken>", &["Hello"])
            },
        ]
    }

    /// What the provider does.
    pub(super) fn plays(&self, dialect: Dialect, stream: bool) -> Script {
        match self.act {
            Act::Says => dialect.says(&self.speech, stream),
            Act::Refuses => dialect.refuses(),
            Act::BreaksOff if stream => dialect.breaks_off(&self.speech),
            Act::BreaksOff => Script::new()
                .head(200, &[("content-type", "application/json"), ("content-length", "999")])
                .bytes("{")
                .close(),
        }
    }

    /// What the caller hears. Of a whole answer that broke off there is nothing to hear.
    pub(super) fn heard(&self, stream: bool) -> &'static str {
        if self.act == Act::BreaksOff && !stream { "502 upstream_cut" } else { self.heard }
    }

    /// What the provider is told, in some place of its own.
    pub(super) fn arrives(&self, dialect: Dialect) -> Vec<&'static str> {
        let thinking = self.wish.reasoning.then_some(match dialect {
            Dialect::Chat => "\"reasoning_effort\"",
            Dialect::Responses => "\"effort\"",
            Dialect::Messages => "\"thinking\"",
            Dialect::Gemini => "\"thinkingConfig\"",
            Dialect::Ollama => "\"think\"",
        });
        self.arrives.iter().copied().chain(thinking).collect()
    }
}
