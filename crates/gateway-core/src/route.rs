//! From the name a caller gives to the model that is asked. Pure: no state, no I/O.
//!
//! The first of these that matches decides:
//!
//! ```text
//! alias -> chain -> provider prefix -> catalogue name -> family pattern -> default -> not found
//! ```
//!
//! so that `deepseek-r1-7b`, which the catalogue knows as a local model, is not taken for one of
//! the `deepseek-` family. Names are matched without regard to case and sent as catalogued.

use crate::{ErrorKind, GatewayError, ModelCard, ModelCatalogue, Result, Target};
use foldhash::HashMap;
use std::{collections::BTreeMap, sync::Arc};

/// Everything that routing depends on.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// Other names, in lower case, and what they stand for.
    aliases: HashMap<String, String>,
    /// Names that several targets answer for, in lower case, and where the first of them is.
    chains: HashMap<String, Route>,
    /// Provider prefixes, in lower case and without separator, and their providers.
    prefixes: HashMap<String, Arc<str>>,
    /// The catalogue of models that are not configured.
    catalogue: Option<Arc<dyn ModelCatalogue>>,
    /// Providers whose catalogued models are known by their bare names, in order.
    homes: Vec<Arc<str>>,
    /// Configured models by name in lower case.
    models: HashMap<String, Arc<ModelCard>>,
    /// Configured models by provider and by upstream name or id, both in lower case.
    by_provider: HashMap<(Arc<str>, String), Arc<ModelCard>>,
    /// Beginnings of names, in lower case, and the providers they belong to; longest first.
    families: Vec<(String, Arc<str>)>,
    /// Provider of names that match no rule.
    default: Option<Arc<str>>,
}

/// The route of a request: provider, model and the rule that matched.
#[derive(Clone, Debug)]
pub struct Route {
    /// Id of the provider.
    pub provider: Arc<str>,
    /// The model to ask it for.
    pub target: Target,
    /// The routing rule that matched.
    pub rule: Rule,
    /// The chain to ask instead of the provider, if several targets answer for the name.
    pub chain: Option<Arc<str>>,
}

/// The rule by which a name was routed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// Several targets answer for the name.
    Chain,
    /// The name began with a provider's prefix.
    Prefix,
    /// The catalogue has the name.
    Catalogue,
    /// The name began like those of a family.
    Family,
    /// The default provider; no other rule matched.
    Default,
}

/// Aliases may point to aliases, but not round in circles.
pub const MAX_ALIASES: usize = 8;

impl Routes {
    /// Adds another name for `model`.
    pub fn alias(&mut self, name: &str, model: impl Into<String>) {
        self.aliases.insert(name.to_lowercase(), model.into());
    }

    /// Lets several targets answer for `name`, the first of which is `first`.
    pub fn chain(&mut self, name: &str, first: Route) {
        let route = Route { rule: Rule::Chain, chain: Some(name.into()), ..first };
        self.chains.insert(name.to_lowercase(), route);
    }

    /// Sends names that begin with `prefix/` or `prefix:` to `provider`, without the prefix.
    pub fn prefix(&mut self, prefix: &str, provider: &str) {
        self.prefixes.insert(prefix.to_lowercase(), provider.into());
    }

    /// Looks models up in `catalogue` that are not configured; those of `homes` by their bare names.
    pub fn catalogue(&mut self, catalogue: Arc<dyn ModelCatalogue>, homes: &[&str]) {
        self.catalogue = Some(catalogue);
        self.homes = homes.iter().map(|home| (*home).into()).collect();
    }

    /// The catalogue of models that are not configured, if there is one.
    pub fn catalogued(&self) -> Option<&dyn ModelCatalogue> {
        self.catalogue.as_deref()
    }

