//! Deviations of OpenAI-compatible upstreams from `OpenAI`.

/// The deviations of one upstream from `OpenAI`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quirks {
    /// The name under which configuration knows it.
    pub name: &'static str,
    /// The optional features that the upstream supports.
    pub knows: &'static [ChatFeature],
    /// The treatment of responses on their way to callers of this dialect.
    pub answers: ResponseHandling,
    /// The name of the parameter that limits output tokens.
    pub max_tokens: &'static str,
    /// The name of the parameter that seeds sampling.
    pub seed: &'static str,
    /// The parameter that controls reasoning.
    pub thinking: ReasoningParameter,
    /// The form in which reasoning of earlier turns is sent back.
    pub history: ReasoningHistory,
    /// Some of its statuses of 500 blame the request: trying again does not help.
    pub permanent_failures: bool,
    /// The name of the parameter that sets the length of vectors.
    pub dimensions: &'static str,
    /// The encoding of vectors.
    pub vectors: VectorEncoding,
}

/// The encoding in which an upstream returns vectors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VectorEncoding {
    /// Numbers, or base64 of 32-bit floats where that is asked for.
    Floats,
    /// Base64 of signed bytes, whatever is asked for.
    SignedBytes,
}

/// Something that not every upstream understands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChatFeature {
    /// Accepts messages with the role `developer`.
    Developer,
    /// Accepts `stream_options` and reports usage in streams.
    StreamOptions,
    /// `response_format` with a schema.
    JsonSchema,
    /// A tool may be forced while the model thinks.
    ForcedThinking,
    /// Tools that take free text, and a choice among some tools only.
    CustomTools,
    /// Accepts image parts.
    Images,
    /// Accepts audio parts.
    Audio,
    /// Accepts file parts.
    Files,
    /// Documents in its own store.
    FileIds,
    /// Accepts `cache_control` on parts and tools.
    CacheControl,
    /// Accepts the parameter `top_k`.
    TopK,
    /// Accepts the parameter `logit_bias`.
    LogitBias,
    /// Accepts the parameter `user`.
    User,
    /// Accepts the parameter `verbosity`.
    Verbosity,
    /// Accepts the parameter `service_tier`.
    ServiceTier,
    /// `name` of a message.
    Names,
    /// Accepts members of messages that it does not know.
    UnknownMembers,
}

/// The treatment of an upstream's responses on their way to callers of this dialect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseHandling {
    /// The upstream's own bytes: `OpenAI`'s clients take them as they are.
    Verbatim,
    /// Nearly the upstream's own: what `OpenAI`'s clients stumble over is normalized.
    Normalized,
    /// Mended, and under the model's name as the caller knows it: the upstream's own says too much.
    Renamed,
}

/// The parameter through which an upstream takes reasoning options.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReasoningParameter {
    /// The parameter `reasoning_effort` of `OpenAI`.
    Effort,
    /// `thinking: {type}`, and how hard in `reasoning_effort`.
    Switch,
    /// `reasoning: {effort, max_tokens, exclude}`.
    Object,
    /// The parameter `chat_template_kwargs: {enable_thinking, reasoning_effort}`.
    Template,
}

/// The form in which an upstream takes back reasoning of earlier turns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReasoningHistory {
    /// Reasoning is not sent back.
    Nothing,
    /// The member `reasoning_content` of assistant messages.
    Text,
    /// `reasoning_content`, on every turn that called tools, be it empty.
    Required,
    /// The members `reasoning` and `reasoning_details`.
    Details,
}

use ChatFeature::{
    Audio, CacheControl, CustomTools, Developer, FileIds, Files, ForcedThinking, Images,
    JsonSchema, LogitBias, Names, ServiceTier, StreamOptions, TopK, UnknownMembers, User,
    Verbosity,
};

