//! The providers of one generation, and which model name leads to which of them.

use super::{
    Backend, EngineResources, FallbackRoute, ProviderSettings, ResilienceSettings, RoutePlan,
};
use crate::{
    BuildError,
    build::{fallback, provider_stack::StackBuilder},
};
use gateway_core::{
    ErrorKind, GatewayError, ModelCard, ModelCatalogue, PriceHistory, Provider, Result, Route,
    Routes, sync,
};
use gateway_providers::{ALL, ClientSettings, HttpClient};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, RwLock},
};

/// The providers whose catalogued models are known by their bare names: each serves its own. Names of
/// others, such as `openai/gpt-oss-120b` of several, need the provider before them.
const HOMES: &[&str] = &[
    "anthropic",
    "openai",
    "gemini",
    "deepseek",
    "mistral",
    "xai",
    "perplexity",
    "inference",
    "openrouter",
];

/// Returns the catalogue's card of the model `id`: that of `provider`, or else of the provider whose
/// own models are known by their bare names.
pub fn catalogued_card(
    catalogue: &dyn ModelCatalogue,
    provider: Option<&str>,
    id: &str,
) -> Option<Arc<ModelCard>> {
    let home = || HOMES.iter().copied().find(|home| catalogue.has(home, id));
    catalogue.card(provider.or_else(home)?, id)
}

/// The number of plans that are kept.
const MAX_PLANS: usize = 1024;
/// Plans of longer names are not kept.
const MAX_PLANNED_NAME: usize = 256;

/// The providers of one generation, the routes to them and the fallback groups over them.
#[derive(Default)]
pub struct ProviderDirectory {
    routes: Routes,
    providers: HashMap<Arc<str>, RegisteredProvider>,
    fallbacks: HashMap<Arc<str>, Arc<dyn Provider>>,
    /// The plans of names that were asked for, as callers spell them.
    plans: RwLock<foldhash::HashMap<Box<str>, Arc<RoutePlan>>>,
}

/// A provider, with a digest of everything it was built from.
#[derive(Clone, Debug)]
struct RegisteredProvider {
    backend: Backend,
    fingerprint: [u8; 32],
}

/// Builds a [`ProviderDirectory`]. Later calls about the same name win.
pub struct DirectoryBuilder<'a> {
    connections: ClientSettings,
    resilience: ResilienceSettings,
    resources: EngineResources,
    providers: Vec<ProviderSettings>,
    custom: Vec<Arc<dyn Provider>>,
    catalogue: Option<Arc<dyn ModelCatalogue>>,
    models: Vec<Arc<ModelCard>>,
    aliases: Vec<(String, String)>,
    patterns: Vec<(String, String)>,
    prefixes: Vec<(String, String)>,
    fallbacks: Vec<FallbackRoute>,
    default_provider: Option<String>,
    previous: Option<&'a ProviderDirectory>,
}

impl<'a> DirectoryBuilder<'a> {
    /// A builder without providers.
    pub fn new(resilience: ResilienceSettings, resources: EngineResources) -> Self {
        Self {
            connections: ClientSettings::default(),
            resilience,
            resources,
            providers: Vec::new(),
            custom: Vec::new(),
            catalogue: None,
            models: Vec::new(),
            aliases: Vec::new(),
            patterns: Vec::new(),
            prefixes: Vec::new(),
            fallbacks: Vec::new(),
            default_provider: None,
            previous: None,
        }
    }

    /// Connects to upstreams with these settings.
    #[must_use]
    pub fn connections(mut self, settings: ClientSettings) -> Self {
        self.connections = settings;
        self
    }

    /// Reuses the providers of `previous` with the same effective settings, with their connections,
    /// breakers and retry budgets.
    #[must_use]
    pub fn reusing(mut self, previous: Option<&'a ProviderDirectory>) -> Self {
        self.previous = previous;
        self
    }

    /// Adds a provider and its model names to the directory.
    #[must_use]
    pub fn provider(mut self, provider: ProviderSettings) -> Self {
        self.providers.push(provider);
        self
    }

    /// Adds a custom provider, without layers around it.
    #[must_use]
    pub fn custom_provider(mut self, provider: Arc<dyn Provider>) -> Self {
        self.custom.push(provider);
        self
    }