    /// Adds a configured model; a later one of the same name replaces it.
    pub fn model(&mut self, card: Arc<ModelCard>) {
        let provider: Arc<str> = card.provider.as_str().into();
        for name in [&card.id, &card.upstream] {
            let key = (Arc::clone(&provider), name.to_lowercase());
            self.by_provider.insert(key, Arc::clone(&card));
        }
        self.models.insert(card.id.to_lowercase(), card);
    }

    /// Sends names that begin with `beginning` to `provider`.
    pub fn family(&mut self, beginning: &str, provider: &str) {
        self.families.push((beginning.to_lowercase(), provider.into()));
        self.families.sort_by_key(|(beginning, _)| std::cmp::Reverse(beginning.len()));
    }

    /// Sends names that match no rule to `provider`.
    pub fn otherwise(&mut self, provider: &str) {
        self.default = Some(provider.into());
    }

    /// Returns the models of `providers`, configured and catalogued, by name.
    pub fn models<'a>(&self, providers: impl Iterator<Item = &'a str>) -> Vec<Arc<ModelCard>> {
        let mut models = BTreeMap::new();
        for provider in providers {
            let catalogued = self.catalogue.iter().flat_map(|it| it.cards(provider));
            let configured = self.models.values().filter(|card| card.provider == provider);
            for card in catalogued.chain(configured.cloned()) {
                models.insert((card.id.to_lowercase(), card.provider.clone()), card);
            }
        }
        models.into_values().collect()
    }

    /// Returns the names of models that need no provider before them: those that are configured, with
    /// their providers' names for them, and the catalogued ones of the providers that `serves` admits.
    pub fn model_names(&self, serves: impl Fn(&str) -> bool) -> Vec<String> {
        let configured =
            self.models.values().flat_map(|card| [card.id.clone(), card.upstream.clone()]);
        let catalogue = self.catalogue.as_ref();
        let catalogued = self
            .homes
            .iter()
            .filter(|home| serves(home))
            .flat_map(|home| catalogue.map(|it| it.names(home)).unwrap_or_default());
        configured.chain(catalogued).collect()
    }

    /// Returns the number of models of `providers`, without making their cards.
    pub fn count_models<'a>(&self, providers: impl Iterator<Item = &'a str>) -> usize {
        let count = |provider: &str| {
            let catalogued = self.catalogue.as_ref().map_or(0, |it| it.count(provider));
            let is_own = |card: &&Arc<ModelCard>| {
                let catalogue = self.catalogue.as_ref();
                card.provider == provider && !catalogue.is_some_and(|it| it.has(provider, &card.id))
            };
            catalogued + self.models.values().filter(is_own).count()
        };
        providers.map(count).sum()
    }

    /// Returns what is known of `name` at `provider`: as configured, else as catalogued.
    fn card(&self, provider: &Arc<str>, name: &str, folded: &str) -> Option<Arc<ModelCard>> {
        let configured = self.by_provider.get(&(Arc::clone(provider), folded.to_owned()));
        configured.cloned().or_else(|| self.catalogue.as_ref()?.card(provider, name))
    }

    /// The other names, and what they stand for.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        let sorted = self.aliases.iter().collect::<BTreeMap<_, _>>();
        sorted.into_iter().map(|(name, model)| (name.as_str(), model.as_str()))
    }

    /// Returns the prefixes that name a provider, in lower case and without a separator.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.prefixes.keys().map(String::as_str)
    }

    /// The names that several targets answer for.
    pub fn chains(&self) -> impl Iterator<Item = &str> {
        self.chains.values().filter_map(|route| route.chain.as_deref())
    }

    /// Resolves `name` to a route.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ModelNotFound`] if no provider serves the name.
    pub fn route(&self, name: &str) -> Result<Route> {
        if !self.chains.is_empty()
            && let Some(route) = self.chains.get(&self.resolve(name).to_lowercase())
        {
            return Ok(route.clone());
        }
        self.single(name)
    }

    /// Resolves `name` to a single model, ignoring route groups of the same name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ModelNotFound`] if no provider serves the name.
    pub fn single(&self, name: &str) -> Result<Route> {
        let name = self.resolve(name);
        let folded = name.to_lowercase();
        self.by_prefix(name, &folded)
            .or_else(|| self.by_catalogue(name, &folded))
            .or_else(|| self.by_family(name, &folded))
            .or_else(|| self.by_default(name))
            .ok_or_else(|| not_found(name))
    }

    /// Whether the name `model` alone leads to that model of `provider`.
    pub fn is_bare(&self, provider: &str, model: &str) -> bool {
        let folded = model.to_lowercase();
        if let Some((prefix, _)) = folded.split_once(['/', ':'])
            && let Some(of_prefix) = self.prefixes.get(prefix)
        {
            return **of_prefix == *provider;
        }
        if let Some(card) = self.models.get(&folded) {
            return card.provider == provider;
        }
        let catalogue = self.catalogue.as_ref();
        let has = |home: &&Arc<str>| catalogue.is_some_and(|it| it.has(home, model));
        match self.homes.iter().find(has) {
            Some(home) => **home == *provider,
            None => self.single(model).is_ok_and(|route| &*route.provider == provider),
        }
    }

    /// Returns the names by which patterns of permitted models admit the model of `route`: those of
    /// its provider with the provider before them, and without it only where a bare name leads there.
    pub fn permitted_names(&self, route: &Route) -> Vec<String> {
        let id = route.target.card.as_ref().map(|card| card.id.as_str());
        let mut names = Vec::new();
        for model in [Some(&*route.target.model), id].into_iter().flatten() {
            let qualified = format!("{}/{model}", route.provider);
            if names.contains(&qualified) {
                continue;
            }
            names.push(qualified);
            if self.is_bare(&route.provider, model) {
                names.push(model.to_owned());
            }
        }
        names
    }

    fn resolve<'a>(&'a self, name: &'a str) -> &'a str {
        let mut name = name.trim();
        for _ in 0..MAX_ALIASES {
            match self.aliases.get(&name.to_lowercase()) {
                Some(model) => name = model,
                None => break,
            }
        }
        name
    }

    fn by_prefix(&self, name: &str, folded: &str) -> Option<Route> {
        let at = folded.find(['/', ':'])?;
        let provider = self.prefixes.get(folded.get(..at)?)?;
        let rest = name.get(at + 1..).filter(|rest| !rest.is_empty())?;
        // A model may be known with or without its prefix: `openrouter/auto` is the whole name
        // there.
        let folded_rest = rest.to_lowercase();
        let configured = [folded_rest.as_str(), folded]
            .into_iter()
            .find_map(|key| self.by_provider.get(&(Arc::clone(provider), key.to_owned())));
        let card = configured.cloned().or_else(|| {
            let catalogue = self.catalogue.as_ref()?;
            let is_whole = !catalogue.has(provider, rest) && catalogue.has(provider, name);
            catalogue.card(provider, if is_whole { name } else { rest })
        });
        Some(Route::new(provider, rest, card, Rule::Prefix))
    }

    fn by_catalogue(&self, name: &str, folded: &str) -> Option<Route> {
        if let Some(card) = self.models.get(folded) {
            let provider = card.provider.as_str().into();
            return Some(Route::new(&provider, "", Some(Arc::clone(card)), Rule::Catalogue));
        }
        let catalogue = self.catalogue.as_ref()?;
        let home = self.homes.iter().find(|home| catalogue.has(home, name))?;
        Some(Route::new(home, name, catalogue.card(home, name), Rule::Catalogue))
    }

    fn by_family(&self, name: &str, folded: &str) -> Option<Route> {
        let (_, provider) = self.families.iter().find(|(start, _)| folded.starts_with(start))?;
        let card = self.card(provider, name, folded);
        Some(Route::new(provider, name, card, Rule::Family))
    }

    fn by_default(&self, name: &str) -> Option<Route> {
        let provider = self.default.as_ref().filter(|_| !name.is_empty())?;
        let card = self.card(provider, name, &name.to_lowercase());
        Some(Route::new(provider, name, card, Rule::Default))
    }
}

