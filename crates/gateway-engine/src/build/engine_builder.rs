//! The engine of a host of its own: no configuration file, no listener, nothing global.

use crate::{
    ContextWindows, Engine, EngineResources, EngineSettings, FallbackRoute, ProviderSettings,
    RequestMetrics, RequestObserver, ResilienceSettings, Toolbox,
    build::{BuildError, DirectoryBuilder, absent_stores::AbsentStores},
};
use gateway_catalogue::TextCatalogue;
use gateway_core::{ModelCard, Provider, state::ResponseStore};
use gateway_limits::Limits;
use gateway_providers::{ClientSettings, Settings};
use gateway_sessions::{Responses, SessionManager, SessionRules, Sessions};
use secrecy::SecretString;
use std::{fmt, sync::Arc, time::Duration};

/// The number of responses that are generated in the background at one time.
const BACKGROUND_RESPONSES: usize = 256;
/// The lifetime of stored responses of an engine without a store of its own.
const RESPONSE_TTL: Duration = Duration::from_hours(1);

/// Builds an [`Engine`]. What is not set has the defaults of the binary; nothing is limited, stored or
/// cached until its part is set, and no task is spawned.
#[must_use]
pub struct EngineBuilder {
    resilience: ResilienceSettings,
    resources: EngineResources,
    connections: ClientSettings,
    providers: Vec<ProviderSettings>,
    custom: Vec<Arc<dyn Provider>>,
    models: Vec<ModelCard>,
    aliases: Vec<(String, String)>,
    fallbacks: Vec<FallbackRoute>,
    default_provider: Option<String>,
    settings: EngineSettings,
    limits: Limits,
    toolbox: Toolbox,
    sessions: Option<SessionManager>,
    responses: Option<Responses>,
    observers: Vec<Arc<dyn RequestObserver>>,
    unknown: Option<String>,
}

impl Engine {
    /// Returns a builder of an engine without providers.
    ///
    /// ```
    /// # fn main() -> Result<(), gateway_engine::BuildError> {
    /// let engine = gateway_engine::Engine::builder()
    ///     .provider("fake", &[])
    ///     .alias("small", "fake/echo")
    ///     .build()?;
    /// assert!(engine.directory.is_ready("fake"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            resilience: ResilienceSettings::default(),
            resources: EngineResources::default(),
            connections: ClientSettings::default(),
            providers: Vec::new(),
            custom: Vec::new(),
            models: Vec::new(),
            aliases: Vec::new(),
            fallbacks: Vec::new(),
            default_provider: None,
            settings: EngineSettings::default(),
            limits: Limits::default(),
            toolbox: Toolbox::default(),
            sessions: None,
            responses: None,
            observers: Vec::new(),
            unknown: None,
        }
    }
}

impl EngineBuilder {
    /// Adds the provider `id`, one that the gateway knows by name, with API keys that are used in turn.
    /// An unknown name fails at [`build`](Self::build).
    pub fn provider(mut self, id: &str, keys: &[&str]) -> Self {
        let Some(descriptor) = gateway_providers::find(id) else {
            self.unknown.get_or_insert_with(|| id.to_owned());
            return self;
        };
        let settings = Settings {
            id: descriptor.id.to_owned(),
            base_url: descriptor.base_url.to_owned(),
            ..Settings::default()
        };
        let keys = keys.iter().map(|key| SecretString::from(*key)).collect();
        self.provider_settings(ProviderSettings { descriptor, settings, keys })
    }

    /// Adds a provider at an address of its own.
    pub fn provider_settings(mut self, provider: ProviderSettings) -> Self {
        self.providers.push(provider);
        self
    }

    /// Adds a provider of the host, as it is: without retries or circuit breakers around it.
    pub fn custom_provider(mut self, provider: Arc<dyn Provider>) -> Self {
        self.custom.push(provider);
        self
    }

    /// Adds a model to the built-in catalogue, or replaces one.
    pub fn model(mut self, model: ModelCard) -> Self {
        self.models.push(model);
        self
    }