    /// Looks models up in `catalogue` that are not configured.
    #[must_use]
    pub fn catalogue(mut self, catalogue: Arc<dyn ModelCatalogue>) -> Self {
        self.catalogue = Some(catalogue);
        self
    }

    /// Adds a configured model: it goes before the catalogue's.
    #[must_use]
    pub fn model(mut self, model: Arc<ModelCard>) -> Self {
        self.models.push(model);
        self
    }

    /// Adds another name for a model.
    #[must_use]
    pub fn alias(mut self, name: impl Into<String>, model: impl Into<String>) -> Self {
        self.aliases.push((name.into(), model.into()));
        self
    }

    /// Sends names that begin with `prefix/` or `prefix:` to `provider`, without the prefix.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>, provider: impl Into<String>) -> Self {
        self.prefixes.push((prefix.into(), provider.into()));
        self
    }

    /// Sends names that begin with `beginning` to `provider`.
    #[must_use]
    pub fn family(mut self, beginning: impl Into<String>, provider: impl Into<String>) -> Self {
        self.patterns.push((beginning.into(), provider.into()));
        self
    }

    /// Adds a model name that several targets serve.
    #[must_use]
    pub fn fallback(mut self, route: FallbackRoute) -> Self {
        self.fallbacks.push(route);
        self
    }

    /// Sends names that nothing else matches to `provider`.
    #[must_use]
    pub fn default_provider(mut self, provider: Option<String>) -> Self {
        self.default_provider = provider;
        self
    }

    /// Builds every provider, route and fallback group.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the first part that cannot be built: a malformed address, a fallback
    /// target that no provider serves, a default provider that is not configured.
    pub fn build(self) -> Result<ProviderDirectory, BuildError> {
        let providers = self.registered()?;
        let mut routes = self.routes(&providers)?;
        let mut fallbacks = HashMap::new();
        for route in &self.fallbacks {
            let backend = |id: &str| providers.get(id).map(|it| &it.backend);
            let (first, group) = fallback::group(route, &routes, backend)?;
            fallbacks.insert(route.model.as_str().into(), group);
            routes.chain(&route.model, first);
        }
        Ok(ProviderDirectory { routes, providers, fallbacks, plans: RwLock::default() })
    }

    fn registered(&self) -> Result<HashMap<Arc<str>, RegisteredProvider>, BuildError> {
        let client = HttpClient::new(&self.connections)
            .map_err(|error| BuildError::Connections(error.into()))?;
        let mut stacks = StackBuilder::new(&self.resilience, &self.resources);
        let mut registered = HashMap::new();
        for provider in &self.providers {
            let fingerprint = self.fingerprint(provider);
            let id: Arc<str> = provider.settings.id.as_str().into();
            let known = self.previous.and_then(|previous| previous.providers.get(&id));
            let same = known.filter(|known| known.fingerprint == fingerprint);
            let entry = if let Some(known) = same {
                known.clone()
            } else {
                let mut provider = provider.clone();
                provider.settings.client = Some(client.clone());
                RegisteredProvider { backend: stacks.backend(&provider)?, fingerprint }
            };
            registered.insert(id, entry);
        }
        for provider in &self.custom {
            let backend = Backend::Ready(Arc::clone(provider));
            let entry = RegisteredProvider { backend, fingerprint: [0; 32] };
            registered.insert(provider.id().into(), entry);
        }
        Ok(registered)
    }

    /// A digest of everything that a provider is built from.
    fn fingerprint(&self, provider: &ProviderSettings) -> [u8; 32] {
        let hash = Sha256::new()
            .chain_update(format!("{:?}", self.connections))
            .chain_update(format!("{:?}", self.resilience))
            .chain_update(format!("{:?}", self.resources));
        provider.hash_into(hash).finalize().into()
    }

    fn routes(
        &self,
        providers: &HashMap<Arc<str>, RegisteredProvider>,
    ) -> Result<Routes, BuildError> {
        let mut routes = Routes::default();
        for known in ALL.iter().filter(|known| providers.contains_key(known.id)) {
            for prefix in known.aliases.iter().chain(known.prefixes).chain([&known.id]) {
                routes.prefix(prefix, known.id);
            }
            for family in known.families {
                routes.family(family, known.id);
            }
        }
        for provider in &self.custom {
            routes.prefix(provider.id(), provider.id());
        }
        if let Some(catalogue) = &self.catalogue {
            routes.catalogue(Arc::clone(catalogue), HOMES);
        }
        for model in &self.models {
            routes.model(Arc::clone(model));
        }
        for (name, model) in &self.aliases {
            routes.alias(name, model);
        }
        for (prefix, provider) in &self.prefixes {
            routes.prefix(prefix, provider);
        }
        for (beginning, provider) in &self.patterns {
            routes.family(beginning, provider);
        }
        if let Some(name) = &self.default_provider {
            let id = gateway_providers::find(name).map_or(name.as_str(), |known| known.id);
            if !providers.contains_key(id) {
                return Err(BuildError::DefaultProvider { id: id.to_owned() });
            }
            routes.otherwise(id);
        }
        Ok(routes)
    }
}

