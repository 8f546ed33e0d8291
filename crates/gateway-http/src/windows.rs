//! The windows of models as their server tells them, which goes before what the catalogue says.

use gateway_core::{Capabilities, ModelCard, Target};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// Windows by model, of the providers that are such servers.
///
/// Until they are told, and for every other provider, the catalogue counts.
#[derive(Debug, Default)]
pub struct Windows {
    providers: Vec<Arc<str>>,
    told: RwLock<HashMap<String, u64>>,
}

impl Windows {
    /// None yet, of models that one of `providers` serves.
    pub fn of(providers: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { providers: providers.into_iter().collect(), told: RwLock::default() }
    }

    /// Takes what the server told. What it told before is forgotten.
    pub fn learn(&self, windows: HashMap<String, u64>) {
        *self.told.write().unwrap_or_else(PoisonError::into_inner) = windows;
    }

    /// Lets `target`, a model of `provider`, have its true window.
    pub(crate) fn correct(&self, provider: &str, target: &mut Target) {
        if !self.providers.iter().any(|it| **it == *provider) {
            return;
        }
        let told = self.told.read().unwrap_or_else(PoisonError::into_inner);
        let Some(window) = told.get(&*target.model).copied() else { return };
        let known = target.card.as_deref();
        if known.is_none_or(|card| card.context_window != Some(window)) {
            let card = known.cloned().unwrap_or_else(|| nameless(provider, &target.model));
            target.card = Some(Arc::new(ModelCard { context_window: Some(window), ..card }));
        }
    }
}

fn nameless(provider: &str, model: &str) -> ModelCard {
    ModelCard {
        id: model.to_owned(),
        provider: provider.to_owned(),
        upstream: model.to_owned(),
        api: None,
        context_window: None,
        max_output: None,
        capabilities: Capabilities::default(),
        price: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(provider: &str, model: &str, known: Option<u64>, expected: Option<u64>) {
        let windows = Windows::of(["inference".into()]);
        windows.learn(HashMap::from([("phi-4".to_owned(), 4096)]));
        let card = known.map(|window| {
            let card = nameless(provider, model);
            Arc::new(ModelCard { context_window: Some(window), ..card })
        });
        let mut target = Target { model: model.into(), card };
        windows.correct(provider, &mut target);
        assert_eq!(target.card.and_then(|card| card.context_window), expected);
    }

    #[test]
    fn the_server_knows_better_than_the_catalogue() {
        check("inference", "phi-4", Some(16384), Some(4096));
        check("inference", "phi-4", None, Some(4096));
    }

    #[test]
    fn of_what_it_does_not_tell_the_catalogue_counts() {
        check("inference", "qwen", Some(7), Some(7));
        check("openai", "phi-4", Some(7), Some(7));
        check("openai", "phi-4", None, None);
    }
}