impl Rule {
    /// Returns the stable name, for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Prefix => "prefix",
            Self::Catalogue => "catalogue",
            Self::Family => "family",
            Self::Default => "default",
        }
    }
}

impl Route {
    fn new(provider: &Arc<str>, name: &str, card: Option<Arc<ModelCard>>, rule: Rule) -> Self {
        let model = card.as_ref().map_or(name, |card| &card.upstream).into();
        let target = Target { model, card };
        Self { provider: Arc::clone(provider), target, rule, chain: None }
    }
}

/// The message names the model only if it is printable and short: it came from outside.
fn not_found(name: &str) -> GatewayError {
    let printable = name.len() <= 128 && name.chars().all(|c| !c.is_control());
    let message = if printable && !name.is_empty() {
        format!("no provider serves a model called '{name}'")
    } else {
        "no provider serves a model of that name".to_owned()
    };
    GatewayError::new(ErrorKind::ModelNotFound, message).with_param("model")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(id: &str, provider: &str, upstream: &str) -> Arc<ModelCard> {
        Arc::new(ModelCard { upstream: upstream.to_owned(), ..ModelCard::new(id, provider) })
    }

    /// A catalogue that has `gpt-9` at two providers, and knows the dated names of it.
    #[derive(Debug)]
    struct TwoProviders;

    impl ModelCatalogue for TwoProviders {
        fn card(&self, provider: &str, name: &str) -> Option<Arc<ModelCard>> {
            let known = name.to_lowercase().starts_with("gpt-9");
            let upstream = if self.has(provider, name) { "gpt-9" } else { name };
            known.then(|| card("gpt-9", provider, upstream))
        }

        fn has(&self, provider: &str, name: &str) -> bool {
            ["openai", "openrouter"].contains(&provider) && name.eq_ignore_ascii_case("gpt-9")
        }

        fn cards(&self, provider: &str) -> Vec<Arc<ModelCard>> {
            self.card(provider, "gpt-9").into_iter().collect()
        }
    }

    #[test]
    fn catalogued_model_is_found_at_home_and_by_prefix() {
        let mut routes = routes();
        routes.catalogue(Arc::new(TwoProviders), &["openai"]);
        for (name, expected) in [
            ("GPT-9", "openai gpt-9 catalogue gpt-9"),
            ("gpt-9-2027-01-01", "openai gpt-9-2027-01-01 family gpt-9"),
            ("openrouter/gpt-9", "openrouter gpt-9 prefix gpt-9"),
            ("openai/gpt-9-latest", "openai gpt-9-latest prefix gpt-9"),
            ("gpt-5.2", "openai gpt-5.2 catalogue gpt-5.2"),
        ] {
            let route = routes.route(name).unwrap();
            let card = route.target.card.map(|card| card.id.clone()).unwrap_or_default();
            let (provider, model) = (route.provider, route.target.model);
            assert_eq!(format!("{provider} {model} {} {card}", route.rule.as_str()), expected);
        }
    }

    #[test]
    fn configured_and_catalogued_models_are_listed_once() {
        let mut routes = routes();
        routes.catalogue(Arc::new(TwoProviders), &["openai"]);
        routes.model(card("GPT-9", "openai", "own"));
        let models = routes.models(["openai"].into_iter());
        let names: Vec<_> = models.iter().map(|card| card.upstream.as_str()).collect();
        assert_eq!(names, ["gpt-5.2", "own"]);
    }

    #[test]
    fn model_of_another_provider_is_permitted_by_its_qualified_name_only() {
        let mut routes = routes();
        routes.prefix("lab", "lab");
        for (name, expected) in [
            ("gpt-5.2", "openai/gpt-5.2 gpt-5.2"),
            ("openai/gpt-5.2", "openai/gpt-5.2 gpt-5.2"),
            ("lab/gpt-5.2", "lab/gpt-5.2"),
            ("opus", "anthropic/claude-opus-4-20250514 claude-opus-4-20250514 anthropic/Opus Opus"),
        ] {
            let route = routes.route(name).unwrap();
            assert_eq!(routes.permitted_names(&route).join(" "), expected, "{name}");
        }
    }

    fn routes() -> Routes {
        let mut routes = Routes::default();
        for (prefix, provider) in [
            ("openai", "openai"),
            ("openrouter", "openrouter"),
            ("local", "llamacpp"),
            ("deepseek-api", "deepseek"),
        ] {
            routes.prefix(prefix, provider);
        }
        routes.model(card("deepseek-r1-7b", "llamacpp", "deepseek-r1-7b"));
        routes.model(card("gpt-5.2", "openai", "gpt-5.2"));
        routes.model(card("Opus", "anthropic", "claude-opus-4-20250514"));
        routes.model(card("openrouter/auto", "openrouter", "openrouter/auto"));
        for (start, provider) in
            [("gpt-", "openai"), ("deepseek-", "deepseek"), ("claude-", "anthropic")]
        {
            routes.family(start, provider);
        }
        routes.alias("chatgpt", "gpt-5.2");
        routes.alias("Best", "chatgpt");
        routes.alias("loop", "loop");
        routes
    }

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        let route = routes().route(name).ok();
        let actual = route.map(|route| format!("{} {}", route.provider, route.target.model));
        assert_eq!(actual.as_deref(), expected, "{name}");
    }

    #[test]
    fn alias_resolves_to_model() {
        check("chatgpt", Some("openai gpt-5.2"));
        check("best", Some("openai gpt-5.2"));
        check("loop", None);
    }

    #[test]
    fn provider_prefix_selects_provider_and_is_stripped() {
        check("openai/o9", Some("openai o9"));
        check("local/phi-4", Some("llamacpp phi-4"));
        check("local:phi-4", Some("llamacpp phi-4"));
        check("openrouter/meta/llama-3:free", Some("openrouter meta/llama-3:free"));
        check("deepseek-api/x", Some("deepseek x"));
        check("openai/", None);
    }

    #[test]
    fn prefix_inside_catalogued_name_is_preserved() {
        check("openrouter/auto", Some("openrouter openrouter/auto"));
    }

    #[test]
    fn catalogue_name_takes_precedence_over_family_pattern() {
        check("deepseek-r1-7b", Some("llamacpp deepseek-r1-7b"));
        check("deepseek-chat", Some("deepseek deepseek-chat"));
    }

    #[test]
    fn model_names_match_case_insensitively() {
        check("GPT-5.2", Some("openai gpt-5.2"));
        check("OPUS", Some("anthropic claude-opus-4-20250514"));
        check("OpenAI/GPT-5.2", Some("openai gpt-5.2"));
    }

    #[test]
    fn route_takes_precedence_over_model_of_same_name() {
        let mut routes = routes();
        for name in ["gpt-5.2", "Sure"] {
            let first = routes.single("gpt-5.2").unwrap();
            routes.chain(name, first);
        }
        for (name, chain) in [("chatgpt", "gpt-5.2"), ("sure", "Sure")] {
            let route = routes.route(name).unwrap();
            assert_eq!((route.chain.as_deref(), route.rule), (Some(chain), Rule::Chain));
        }
        assert_eq!(routes.single("gpt-5.2").unwrap().chain, None);
        assert!(routes.single("sure").is_err());
    }

    #[test]
    fn unmatched_model_is_not_found() {
        for name in ["", " ", "nobody/x", "x", "http://10.0.0.1/", "../x", "\0"] {
            check(name, None);
        }
    }

    #[test]
    fn unmatched_model_goes_to_default_provider() {
        let mut routes = routes();
        routes.otherwise("openrouter");
        let route = routes.route("x").unwrap();
        assert_eq!((&*route.provider, route.rule), ("openrouter", Rule::Default));
    }
}