impl Quirks {
    /// The reference: `OpenAI` itself.
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
        answers: ResponseHandling::Verbatim,
        max_tokens: "max_completion_tokens",
        seed: "seed",
        thinking: ReasoningParameter::Effort,
        history: ReasoningHistory::Nothing,
        permanent_failures: false,
        dimensions: "dimensions",
        vectors: VectorEncoding::Floats,
    };

    /// `OpenAI`'s models on Azure.
    pub const AZURE: Self =
        Self { name: "azure", answers: ResponseHandling::Normalized, ..Self::OPENAI };

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
            UnknownMembers,
        ],
        answers: ResponseHandling::Normalized,
        max_tokens: "max_tokens",
        ..Self::OPENAI
    };

    /// The deviations of `DeepSeek`'s own API.
    pub const DEEPSEEK: Self = Self {
        name: "deepseek",
        knows: &[StreamOptions, LogitBias, Names, UnknownMembers],
        thinking: ReasoningParameter::Switch,
        history: ReasoningHistory::Required,
        ..Self::COMPATIBLE
    };

    /// The deviations of `OpenRouter`'s API.
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
            UnknownMembers,
        ],
        thinking: ReasoningParameter::Object,
        history: ReasoningHistory::Details,
        ..Self::COMPATIBLE
    };

    /// llama.cpp's server, and what is built around it.
    pub const LLAMACPP: Self = Self {
        name: "llamacpp",
        answers: ResponseHandling::Renamed,
        thinking: ReasoningParameter::Template,
        history: ReasoningHistory::Text,
        permanent_failures: true,
        ..Self::COMPATIBLE
    };

    /// The deviations of Groq's API.
    pub const GROQ: Self = Self {
        name: "groq",
        knows: &[StreamOptions, JsonSchema, ForcedThinking, Images, User, ServiceTier, Names],
        max_tokens: "max_completion_tokens",
        ..Self::COMPATIBLE
    };

    /// The deviations of Cerebras's API.
    pub const CEREBRAS: Self = Self { name: "cerebras", ..Self::GROQ };

    /// The deviations of Mistral's API.
    pub const MISTRAL: Self = Self {
        name: "mistral",
        knows: &[JsonSchema, ForcedThinking, Images, Audio],
        seed: "random_seed",
        dimensions: "output_dimension",
        ..Self::COMPATIBLE
    };

    /// The deviations of xAI's API.
    pub const XAI: Self = Self {
        name: "xai",
        knows: &[
            StreamOptions,
            JsonSchema,
            ForcedThinking,
            Images,
            LogitBias,
            User,
            Names,
            UnknownMembers,
        ],
        max_tokens: "max_completion_tokens",
        ..Self::COMPATIBLE
    };

    /// The deviations of Perplexity's API.
    pub const PERPLEXITY: Self = Self {
        name: "perplexity",
        knows: &[JsonSchema, ForcedThinking, Images, TopK, UnknownMembers],
        vectors: VectorEncoding::SignedBytes,
        ..Self::COMPATIBLE
    };

    /// The deviations of Ollama's OpenAI-compatible endpoint.
    pub const OLLAMA: Self = Self {
        name: "ollama",
        knows: &[StreamOptions, JsonSchema, ForcedThinking, Images, User, UnknownMembers],
        history: ReasoningHistory::Text,
        ..Self::COMPATIBLE
    };

    /// Every known set of deviations, for tests.
    pub const ALL: [Self; 12] = [
        Self::OPENAI,
        Self::AZURE,
        Self::COMPATIBLE,
        Self::DEEPSEEK,
        Self::OPENROUTER,
        Self::LLAMACPP,
        Self::GROQ,
        Self::CEREBRAS,
        Self::MISTRAL,
        Self::XAI,
        Self::PERPLEXITY,
        Self::OLLAMA,
    ];

    /// The quirks called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quirks| quirks.name == name)
    }

    /// Returns whether the upstream understands `feature`.
    pub fn knows(&self, feature: ChatFeature) -> bool {
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
    fn feature_names_are_unique() {
        for quirks in Quirks::ALL {
            assert_eq!(Quirks::named(quirks.name), Some(quirks));
        }
        assert_eq!(Quirks::named("nobody"), None);
    }
}
