//! A row of the catalogue: the facts about one model at one provider, as data.

use gateway_core::{
    Date, Effort, EffortSet, ModelKind, OffPeakPrice, Price, PriceWindow, TokenRates, UnitFees,
};

/// The facts about one model at one provider.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ModelRow {
    /// The provider that serves the model.
    pub provider: String,
    /// The provider's name for the model.
    pub id: String,
    /// The row of the same provider whose facts these are, if it is only another name.
    pub same_as: Option<String>,
    /// Its name for display.
    pub name: Option<String>,
    /// The kind of the model: chat, embedding, image and so on.
    pub kind: ModelKind,
    /// The day it was released.
    pub released: Option<Date>,
    /// The day its provider ends it.
    pub ends: Option<Date>,
    /// Tokens it reads at most.
    pub max_input: Option<u64>,
    /// Tokens it writes at most.
    pub max_output: Option<u64>,
    /// Tokens it reads and writes at most, where the provider names that.
    pub context: Option<u64>,
    /// The abilities that it has.
    pub can: AbilitySet,
    /// The abilities that it is known to lack.
    pub cannot: AbilitySet,
    /// The efforts it takes; empty if unknown.
    pub efforts: EffortSet,
    /// The effort it reasons with by default.
    pub default_effort: Option<Effort>,
    /// The endpoints that serve it, a letter each: see [`ENDPOINTS`].
    pub endpoints: String,
    /// The modalities that it reads, a letter each: see [`MODALITIES`].
    pub inputs: String,
    /// The modalities that it writes, a letter each.
    pub outputs: String,
    /// The shortest prompt, in tokens, that is cached.
    pub cache_minimum: Option<u64>,
    /// The length of its vectors.
    pub dimensions: Option<u64>,
    /// Names of snapshots with the same facts.
    pub snapshots: Vec<String>,
    /// Its prices, earliest first.
    pub prices: Vec<PriceRow>,
}

/// A price, from when on it holds, and where it is from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PriceRow {
    /// The first day on which it holds; from ever if absent.
    pub from: Option<Date>,
    /// The sources of the figures, a letter each: `l` `LiteLLM`, `g` genai-prices, `m` models.dev, `o`
    /// an override of ours with a reason, `x` an operator's file.
    pub sources: String,
    /// The price in this period.
    pub price: Price,
    /// Fees for what is not counted in tokens.
    pub fees: UnitFees,
    /// The rates of some hours of the week; absent if all cost the same.
    pub off_peak: Option<OffPeakRates>,
}

/// The standard rates of some hours of the week. Service tiers, long prompts and fees cost what they
/// cost in other hours: no provider has a price for them in these.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OffPeakRates {
    /// The hours in which they hold.
    pub windows: Vec<PriceWindow>,
    /// The rates in these hours.
    pub rates: TokenRates,
}

impl PriceRow {
    /// Returns the price of some hours of the week, if they have one of their own.
    pub(crate) fn off_peak_price(&self) -> Option<OffPeakPrice> {
        let OffPeakRates { windows, rates } = self.off_peak.as_ref()?;
        let price = Price { rates: *rates, variants: self.price.variants.clone() };
        let price = price.with_unit_fees(self.fees);
        Some(OffPeakPrice { windows: windows.as_slice().into(), price })
    }
}

/// Endpoints and their letters.
pub const ENDPOINTS: [(char, &str); 13] = [
    ('c', "/v1/chat/completions"),
    ('r', "/v1/responses"),
    ('m', "/v1/messages"),
    ('b', "/v1/batch"),
    ('t', "/v1/completions"),
    ('e', "/v1/embeddings"),
    ('i', "/v1/images/generations"),
    ('I', "/v1/images/edits"),
    ('a', "/v1/audio/transcriptions"),
    ('s', "/v1/audio/speech"),
    ('l', "/v1/realtime"),
    ('k', "/v1/rerank"),
    ('v', "/v1/videos"),
];

/// Modalities and their letters.
pub const MODALITIES: [(char, &str); 6] = [
    ('t', "text"),
    ('i', "image"),
    ('a', "audio"),
    ('v', "video"),
    ('d', "pdf"),
    ('e', "embedding"),
];

/// A set of abilities.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AbilitySet(u32);

