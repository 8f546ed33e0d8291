//! Overrides: rows and decisions of ours, each with a reason.
//!
//! ```text
//! # neither data set has it: https://example.com/release-notes
//! openai/gpt-6.2-sol r=2026-11-17 i=922000
//!     2026-11-17 o i=2 o=10
//! # `LiteLLM` follows moved aliases first
//! prefer mistral/* litellm
//! # the name of the first release
//! alias chatgpt gpt-5.2
//! ```
//!
//! What a row names replaces what the data sets say, and its prices replace all of theirs.

use crate::{
    row::ModelRow,
    text::{self, TextError},
};
use gateway_core::matches_pattern;
use std::collections::BTreeMap;

/// The decisions where data sets disagree, and the rows they lack.
#[derive(Clone, Debug, Default)]
pub struct CatalogueOverrides {
    rows: Vec<(ModelRow, String)>,
    decisions: Vec<(String, OverrideDecision)>,
    /// Other names for models.
    pub aliases: BTreeMap<String, String>,
}

/// A decision between data sets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OverrideDecision {
    /// The data set that counts.
    pub preferred: PreferredSource,
    /// The reason for the decision.
    pub reason: String,
}

/// The data set that counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PreferredSource {
    /// The price of the `LiteLLM` data set.
    LiteLlm,
    /// The price of the genai-prices data set.
    GenaiPrices,
    /// An override replaces both.
    Override,
}

impl PreferredSource {
    /// Returns the stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LiteLlm => "litellm",
            Self::GenaiPrices => "genai-prices",
            Self::Override => "override",
        }
    }
}

/// The defect in the text of overrides.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OverrideError {
    /// A row that cannot be understood.
    #[error(transparent)]
    Row(#[from] TextError),
    /// An entry without a comment before it.
    #[error("`{0}` has no reason: write one in a comment before it")]
    NoReason(String),
    /// A line that is neither a row nor a decision.
    #[error("cannot understand `{0}`")]
    Line(String),
}

impl CatalogueOverrides {
    /// Reads overrides.
    ///
    /// # Errors
    ///
    /// Names the first entry that has no reason or cannot be understood.
    pub fn parse(text: &str) -> Result<Self, OverrideError> {
        let mut overrides = Self::default();
        let mut reason = String::new();
        let mut is_comment = false;
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if let Some(comment) = line.strip_prefix('#') {
                if !std::mem::replace(&mut is_comment, true) {
                    reason.clear();
                }
                if !reason.is_empty() {
                    reason.push(' ');
                }
                reason.push_str(comment.trim());
                continue;
            }
            is_comment = false;
            if line.trim().is_empty() {
                reason.clear();
                continue;
            }
            if reason.is_empty() {
                return Err(OverrideError::NoReason(line.to_owned()));
            }
            let mut entry = line.to_owned();
            while let Some(price) = lines.next_if(|next| next.starts_with('\t')) {
                entry = format!("{entry}\n{price}");
            }
            overrides.add(&entry, &reason)?;
        }
        Ok(overrides)
    }

    fn add(&mut self, entry: &str, reason: &str) -> Result<(), OverrideError> {
        let words: Vec<&str> = entry.split(' ').collect();
        match words.as_slice() {
            ["prefer", pattern, set] => {
                let preferred = match *set {
                    "litellm" => PreferredSource::LiteLlm,
                    "genai-prices" => PreferredSource::GenaiPrices,
                    _ => return Err(OverrideError::Line(entry.to_owned())),
                };
                let decision = OverrideDecision { preferred, reason: reason.to_owned() };
                self.decisions.push((pattern.to_lowercase(), decision));
            }
            ["alias", name, model] => {
                self.aliases.insert((*name).to_owned(), (*model).to_owned());
            }
            _ => self.rows.push((text::parse_row(entry)?, reason.to_owned())),
        }
        Ok(())
    }

    /// Returns what decides between data sets about a model: an override of its prices, else the
    /// longest pattern that fits.
    pub fn decision(&self, provider: &str, id: &str) -> Option<OverrideDecision> {
        let key = format!("{provider}/{id}").to_lowercase();
        let of_row =
            self.rows.iter().find(|(row, _)| !row.prices.is_empty() && super::key(row) == key);
        if let Some((_, reason)) = of_row {
            return Some(OverrideDecision {
                preferred: PreferredSource::Override,
                reason: reason.clone(),
            });
        }
        let fitting = self.decisions.iter().filter(|(pattern, _)| matches_pattern(pattern, &key));
        fitting.max_by_key(|(pattern, _)| pattern.len()).map(|(_, decision)| decision.clone())
    }

    /// Lays the rows over others.
    pub(super) fn apply(&self, rows: &mut BTreeMap<String, ModelRow>) {
        for (over, _) in &self.rows {
            let key = super::key(over);
            match rows.get_mut(&key) {
                Some(row) => lay_over(row, over),
                None => {
                    rows.insert(key, over.clone());
                }
            }
        }
    }
}

fn lay_over(row: &mut ModelRow, over: &ModelRow) {
    let nothing = ModelRow::new(&over.provider, &over.id);
    if over.kind != nothing.kind {
        row.kind = over.kind;
    }
    row.name = over.name.clone().or_else(|| row.name.take());
    row.released = over.released.or(row.released);
    row.ends = over.ends.or(row.ends);
    row.max_input = over.max_input.or(row.max_input);
    row.max_output = over.max_output.or(row.max_output);
    row.context = over.context.or(row.context);
    row.cache_minimum = over.cache_minimum.or(row.cache_minimum);
    row.dimensions = over.dimensions.or(row.dimensions);
    row.default_effort = over.default_effort.or(row.default_effort);
    if over.can != nothing.can || over.cannot != nothing.cannot {
        row.can = over.can;
        row.cannot = over.cannot;
    }
    if !over.efforts.is_empty() {
        row.efforts = over.efforts;
    }
    for (slot, text) in [
        (&mut row.endpoints, &over.endpoints),
        (&mut row.inputs, &over.inputs),
        (&mut row.outputs, &over.outputs),
    ] {
        if !text.is_empty() {
            slot.clone_from(text);
        }
    }
    if !over.prices.is_empty() {
        row.prices.clone_from(&over.prices);
    }
}
