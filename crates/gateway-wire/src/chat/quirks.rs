//! What an upstream makes of the dialect.

/// How an upstream differs from `OpenAI`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quirks {
    /// The name under which configuration knows it.
    pub name: &'static str,
    /// What it understands of what not everybody does.
    pub knows: &'static [Feature],
    /// Which answers callers get.
    pub answers: Answers,
    /// What it calls the limit of tokens.
    pub max_tokens: &'static str,
    /// What it calls the seed.
    pub seed: &'static str,
    /// How it is asked to think.
    pub thinking: Thinking,
    /// What it wants to see again of its thinking.
    pub history: History,
    /// Some of its statuses of 500 blame the request: trying again does not help.
    pub permanent_failures: bool,
}

/// Something that not every upstream understands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Feature {
    /// The role `developer`.
    Developer,
    /// `stream_options`.
    StreamOptions,
    /// `response_format` with a schema.
    JsonSchema,
    /// A tool may be forced while the model thinks.
    ForcedThinking,
    /// Tools that take free text, and a choice among some tools only.
    CustomTools,
    /// Pictures.
    Images,
    /// Sound.
    Audio,
    /// Documents.
    Files,
    /// Documents in its own store.
    FileIds,
    /// `cache_control`.
    CacheControl,
    /// `top_k`.
    TopK,
    /// `logit_bias`.
    LogitBias,
    /// `user`.
    User,
    /// `verbosity`.
    Verbosity,
    /// `service_tier`.
    ServiceTier,
    /// `name` of a message.
    Names,
}

/// Which answers callers get.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answers {
    /// The upstream's own bytes: `OpenAI`'s clients take them as they are.
    Verbatim,
    /// Nearly the upstream's own: what `OpenAI`'s clients stumble over is mended.
    Mended,
    /// Mended, and under the model's name as the caller knows it: the upstream's own says too much.
    Renamed,
}

/// How an upstream is asked to think.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Thinking {
    /// `reasoning_effort`.
    Effort,
    /// `thinking: {type}`, and how hard in `reasoning_effort`.
    Switch,
    /// `reasoning: {effort, max_tokens, exclude}`.
    Object,
    /// `chat_template_kwargs: {enable_thinking, reasoning_effort}`.
    Template,
}

/// What an upstream wants to see again of its thinking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum History {
    /// Nothing.
    Nothing,
    /// `reasoning_content`.
    Text,
    /// `reasoning_content`, on every turn that called tools, be it empty.
    Required,
    /// `reasoning` and `reasoning_details`.
    Details,
}

use Feature::{
    Audio, CacheControl, CustomTools, Developer, FileIds, Files, ForcedThinking, Images,
    JsonSchema, LogitBias, Names, ServiceTier, StreamOptions, TopK, User, Verbosity,
};

impl Quirks {
    /// `OpenAI`.
    pub const OPENAI: Self = Self {
        name: "openai",
        knows: &[
            Developer,
            StreamOptions,
            JsonSchema,
            ForcedThinking,
            CustomTools,
            Images,
            Audio,
            Files,
            FileIds,
            LogitBias,
            User,
            Verbosity,
            ServiceTier,
            Names,
        ],
        answers: Answers::Verbatim,
        max_tokens: "max_completion_tokens",
        seed: "seed",
        thinking: Thinking::Effort,
        history: History::Nothing,
        permanent_failures: false,
    };

    /// `OpenAI`'s models on Azure.
    pub const AZURE: Self = Self { name: "azure", answers: Answers::Mended, ..Self::OPENAI };

    /// A server of which nothing is known but that it is compatible.
    pub const COMPATIBLE: Self = Self {
        name: "compatible",
        knows: &[
            StreamOptions,
            JsonSchema,
            ForcedThinking,
            Images,
            Audio,
            Files,
            TopK,
            LogitBias,
            User,
            Names,
        ],
        answers: Answers::Mended,
        max_tokens: "max_tokens",
        ..Self::OPENAI
    };

    /// `DeepSeek`.
    pub const DEEPSEEK: Self = Self {
        name: "deepseek",
        knows: &[StreamOptions, LogitBias, Names],
        thinking: Thinking::Switch,
        history: History::Required,
        ..Self::COMPATIBLE
    };

    /// `OpenRouter`.
    pub const OPENROUTER: Self = Self {
        name: "openrouter",
        knows: &[
            Developer,
            StreamOptions,
            JsonSchema,
            ForcedThinking,
            Images,
            Audio,
            Files,
            CacheControl,
            TopK,
            LogitBias,
            User,
            Verbosity,
            ServiceTier,
            Names,
        ],
        thinking: Thinking::Object,
        history: History::Details,
        ..Self::COMPATIBLE
    };

    /// llama.cpp's server, and what is built around it.
    pub const LLAMACPP: Self = Self {
        name: "llamacpp",
        answers: Answers::Renamed,
        thinking: Thinking::Template,
        history: History::Text,
        permanent_failures: true,
        ..Self::COMPATIBLE
    };

    /// Groq.
    pub const GROQ: Self = Self {
        name: "groq",
        knows: &[StreamOptions, JsonSchema, ForcedThinking, Images, User, ServiceTier, Names],
        max_tokens: "max_completion_tokens",
        ..Self::COMPATIBLE
    };

    /// Mistral.
    pub const MISTRAL: Self = Self {
        name: "mistral",
        knows: &[JsonSchema, ForcedThinking, Images, Audio],
        seed: "random_seed",
        ..Self::COMPATIBLE
    };

    /// xAI.
    pub const XAI: Self = Self {
        name: "xai",
        knows: &[StreamOptions, JsonSchema, ForcedThinking, Images, LogitBias, User, Names],
        max_tokens: "max_completion_tokens",
        ..Self::COMPATIBLE
    };

    /// Perplexity.
    pub const PERPLEXITY: Self = Self {
        name: "perplexity",
        knows: &[JsonSchema, ForcedThinking, Images, TopK],
        ..Self::COMPATIBLE
    };

    /// Ollama's compatible endpoint.
    pub const OLLAMA: Self = Self {
        name: "ollama",
        knows: &[StreamOptions, JsonSchema, ForcedThinking, Images, User],
        history: History::Text,
        ..Self::COMPATIBLE
    };

    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::OPENAI,
        Self::AZURE,
        Self::COMPATIBLE,
        Self::DEEPSEEK,
        Self::OPENROUTER,
        Self::LLAMACPP,
        Self::GROQ,
        Self::MISTRAL,
        Self::XAI,
        Self::PERPLEXITY,
        Self::OLLAMA,
    ];

    /// The quirks called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quirks| quirks.name == name)
    }

    /// Whether the upstream understands `feature`.
    pub fn knows(&self, feature: Feature) -> bool {
        self.knows.contains(&feature)
    }
}

impl Default for Quirks {
    fn default() -> Self {
        Self::COMPATIBLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_differ() {
        for quirks in Quirks::ALL {
            assert_eq!(Quirks::named(quirks.name), Some(quirks));
        }
        assert_eq!(Quirks::named("nobody"), None);
    }
}
