//! A generation of the gateway: every part from one configuration.

use crate::{
    catalogue, health, limits, local_models, previous::PreviousGeneration, providers, settings,
    shared::SharedResources, stateful, tools,
};
use gateway_config::{Config, ConfiguredClient, DeploymentEnvironment, ProxyHeader};
use gateway_console::LiveFeed;
use gateway_engine::{
    Engine, EngineSettings, RequestLog, RequestObserver, RequestRecords, Toolbox,
};
use gateway_http::{
    BodyLimits, BrowserGate, HttpService, OpenApiDocument, OpenCircuits, OperatorAccess,
    ServiceInfo,
    request::peer::{ForwardedHeader, Peers},
};
use gateway_limits::{Access, Client, LimitAccounts};
use gateway_net::client::{ClientSettings, HttpClient};
use std::sync::Arc;

/// Builds what serves requests. Parts whose settings did not change are taken from `previous`.
///
/// # Errors
///
/// Names the part that cannot be built; [`check`](crate::check) reports the same beforehand.
pub fn service(
    config: &Config,
    shared: &SharedResources,
    previous: Option<PreviousGeneration<'_>>,
) -> anyhow::Result<HttpService> {
    let connections = providers::connections(config, Arc::clone(&shared.memory))?;
    let client = HttpClient::new(&connections)?;
    let console = config.has_console().then(|| stateful::feed(shared, previous));
    let mcp_sessions = stateful::mcp_sessions(previous);
    let tools = tools::toolbox(config, shared, &mcp_sessions, previous)?;
    let engine = engine(config, shared, (console.as_ref(), connections, tools), previous)?;
    // Nothing fails from here on: what outlives the generation may be changed.
    shared.limits.activate(config);
    Ok(HttpService {
        access: access(config, shared.limits.accounts()),
        health: health::health(config, shared, &client, &engine.directory),
        engine: Arc::new(engine),
        circuits: open_circuits(shared),
        idempotency: stateful::idempotency(config, shared, previous),
        mcp_sessions,
        bodies: body_limits(config, shared),
        gate: gate(config),
        metrics: shared.process.metrics.clone().filter(|_| config.metrics.enabled),
        peers: peers(config),
        operators: operators(config),
        openapi: OpenApiDocument::default(),
        console,
        about: ServiceInfo {
            version: shared.process.version.to_owned(),
            docs: config.has_docs().then(|| "/docs".to_owned()),
        },
    })
}

fn engine(
    config: &Config,
    shared: &SharedResources,
    (console, connections, toolbox): (Option<&LiveFeed>, ClientSettings, Toolbox),
    previous: Option<PreviousGeneration<'_>>,
) -> anyhow::Result<Engine> {
    let context_service = local_models::context_service(config, previous)?;
    let through = local_models::through(config, context_service.as_ref());
    let resources = providers::resources(config, shared);
    let local_models = previous.map(|it| Arc::clone(&it.app.engine.local_models));
    let windows = previous.map(|it| Arc::clone(&it.app.engine.context_windows));
    let mut observers: Vec<Arc<dyn RequestObserver>> = Vec::new();
    if config.request_log.enabled {
        // Before the log: a request whose line is there has an entry.
        observers.push(Arc::new(RequestRecords::new(shared.limits.request_recorder().clone())));
    }
    observers.push(Arc::new(RequestLog));
    if let Some(console) = console {
        observers.push(Arc::new(console.clone()));
    }
    let directory =
        providers::directory(config, resources, through.as_ref(), connections, previous)?;
    if let Some(catalogue) = directory.routes().catalogued() {
        catalogue::record(catalogue, directory.routes().count_models(directory.ready()));
    }
    Ok(Engine {
        settings: engine_settings(config),
        limits: limits::limits(config, &shared.limits, &directory, previous)?,
        directory,
        toolbox,
        sessions: stateful::sessions(config, shared, previous)?,
        responses: stateful::responses(config, shared, previous),
        context_service,
        context_windows: windows.unwrap_or_else(crate::local_models::windows),
        local_models: local_models.unwrap_or_default(),
        metrics: Arc::clone(&shared.meters),
        observers,
        memory: Arc::clone(&shared.memory),
        generation: previous.map_or(1, |it| it.app.engine.generation + 1),
    })
}

fn engine_settings(config: &Config) -> EngineSettings {
    EngineSettings {
        strict: config.routing.strict,
        default_model: config.routing.default_model.clone(),
        json_depth: config.server.max_json_depth,
        caching: config.cache.enabled,
        passthrough_above: Some(config.admission.passthrough_above.0).filter(|size| *size > 0),
        first_output: config.timeouts.head_hold,
        keep_alive: config.timeouts.keep_alive_comment,
    }
}

fn body_limits(config: &Config, shared: &SharedResources) -> BodyLimits {
    BodyLimits {
        max_bytes: config.server.max_body_bytes.0,
        max_upload_bytes: config.server.max_upload_bytes.0,
        timeout: config.timeouts.body,
        budget: Arc::clone(&shared.memory),
    }
}

/// The trusted proxies, and the header that they write.
fn peers(config: &Config) -> Peers {
    let header = match config.server.proxy_header {
        None => ForwardedHeader::Either,
        Some(ProxyHeader::Forwarded) => ForwardedHeader::Forwarded,
        Some(ProxyHeader::XForwardedFor) => ForwardedHeader::XForwardedFor,
    };
    Peers { trusted: settings::networks(&config.server.trusted_proxies), header }
}

/// Outside development, metrics and details are for operators.
fn operators(config: &Config) -> OperatorAccess {
    match config.server.environment {
        DeploymentEnvironment::Development | DeploymentEnvironment::Test => OperatorAccess::Callers,
        DeploymentEnvironment::Staging | DeploymentEnvironment::Production => {
            OperatorAccess::Token(config.admin.token())
        }
    }
}

fn open_circuits(shared: &SharedResources) -> OpenCircuits {
    let breakers = Arc::clone(&shared.breakers);
    Arc::new(move |provider| breakers.is_open(provider))
}

fn access(config: &Config, accounts: &LimitAccounts) -> Access {
    if !config.needs_keys() {
        return Access::Open(Arc::new(Client::anonymous()));
    }
    let defaults = settings::limit_policy(&config.default_limits());
    let client =
        |it: &ConfiguredClient| (it.key, Arc::new(settings::client(it, accounts, &defaults)));
    Access::Keys(config.clients.iter().map(client).collect())
}

/// The gate before every endpoint. Hosts are checked on a loopback address and without keys.
fn gate(config: &Config) -> BrowserGate {
    let server = &config.server;
    let origins = server.cors_origins.iter().map(|origin| origin.as_str().to_owned()).collect();
    let is_open = server.host.is_loopback() || !config.needs_keys();
    BrowserGate::new(origins, &server.allowed_hosts, is_open)
}