/// An ability that a model has, or lacks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ModelAbility {
    /// The model calls tools.
    Tools,
    /// Calls several tools at once.
    ParallelTools,
    /// May be forced to call a tool.
    ForcedTools,
    /// The model reads images.
    Vision,
    /// The model reads PDF documents.
    Documents,
    /// Keeps to a JSON schema.
    Schema,
    /// The model reasons before it answers.
    Reasoning,
    /// Decides by itself how long to reason.
    AdaptiveReasoning,
    /// Reasons unless asked not to.
    ReasoningByDefault,
    /// The model reasons whatever the request says.
    ReasoningAlways,
    /// Takes parameters of sampling.
    Sampling,
    /// Goes on with a turn of its own.
    Prefill,
    /// Has a prompt cache.
    Cache,
    /// The provider searches the web for it.
    WebSearch,
    /// Takes instructions within a conversation.
    SystemTurns,
}

impl ModelAbility {
    /// Every ability and its letter in the data file.
    pub const LETTERS: [(char, Self); 15] = [
        ('t', Self::Tools),
        ('P', Self::ParallelTools),
        ('F', Self::ForcedTools),
        ('v', Self::Vision),
        ('d', Self::Documents),
        ('j', Self::Schema),
        ('r', Self::Reasoning),
        ('x', Self::AdaptiveReasoning),
        ('D', Self::ReasoningByDefault),
        ('A', Self::ReasoningAlways),
        ('s', Self::Sampling),
        ('p', Self::Prefill),
        ('c', Self::Cache),
        ('w', Self::WebSearch),
        ('S', Self::SystemTurns),
    ];
}

impl AbilitySet {
    /// Adds the ability `flag` to the set.
    pub const fn insert(&mut self, flag: ModelAbility) {
        self.0 |= 1 << flag as u32;
    }

    /// Whether `flag` is in the set.
    pub const fn contains(self, flag: ModelAbility) -> bool {
        self.0 & (1 << flag as u32) != 0
    }

    /// Reads letters; nothing if one is unknown.
    pub fn parse(letters: &str) -> Option<Self> {
        let mut flags = Self::default();
        for letter in letters.chars() {
            let (_, flag) = ModelAbility::LETTERS.into_iter().find(|(it, _)| *it == letter)?;
            flags.insert(flag);
        }
        Some(flags)
    }

    /// Returns the letters of the set.
    pub fn letters(self) -> String {
        let has = |(letter, flag): (char, ModelAbility)| self.contains(flag).then_some(letter);
        ModelAbility::LETTERS.into_iter().filter_map(has).collect()
    }
}

impl ModelRow {
    /// A row that knows nothing but names.
    pub fn new(provider: &str, id: &str) -> Self {
        Self { provider: provider.to_owned(), id: id.to_owned(), ..Self::default() }
    }

    /// The row with what only `known` says added: its dates, name and abilities, and its prices if it
    /// has none itself.
    #[must_use]
    pub fn laid_over(self, known: Self) -> Self {
        let is_silent = self.can == AbilitySet::default() && self.cannot == AbilitySet::default();
        Self {
            name: self.name.or(known.name),
            released: self.released.or(known.released),
            ends: self.ends.or(known.ends),
            max_input: self.max_input.or(known.max_input),
            max_output: self.max_output.or(known.max_output),
            context: self.context.or(known.context),
            can: if is_silent { known.can } else { self.can },
            cannot: if is_silent { known.cannot } else { self.cannot },
            cache_minimum: self.cache_minimum.or(known.cache_minimum),
            dimensions: self.dimensions.or(known.dimensions),
            endpoints: if self.endpoints.is_empty() { known.endpoints } else { self.endpoints },
            snapshots: if self.snapshots.is_empty() { known.snapshots } else { self.snapshots },
            prices: if self.prices.is_empty() { known.prices } else { self.prices },
            ..self
        }
    }

    /// Leaves out prices that only seem to be known: a data set has zeros where a figure is missing,
    /// where a model is paid by the piece, or where what it writes is billed by another model. A name
    /// that says `free` and an override may mean it.
    pub(crate) fn drop_doubtful_prices(&mut self) {
        let (kind, may_be_free) = (self.kind, self.id.contains("free"));
        self.prices.retain(|it| {
            let is_nothing = it.price.is_free() && it.fees == UnitFees::NONE;
            let is_doubtful = kind == ModelKind::Chat && it.price.rates.output == 0;
            !(is_nothing || is_doubtful) || may_be_free || it.sources == "o"
        });
    }

    /// Whether the model has an ability; nothing if unknown.
    pub const fn ability(&self, flag: ModelAbility) -> Option<bool> {
        if self.can.contains(flag) {
            Some(true)
        } else if self.cannot.contains(flag) {
            Some(false)
        } else {
            None
        }
    }

    /// Notes whether the model has an ability.
    pub const fn set(&mut self, flag: ModelAbility, has: bool) {
        if has {
            self.can.insert(flag);
        } else {
            self.cannot.insert(flag);
        }
    }
}
