//! Families of models, and the rules of each by version.
//!
//! [`RULES`] is the one table of what a provider accepts of a request for a model. A name is read as
//! vendor, line, version and variant; the row with the highest version that is not above it decides,
//! a row for its variant before one for any. So a model newer than all rows has the rules of the
//! newest, and a name of no known family has none.

mod claude;
mod gemini;
mod openai;
mod others;
mod parse;

use gateway_core::{Effort, EffortSet, ModelRules, ReasoningControl, ReasoningOff};
pub use parse::{FamilyName, parse};

/// The maker of the models of a family.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ModelVendor {
    /// OpenAI: models such as `gpt-5` and `o3`.
    OpenAi,
    /// Anthropic: models such as `claude-opus-5`.
    Anthropic,
    /// Google: models such as `gemini-3-flash`.
    Google,
    /// DeepSeek: models such as `deepseek-v4-pro`.
    DeepSeek,
    /// Mistral: models such as `mistral-medium-3`.
    Mistral,
    /// xAI: models such as `grok-4.5`.
    Xai,
}

/// Major and minor version.
pub type FamilyVersion = (u16, u16);

/// The rules of a family from a version on.
#[derive(Clone, Copy, Debug)]
pub struct FamilyRule {
    /// The maker of the family's models.
    pub vendor: ModelVendor,
    /// The lines it holds for; any if empty.
    pub lines: &'static [&'static str],
    /// The variants it holds for; any if empty.
    pub variants: &'static [&'static str],
    /// The first version that the rules are for.
    pub from: FamilyVersion,
    /// The rules of these models.
    pub rules: ModelRules,
    /// The page that documents them, or a report if that is all there is.
    pub source: &'static str,
}

/// A line of models of a vendor, which the rows of its table are for.
#[derive(Clone, Copy)]
struct FamilyLine {
    vendor: ModelVendor,
    lines: &'static [&'static str],
}

impl FamilyLine {
    /// A row of the table: the rules of `variants`, or of all models if that is empty, from a version
    /// on.
    const fn rule(
        self,
        variants: &'static [&'static str],
        from: FamilyVersion,
        rules: ModelRules,
        source: &'static str,
    ) -> FamilyRule {
        FamilyRule { vendor: self.vendor, lines: self.lines, variants, from, rules, source }
    }
}

/// The tables of the vendors.
pub const RULES: [&[FamilyRule]; 4] = [openai::RULES, claude::RULES, gemini::RULES, others::RULES];

/// Returns the row of rules for a model of a family.
pub fn rule(name: &FamilyName) -> Option<&'static FamilyRule> {
    let fits = |rule: &&FamilyRule| {
        rule.vendor == name.vendor
            && rule.from <= name.version
            && (rule.lines.is_empty() || rule.lines.contains(&name.line.as_str()))
            && (rule.variants.is_empty() || rule.variants.iter().any(|it| name.has_variant(it)))
    };
    // The most specific row: the one that names the variant, of those the newest.
    let weight =
        |rule: &&FamilyRule| (!rule.variants.is_empty(), rule.from, !rule.lines.is_empty());
    RULES.into_iter().flatten().filter(fits).max_by_key(weight)
}

/// Returns the rules of a model by any spelling of its name; the default, which changes nothing, for
/// one of no known family.
pub fn rules(name: &str) -> ModelRules {
    parse(name).as_ref().and_then(rule).map_or_else(ModelRules::default, |rule| rule.rules)
}

/// Efforts from `low` to `high`.
const LOW_TO_HIGH: EffortSet = EffortSet::range(Effort::Low, Effort::High);
/// Efforts from `low` to `max`.
const LOW_TO_MAX: EffortSet = EffortSet::range(Effort::Low, Effort::Max);
/// The set of the effort `none` alone.
const NONE: EffortSet = EffortSet::of(&[Effort::None]);

/// The rules of a model that nothing is known of: the base of the tables' rows.
const UNKNOWN: ModelRules = ModelRules::UNKNOWN;

/// A model that decides how long to reason.
const fn adaptive(off: ReasoningOff, budget: bool) -> ReasoningControl {
    ReasoningControl::Adaptive { off, budget }
}

#[cfg(test)]
mod tests;