impl ProviderDirectory {
    /// The routes from model names to providers.
    pub const fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Returns the prices of `model`; nothing if none is known.
    pub fn prices(&self, model: &str) -> Option<PriceHistory> {
        let card = self.routes.single(model).ok()?.target.card?;
        Some(card.prices.clone()).filter(|prices| !prices.is_empty())
    }

    /// The providers with their ids, in no order.
    pub fn backends(&self) -> impl Iterator<Item = (&Arc<str>, &Backend)> {
        self.providers.iter().map(|(id, provider)| (id, &provider.backend))
    }

    /// The provider `id`, with its id as registered; `None` if it is not set up.
    pub fn backend(&self, id: &str) -> Option<(&Arc<str>, &Backend)> {
        self.providers.get_key_value(id).map(|(id, provider)| (id, &provider.backend))
    }

    /// The ids of the providers that can serve requests.
    pub fn ready(&self) -> impl Iterator<Item = &str> {
        self.backends().filter(|(_, backend)| backend.is_ready()).map(|(id, _)| &**id)
    }

    /// Whether the provider `id` can serve requests.
    pub fn is_ready(&self, id: &str) -> bool {
        self.providers.get(id).is_some_and(|provider| provider.backend.is_ready())
    }

    /// The provider `id`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotConfigured`] if it is not set up.
    pub fn provider(&self, id: &str) -> Result<&Arc<dyn Provider>> {
        let why = match self.providers.get(id).map(|provider| &provider.backend) {
            Some(Backend::Ready(provider)) => return Ok(provider),
            Some(Backend::NotReady(why)) => why.clone(),
            None => format!("the provider '{id}' is not configured"),
        };
        Err(GatewayError::new(ErrorKind::NotConfigured, why).with_param("model"))
    }

    /// The plan of requests for the model `name`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ModelNotFound`] if no provider serves the name.
    pub(crate) fn plan(&self, name: &str) -> Result<Arc<RoutePlan>> {
        if let Some(plan) = sync::read(&self.plans).get(name) {
            return Ok(Arc::clone(plan));
        }
        let route = self.routes.route(name)?;
        let group = self.fallback(&route).cloned();
        let is_group = group.is_some();
        let provider = group.map_or_else(|| self.provider(&route.provider).cloned(), Ok);
        let plan = Arc::new(RoutePlan::new(name, route, provider, is_group));
        if name.len() <= MAX_PLANNED_NAME {
            let mut plans = sync::write(&self.plans);
            // Names are callers' to choose: those that are used come back.
            if plans.len() >= MAX_PLANS {
                plans.clear();
            }
            plans.insert(name.into(), Arc::clone(&plan));
        }
        Ok(plan)
    }

    /// The fallback group of `route`, if it leads to one.
    pub fn fallback(&self, route: &Route) -> Option<&Arc<dyn Provider>> {
        route.chain.as_ref().and_then(|name| self.fallbacks.get(name))
    }
}

impl fmt::Debug for DirectoryBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryBuilder")
            .field("resilience", &self.resilience)
            .field("models", &self.models.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ProviderDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderDirectory")
            .field("providers", &self.providers)
            .field("fallbacks", &self.fallbacks.keys())
            .finish_non_exhaustive()
    }
}
