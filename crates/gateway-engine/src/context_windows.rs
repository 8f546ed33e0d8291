//! The context windows of local models as their server reports them; they override the catalogue.

use gateway_core::{ModelCard, Target, sync};
use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

/// Context windows by model, of the providers whose server reports them.
///
/// Until they are reported, and for every other provider, the catalogue's windows are used.
#[derive(Debug, Default)]
pub struct ContextWindows {
    providers: Vec<Arc<str>>,
    reported: RwLock<HashMap<String, u64>>,
}

impl ContextWindows {
    /// No windows yet, of models that one of `providers` serves.
    pub fn of(providers: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { providers: providers.into_iter().collect(), reported: RwLock::default() }
    }

    /// Replaces the windows by those that the server reports now.
    pub fn update(&self, windows: HashMap<String, u64>) {
        *sync::write(&self.reported) = windows;
    }

    /// Sets the window of `target`, a model of `provider`, if its server reported one.
    pub(crate) fn apply(&self, provider: &str, target: &mut Target) {
        if !self.providers.iter().any(|it| **it == *provider) {
            return;
        }
        let reported = sync::read(&self.reported);
        let Some(window) = reported.get(&*target.model).copied() else { return };
        let known = target.card.as_deref();
        if known.is_none_or(|card| card.context_window != Some(window)) {
            let card = known.cloned().unwrap_or_else(|| ModelCard::new(&*target.model, provider));
            target.card = Some(Arc::new(ModelCard { context_window: Some(window), ..card }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(provider: &str, model: &str, known: Option<u64>, expected: Option<u64>) {
        let windows = ContextWindows::of(["inference".into()]);
        windows.update(HashMap::from([("phi-4".to_owned(), 4096)]));
        let card = known.map(|window| {
            let card = ModelCard::new(model, provider);
            Arc::new(ModelCard { context_window: Some(window), ..card })
        });
        let mut target = Target { model: model.into(), card };
        windows.apply(provider, &mut target);
        assert_eq!(target.card.and_then(|card| card.context_window), expected);
    }

    #[test]
    fn reported_window_overrides_catalogue() {
        check("inference", "phi-4", Some(16384), Some(4096));
        check("inference", "phi-4", None, Some(4096));
    }

    #[test]
    fn unreported_window_is_that_of_the_catalogue() {
        check("inference", "qwen", Some(7), Some(7));
        check("openai", "phi-4", Some(7), Some(7));
        check("openai", "phi-4", None, None);
    }
}
