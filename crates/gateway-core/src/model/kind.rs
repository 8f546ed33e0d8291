//! The kinds of models: by what they are asked for.

/// The kind of work that a model does.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ModelKind {
    /// Answers in a conversation.
    #[default]
    Chat,
    /// The model continues a text.
    Completion,
    /// Turns text into vectors.
    Embedding,
    /// Makes or edits images.
    Image,
    /// The model makes videos.
    Video,
    /// The model turns text into speech.
    Speech,
    /// The model turns speech into text.
    Transcription,
    /// Talks over a connection that stays open.
    Realtime,
    /// Orders documents by how well they fit a query.
    Rerank,
    /// The model classifies content.
    Moderation,
    /// Anything else: search, OCR, evaluation.
    Other,
}

impl ModelKind {
    /// Every kind, in order.
    pub const ALL: [Self; 11] = [
        Self::Chat,
        Self::Completion,
        Self::Embedding,
        Self::Image,
        Self::Video,
        Self::Speech,
        Self::Transcription,
        Self::Realtime,
        Self::Rerank,
        Self::Moderation,
        Self::Other,
    ];

    /// Returns the stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Embedding => "embedding",
            Self::Image => "image",
            Self::Video => "video",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
            Self::Realtime => "realtime",
            Self::Rerank => "rerank",
            Self::Moderation => "moderation",
            Self::Other => "other",
        }
    }

    /// Whether the gateway has an endpoint for it.
    pub const fn is_served(self) -> bool {
        matches!(self, Self::Chat | Self::Completion | Self::Embedding)
    }

    /// Reads a stable name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}