    /// Adds another name for a model.
    pub fn alias(mut self, name: &str, model: &str) -> Self {
        self.aliases.push((name.to_owned(), model.to_owned()));
        self
    }

    /// Adds a model name that several targets serve.
    pub fn fallback(mut self, route: FallbackRoute) -> Self {
        self.fallbacks.push(route);
        self
    }

    /// Sends names that nothing else matches to `provider`.
    pub fn default_provider(mut self, provider: &str) -> Self {
        self.default_provider = Some(provider.to_owned());
        self
    }

    /// Connects to upstreams with these settings.
    pub fn connections(mut self, settings: ClientSettings) -> Self {
        self.connections = settings;
        self
    }

    /// Sets deadlines, retries, circuit breakers and concurrency of all providers.
    pub fn resilience(mut self, settings: ResilienceSettings) -> Self {
        self.resilience = settings;
        self
    }

    /// Sets the response cache, the reasoning store, the shutdown token and instrumentation.
    pub fn resources(mut self, resources: EngineResources) -> Self {
        self.settings.caching = resources.cache.is_some();
        self.resources = resources;
        self
    }

    /// Sets the treatment of requests that say nothing else.
    pub fn settings(mut self, settings: EngineSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets rate limits, admission control and the usage ledger. Their upkeep is the host's:
    /// [`LimitAccounts::run`](gateway_limits::LimitAccounts::run) and
    /// [`UsageRecorder::run`](gateway_limits::UsageRecorder::run) are futures to spawn.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the tools that the engine runs.
    pub fn toolbox(mut self, toolbox: Toolbox) -> Self {
        self.toolbox = toolbox;
        self
    }

    /// Sets the sessions.
    pub fn sessions(mut self, sessions: Sessions) -> Self {
        self.sessions = Some(SessionManager::new(sessions));
        self
    }

    /// Sets the store of responses, and their lifetime in it.
    pub fn responses(mut self, store: Arc<dyn ResponseStore>, ttl: Duration) -> Self {
        self.responses = Some(Responses::new(store, ttl, BACKGROUND_RESPONSES));
        self
    }

    /// Adds an observer of all requests.
    pub fn observer(mut self, observer: Arc<dyn RequestObserver>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Builds the engine.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the first part that cannot be built.
    pub fn build(self) -> Result<Arc<Engine>, BuildError> {
        if let Some(id) = self.unknown {
            return Err(BuildError::UnknownProvider { id });
        }
        let memory = Arc::clone(&self.connections.memory);
        let mut directory = DirectoryBuilder::new(self.resilience, self.resources)
            .connections(self.connections)
            .default_provider(self.default_provider);
        for provider in self.providers {
            directory = directory.provider(provider);
        }
        for provider in self.custom {
            directory = directory.custom_provider(provider);
        }
        directory = with_catalogue(directory);
        for model in self.models {
            directory = directory.model(Arc::new(model));
        }
        for (name, model) in &self.aliases {
            directory = directory.alias(name, model);
        }
        for route in self.fallbacks {
            directory = directory.fallback(route);
        }
        let absent = Arc::new(AbsentStores);
        let sessions = Sessions::new(Arc::<AbsentStores>::clone(&absent), SessionRules::default());
        Ok(Arc::new(Engine {
            directory: directory.build()?,
            settings: self.settings,
            limits: self.limits,
            toolbox: self.toolbox,
            sessions: self.sessions.unwrap_or_else(|| SessionManager::new(sessions)),
            responses: self
                .responses
                .unwrap_or_else(|| Responses::new(absent, RESPONSE_TTL, BACKGROUND_RESPONSES)),
            context_service: None,
            context_windows: Arc::new(ContextWindows::default()),
            local_models: Arc::default(),
            metrics: Arc::new(RequestMetrics::default()),
            observers: self.observers,
            memory,
            generation: 1,
        }))
    }
}

/// Adds the models and aliases of this release.
fn with_catalogue(mut directory: DirectoryBuilder<'_>) -> DirectoryBuilder<'_> {
    let catalogue = TextCatalogue::built_in();
    for (name, model) in catalogue.aliases() {
        directory = directory.alias(name, model);
    }
    directory.catalogue(Arc::new(catalogue))
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("resilience", &self.resilience)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InboundRequest, ResponseBody};
    use gateway_limits::Client;
    use gateway_wire::chat::ChatInbound;
    use std::sync::Mutex;

    const QUESTION: &str = r#"{"model":"small","messages":[{"role":"user","content":"hello"}]}"#;

    #[derive(Default)]
    struct RecordedOutcomes(Mutex<Vec<(String, &'static str)>>);

    impl RequestObserver for RecordedOutcomes {
        fn finished(&self, request: &crate::RequestSummary<'_>) {
            self.0.lock().unwrap().push((request.provider.to_string(), request.outcome));
        }
    }

    fn client() -> Arc<Client> {
        Arc::new(Client::new("team", "team"))
    }

    #[tokio::test]
    async fn built_engine_answers_and_accounts() {
        let outcomes = Arc::new(RecordedOutcomes::default());
        let engine = Engine::builder()
            .provider("fake", &[])
            .alias("small", "fake/echo")
            .observer(Arc::<RecordedOutcomes>::clone(&outcomes))
            .build()
            .unwrap();
        let request = InboundRequest::new(client(), QUESTION);
        let response = engine.generate(&ChatInbound, request).await.unwrap();
        let ResponseBody::Whole(body) = response.body else { panic!("a stream") };
        assert!(std::str::from_utf8(&body).unwrap().contains("hello"));
        assert_eq!(*outcomes.0.lock().unwrap(), [("fake".to_owned(), "ok")]);
    }

    #[tokio::test]
    async fn failing_target_falls_back() {
        let outcomes = Arc::new(RecordedOutcomes::default());
        let target = |model: &str| (model.to_owned(), None);
        let engine = Engine::builder()
            .provider("fake", &[])
            .fallback(FallbackRoute {
                model: "small".to_owned(),
                targets: vec![target("fake/error-503"), target("fake/echo")],
                on: vec![
                    gateway_resilience::FallbackCondition::ServerError,
                    gateway_resilience::FallbackCondition::Unavailable,
                ],
                retry: false,
                breaker: true,
            })
            .observer(Arc::<RecordedOutcomes>::clone(&outcomes))
            .build()
            .unwrap();
        let request = InboundRequest::new(client(), QUESTION);
        let response = engine.generate(&ChatInbound, request).await.unwrap();
        assert!(matches!(response.body, ResponseBody::Whole(_)));
        assert_eq!(outcomes.0.lock().unwrap()[0].1, "ok");
    }

    #[test]
    fn embedding_page_shows_the_example() {
        let page = include_str!("../../../../docs/embedding.md");
        let example = include_str!("../../examples/embed.rs");
        let (_, code) = example.split_once("an example\")]\n\n").unwrap();
        assert!(page.contains(code), "docs/embedding.md and examples/embed.rs differ");
    }

    #[tokio::test]
    async fn unknown_provider_is_refused() {
        let built = Engine::builder().provider("nosuch", &[]).build();
        let error = built.unwrap_err().to_string();
        assert!(error.contains("nosuch"), "{error}");
    }

    #[tokio::test]
    async fn session_without_store_is_refused() {
        let engine =
            Engine::builder().provider("fake", &[]).alias("small", "fake/echo").build().unwrap();
        let mut request = InboundRequest::new(client(), QUESTION);
        Arc::make_mut(&mut request.head.options).session.id =
            Some("01890a5d-ac96-774b-bcce-b302099a8057".to_owned());
        let failure = engine.generate(&ChatInbound, request).await.unwrap_err();
        assert_eq!(failure.error.code(), "store_unavailable");
    }
}
