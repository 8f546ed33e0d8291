//! Requests and responses, independent of the dialect.

use gateway_tests::{Dialect, Script, ScriptedAnswer};
use serde_json::json;

/// A request feature in addition to a response to `Hello`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum WantedFeature {
    /// The tools `look` and `locate` may be called.
    Tools,
    /// `look` was called before, and said `12 C`.
    History,
    /// There is a picture beside the text.
    Image,
    /// The answer is to follow a schema that requires a `verdict`.
    Schema,
    /// The model is to think.
    Reasoning,
}

/// All that a caller wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct WantedFeatures(&'static [WantedFeature]);

impl WantedFeatures {
    pub(super) fn has(self, want: WantedFeature) -> bool {
        self.0.contains(&want)
    }
}

/// The behavior of the provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ProviderBehavior {
    Says,
    Refuses,
    BreaksOff,
}

/// A wish, and what becomes of it.
pub(super) struct MatrixCase {
    pub(super) name: &'static str,
    pub(super) wish: WantedFeatures,
    act: ProviderBehavior,
    speech: ScriptedAnswer,
    /// The expected view of the caller.
    heard: &'static str,
    /// The texts that must reach the provider.
    arrives: &'static [&'static str],
}

/// A stand-in for an image.
pub(super) const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";

impl MatrixCase {
    /// Returns all stories.
    pub(super) fn all() -> Vec<Self> {
        let text = || ScriptedAnswer::text(&["Hel", "lo."]);
        let look = ("look", json!({ "city": "Oslo", "days": 2 }));
        let locate = ("locate", json!({}));
        let says = |name, wish, speech, heard, arrives| Self {
            name,
            wish,
            act: ProviderBehavior::Says,
            speech,
            heard,
            arrives,
        };
        vec![
            says("text", WantedFeatures(&[]), text(), "Hello. [stop]", &["Hello"]),
            says(
                "tools",
                WantedFeatures(&[WantedFeature::Tools, WantedFeature::History]),
                ScriptedAnswer::calls(std::slice::from_ref(&look)),
                r#"look {"city":"Oslo","days":2} [tool_calls]"#,
                &["look", "locate", "the city to look at", "12 C", "Bergen"],
            ),
            says(
                "parallel tools",
                WantedFeatures(&[WantedFeature::Tools]),
                ScriptedAnswer { calls: vec![look, locate], ..text() },
                r#"Hello. look {"city":"Oslo","days":2} locate {} [tool_calls]"#,
                &["look", "locate"],
            ),
            says(
                "image",
                WantedFeatures(&[WantedFeature::Image]),
                text(),
                "Hello. [stop]",
                &[PICTURE],
            ),
            says(
                "structured",
                WantedFeatures(&[WantedFeature::Schema]),
                ScriptedAnswer::text(&["{\"verdict\":", "true}"]),
                r#"{"verdict":true} [stop]"#,
                &["verdict"],
            ),
            says(
                "reasoning",
                WantedFeatures(&[WantedFeature::Reasoning]),
                ScriptedAnswer { thought: "Hm.", ..text() },
                "(Hm.) Hello. [stop]",
                &[],
            ),
            Self {
                act: ProviderBehavior::Refuses,
                ..says("error", WantedFeatures(&[]), text(), "429 rate_limit_exceeded", &["Hello"])
            },
            Self {
                act: ProviderBehavior::BreaksOff,
                ..says("cut", WantedFeatures(&[]), text(), "Hello. <broken>", &["Hello"])
            },
        ]
    }

    /// Returns the provider's script.
    pub(super) fn plays(&self, dialect: Dialect, stream: bool) -> Script {
        match self.act {
            ProviderBehavior::Says => dialect.says(&self.speech, stream),
            ProviderBehavior::Refuses => dialect.refuses(),
            ProviderBehavior::BreaksOff if stream => dialect.breaks_off(&self.speech),
            ProviderBehavior::BreaksOff => Script::new()
                .head(200, &[("content-type", "application/json"), ("content-length", "999")])
                .bytes("{")
                .close(),
        }
    }

    /// Returns the expected view of the caller; empty for a complete response that broke off.
    pub(super) fn heard(&self, stream: bool) -> &'static str {
        if self.act == ProviderBehavior::BreaksOff && !stream {
            "502 upstream_cut"
        } else {
            self.heard
        }
    }

    /// Returns the texts that must reach the provider of this dialect.
    pub(super) fn arrives(&self, dialect: Dialect) -> Vec<&'static str> {
        let thinking = self.wish.has(WantedFeature::Reasoning).then_some(match dialect {
            Dialect::Chat => "\"reasoning_effort\"",
            Dialect::Responses => "\"effort\"",
            Dialect::Messages => "\"thinking\"",
            Dialect::Gemini => "\"thinkingConfig\"",
            Dialect::Ollama => "\"think\"",
        });
        self.arrives.iter().copied().chain(thinking).collect()
    }
}
