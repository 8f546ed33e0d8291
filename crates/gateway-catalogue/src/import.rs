//! Readers of public data sets, each to rows.

mod genai_prices;
mod litellm;
mod models_dev;
mod python;

use crate::{error::CatalogueError, row::ModelRow, table::RowTable, text};
pub use genai_prices::{KnownModel, KnownModels};
use serde_json::Value;

/// A format of data sets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CatalogueFormat {
    /// The text form of the built-in catalogue.
    Own,
    /// The file `model_prices_and_context_window.json` of `LiteLLM`.
    LiteLlm,
    /// The `data.py` of genai-prices, or its JSON.
    GenaiPrices,
    /// The `api.json` of models.dev.
    ModelsDev,
}

impl CatalogueFormat {
    /// Returns the stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::LiteLlm => "litellm",
            Self::GenaiPrices => "genai-prices",
            Self::ModelsDev => "models.dev",
        }
    }
}

/// Reads a data set of `LiteLLM`.
///
/// # Errors
///
/// If it is not one.
pub fn litellm(text: &str) -> Result<Vec<ModelRow>, CatalogueError> {
    litellm::rows(&json(text)?)
}

/// Reads a data set of genai-prices: the Python of its package, or JSON.
///
/// # Errors
///
/// If it is not one.
pub fn genai_prices(text: &str) -> Result<KnownModels, CatalogueError> {
    let value =
        if text.trim_start().starts_with(['[', '{']) { json(text)? } else { python::value(text)? };
    genai_prices::read(&value)
}

/// Reads a data set of models.dev.
///
/// # Errors
///
/// If it is not one.
pub fn models_dev(text: &str) -> Result<Vec<ModelRow>, CatalogueError> {
    models_dev::rows(&json(text)?)
}

/// Reads any of the known formats.
///
/// # Errors
///
/// If the text is of none, or cannot be read.
pub fn any(text: &str) -> Result<(CatalogueFormat, Vec<ModelRow>), CatalogueError> {
    let format = detect(text)?;
    let rows = match format {
        CatalogueFormat::Own => own_rows(text)?,
        CatalogueFormat::LiteLlm => litellm(text)?,
        CatalogueFormat::GenaiPrices => genai_prices(text)?.into_rows(),
        CatalogueFormat::ModelsDev => models_dev(text)?,
    };
    if rows.is_empty() {
        return Err(CatalogueError::Format("no row of a known provider".to_owned()));
    }
    Ok((format, rows))
}

/// Returns the format of a text, by its outermost shape.
fn detect(text: &str) -> Result<CatalogueFormat, CatalogueError> {
    let start = text.trim_start();
    if start.starts_with('[') || start.contains("providers: list[Provider]") {
        return Ok(CatalogueFormat::GenaiPrices);
    }
    if !start.starts_with('{') {
        return Ok(CatalogueFormat::Own);
    }
    let value = json(text)?;
    let members = value.as_object().into_iter().flatten();
    let is_models_dev =
        members.clone().any(|(_, it)| it.get("models").is_some_and(Value::is_object));
    let is_litellm = members.into_iter().any(|(_, it)| it.get("litellm_provider").is_some());
    match (is_models_dev, is_litellm) {
        (_, true) => Ok(CatalogueFormat::LiteLlm),
        (true, false) => Ok(CatalogueFormat::ModelsDev),
        (false, false) => Err(CatalogueError::Format("JSON of no known data set".to_owned())),
    }
}

fn own_rows(text: &str) -> Result<Vec<ModelRow>, CatalogueError> {
    let table = RowTable::new(text.to_owned());
    table.iter().map(|row| Ok(text::parse_row(row)?)).collect()
}

fn json(text: &str) -> Result<Value, CatalogueError> {
    serde_json::from_str(text).map_err(|error| CatalogueError::Format(error.to_string()))
}

/// Dollars as billionths of a dollar; nothing for what is no price.
fn nano(dollars: f64) -> Option<u64> {
    let nano = (dollars * 1e9).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    (0.0..1e18).contains(&nano).then_some(nano as u64)
}

/// A number, written as one or in a text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// A name that fits into a row.
fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.len() <= 200 && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
