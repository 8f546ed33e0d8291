//! The providers, models and patterns whose requests cannot be priced.

use crate::{limits::free_providers, local_models, providers};
use gateway_config::{Config, UnpricedSetting, printable};
use gateway_core::{ModelCard, matches_pattern, pattern_prefix};
use gateway_engine::{EngineResources, ProviderDirectory};
use gateway_providers::ClientSettings;

/// Returns a warning for each provider, model and pattern of a configuration whose requests cannot be
/// priced; nothing for a configuration that cannot be built.
pub fn pricing_warnings(config: &Config) -> Vec<String> {
    let service = local_models::context_service(config, None).ok().flatten();
    let through = local_models::through(config, service.as_ref());
    let resources = EngineResources::default();
    let directory =
        providers::directory(config, resources, through.as_ref(), ClientSettings::default(), None);
    directory.map_or_else(|_| Vec::new(), |directory| unpriced_names(config, &directory))
}

/// Returns a warning for each provider, model and pattern whose requests cannot be priced.
pub fn unpriced_names(config: &Config, directory: &ProviderDirectory) -> Vec<String> {
    if let UnpricedSetting::Assume(_) = config.budgets.unpriced {
        return Vec::new();
    }
    let mut names = Vec::new();
    let mut providers: Vec<_> =
        directory.backends().filter(|(_, it)| it.is_ready()).map(|(id, _)| &**id).collect();
    providers.sort_unstable();
    let free = free_providers(config);
    for provider in providers.into_iter().filter(|id| !free.contains(*id)) {
        of_provider(config, directory, provider, &mut names);
    }
    let consequence = match (&config.budgets.unpriced, has_budget(config)) {
        (UnpricedSetting::Refuse, true) => "requests of callers with a budget are refused",
        (UnpricedSetting::Allow, true) => "requests do not count against budgets",
        (_, false) | (UnpricedSetting::Assume(_), true) => "the cost of requests is unknown",
    };
    names.iter().map(|name| format!("{name} without a price: {consequence}")).collect()
}

/// Adds what is unpriced of one provider.
fn of_provider(
    config: &Config,
    directory: &ProviderDirectory,
    provider: &str,
    names: &mut Vec<String>,
) {
    let is_priced = |model: &str| directory.prices(&format!("{provider}/{model}")).is_some();
    let routes = directory.routes();
    let cards = routes.models([provider].into_iter());
    if !cards.iter().any(|card| !card.prices.is_empty()) {
        names.push(format!("providers.{}: a provider", printable(provider)));
        return;
    }
    let of_provider = |it: &&gateway_config::ModelEntry| {
        let id = it.id.as_deref().unwrap_or_default();
        routes.single(id).is_ok_and(|route| &*route.provider == provider)
    };
    for id in config.models.iter().filter(of_provider).filter_map(|it| it.id.as_deref()) {
        if directory.prices(id).is_none() {
            names.push(format!("models: `{}`, a model", printable(id)));
        }
    }
    let patterns = config.providers.get(provider).map(|it| it.models.as_slice());
    for pattern in patterns.unwrap_or_default() {
        let has_price = match pattern_prefix(pattern) {
            None => is_priced(pattern),
            Some(prefix) => {
                let fits = |card: &ModelCard| matches_pattern(pattern, &card.id);
                cards.iter().any(|card| fits(card) && !card.prices.is_empty())
                    || is_priced(&format!("{}x", prefix.to_lowercase()))
            }
        };
        if !has_price {
            let provider = printable(provider);
            let pattern = printable(pattern);
            names.push(format!("providers.{provider}.models: `{pattern}`, a name"));
        }
    }
}

/// Whether any caller has a budget that this configuration sets.
fn has_budget(config: &Config) -> bool {
    config.clients.iter().any(|client| client.limits.has_budget())
        || config.tenants.iter().any(|tenant| tenant.limits().has_budget())
}
