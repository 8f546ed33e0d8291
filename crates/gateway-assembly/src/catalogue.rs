//! The catalogue of a configuration, and the age of its prices.

use anyhow::Context as _;
use gateway_catalogue::TextCatalogue;
use gateway_core::{Date, ModelCatalogue, time::since_epoch};
use gateway_http::HttpService;
use gateway_limits::DAY;
use gateway_tasks::unix_time;
use metrics::gauge;
use std::{fs, path::Path};

/// Reads the catalogue in `file`, or that of this release.
///
/// # Errors
///
/// If the file cannot be read, or is no catalogue.
pub fn load_catalogue(file: Option<&Path>) -> anyhow::Result<TextCatalogue> {
    let Some(file) = file else { return Ok(TextCatalogue::built_in()) };
    let context = || file.display().to_string();
    let text = fs::read_to_string(file).with_context(context)?;
    let catalogue = TextCatalogue::import(text).with_context(context)?;
    // Public data sets do not say of which day they are.
    let changed = fs::metadata(file).and_then(|it| it.modified());
    Ok(match changed {
        Ok(changed) => {
            catalogue.as_of(Date::from_days_since_epoch(since_epoch(changed).as_secs() / DAY))
        }
        Err(_) => catalogue,
    })
}

/// Returns the age of the prices of a catalogue in days, if it is known.
pub fn catalogue_age(catalogue: &dyn ModelCatalogue) -> Option<u64> {
    let day = catalogue.prices_of().and_then(Date::days)?;
    Some((unix_time().as_secs() / DAY).saturating_sub(day))
}

/// Whether two generations have the same models and prices.
pub fn has_same_catalogue(one: &HttpService, other: &HttpService) -> bool {
    let version =
        |app: &HttpService| app.engine.directory.routes().catalogued().map(ModelCatalogue::version);
    version(one) == version(other)
}

/// Sets the metrics of the active catalogue.
pub(crate) fn record(catalogue: &dyn ModelCatalogue, models: usize) {
    #[expect(clippy::cast_precision_loss, reason = "seconds and models are far below 2^52")]
    let set = |name: &'static str, value: u64| gauge!(name).set(value as f64);
    if let Some(day) = catalogue.prices_of().and_then(Date::days) {
        set("llm_gateway_catalogue_timestamp_seconds", day * DAY);
    }
    set("llm_gateway_catalogue_models", models as u64);
}
