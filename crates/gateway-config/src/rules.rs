//! Rules that concern several settings.

use super::{
    Config, ServiceUrl,
    clients::WEAK_SECRET,
    error::ConfigError,
    printable::printable,
    providers::{KNOWN, ProviderKind, by_name},
    server::{AuthMode, DeploymentEnvironment},
    state::StoreBackend,
    suggestion::did_you_mean,
    unused_limits,
};
use secrecy::{ExposeSecret as _, SecretString};

/// Reports settings that contradict one another.
pub(super) fn check(config: &Config, errors: &mut Vec<ConfigError>) {
    who_may_call(config, errors);
    providers_exist(config, errors);
    no_provider_is_ourselves(config, errors);
    aliases_lead_somewhere(config, errors);
    waits_nest(config, errors);
    redis_has_an_address(config, errors);
    postgres_has_an_address(config, errors);
    operators_have_a_token(config, errors);
    keys_are_strong(config, errors);
    ports_differ(config, errors);
    certificate_has_a_key(config, errors);
    bursts_have_rates(config, errors);
    alerts_can_be_sent(config, errors);
}

/// A certificate is of no use without its key.
fn certificate_has_a_key(config: &Config, errors: &mut Vec<ConfigError>) {
    let missing = match (&config.tls.cert_file, &config.tls.key_file) {
        (Some(_), None) => "tls.key_file",
        (None, Some(_)) => "tls.cert_file",
        (Some(_), Some(_)) | (None, None) => return,
    };
    errors.push(ConfigError::new(missing, "set both `cert_file` and `key_file`, or neither"));
}

/// Two listeners cannot share a port.
fn ports_differ(config: &Config, errors: &mut Vec<ConfigError>) {
    let port = config.server.port;
    if config.server.health_port == Some(port) {
        let message = format!("`{port}` is the port of the gateway itself; choose another");
        errors.push(ConfigError::new("server.health_port", message));
    }
    let admin = config.admin.listen.map(|listen| listen.port());
    if admin.is_some_and(|it| it == port || config.server.health_port == Some(it)) {
        let message = "the port is already used by `server`; choose another";
        errors.push(ConfigError::new("admin.listen", message));
    }
}

/// Alerts have thresholds that a budget can reach, and a receiver that HTTP can reach.
fn alerts_can_be_sent(config: &Config, errors: &mut Vec<ConfigError>) {
    let budgets = &config.budgets;
    if !budgets.alert_thresholds.iter().all(|percent| (1..=100).contains(percent)) {
        let message = "expected percentages from 1 to 100";
        errors.push(ConfigError::new("budgets.alert_thresholds", message));
    }
    let is_address = |url: &SecretString| {
        let url: Option<http::Uri> = url.expose_secret().parse().ok();
        url.is_some_and(|url| matches!(url.scheme_str(), Some("http" | "https")))
    };
    if !budgets.alert_webhook.as_ref().is_none_or(is_address) {
        let message = "expected a URL such as `https://alerts.example.org/budgets`";
        errors.push(ConfigError::new("budgets.alert_webhook", message));
    }
}

/// A burst without a rate limits nothing.
fn bursts_have_rates(config: &Config, errors: &mut Vec<ConfigError>) {
    for tenant in &config.tenants {
        let limits = tenant.limits();
        if limits.burst.is_some() && limits.requests_per_minute.is_none() {
            let name = printable(tenant.name());
            let message = format!(
                "`burst` of tenant `{name}` has no effect without `requests_per_minute`; set both"
            );
            errors.push(ConfigError::new("tenants", message));
        }
    }
    for client in &config.clients {
        let models = client.limits.models.iter().map(|(_, limits)| limits);
        for limits in [&client.limits].into_iter().chain(models) {
            if limits.burst.is_some() && limits.requests_per_minute.is_none() {
                let name = printable(&client.name);
                let message = format!(
                    "`burst` of client `{name}` has no effect without `requests_per_minute`; set both"
                );
                errors.push(ConfigError::new("clients", message));
            }
        }
    }
}

/// The admin API can create keys: only with a token that cannot be guessed.
fn operators_have_a_token(config: &Config, errors: &mut Vec<ConfigError>) {
    if config.admin.has_weak_token() {
        errors.push(ConfigError::new("admin.token", WEAK_SECRET));
    }
    if config.admin.listen.is_none() {
        return;
    }
    if config.admin.token().is_none() {
        let message = "set exactly one of `token` and `token_sha256`";
        errors.push(ConfigError::new("admin.token", message));
    }
}

/// Keys that can be guessed serve development on a loopback address only.
fn keys_are_strong(config: &Config, errors: &mut Vec<ConfigError>) {
    if !is_local(config) {
        let weak = config.clients.iter().filter_map(|client| client.weak_key.as_deref());
        errors.extend(weak.map(|key| ConfigError::new(key, WEAK_SECRET)));
    }
}

/// Returns warnings about settings that are accepted for development alone.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let weak = config.clients.iter().filter_map(|client| client.weak_key.as_deref());
    let weak = weak.filter(|_| is_local(config));
    let weak = weak.map(|key| format!("{key}: {WEAK_SECRET}; it is accepted for development only"));
    weak.chain(unused_limits::warnings(config)).collect()
}

/// Whether the gateway is for development, on a loopback address.
fn is_local(config: &Config) -> bool {
    let server = &config.server;
    server.host.is_loopback() && server.environment == DeploymentEnvironment::Development
}

/// A gateway without authentication must not listen on a public address by accident.
fn who_may_call(config: &Config, errors: &mut Vec<ConfigError>) {
    // Keys can be created later by the admin API.
    let keys_come = config.server.auth == Some(AuthMode::On) && config.admin.listen.is_some();
    if !config.clients.is_empty() || keys_come {
        return;
    }
    let server = &config.server;
    let message = match server.auth {
        Some(AuthMode::On) => "callers need a key, and there are none",
        None if !server.host.is_loopback() => {
            "without keys for callers, only a loopback address is listened on"
        }
        Some(AuthMode::Off) | None => return,
    };
    let key = if server.auth.is_some() { "server.auth" } else { "server.host" };
    let advice = "; configure [[clients]] or LLM_GATEWAY_API_KEYS, or set LLM_GATEWAY_AUTH=off";
    errors.push(ConfigError::new(key, format!("{message}{advice}")));
}

fn redis_has_an_address(config: &Config, errors: &mut Vec<ConfigError>) {
    let store = &config.store;
    if store.backend() == StoreBackend::Redis && store.redis_url.is_none() {
        let message = "is needed with the Redis backend; set REDIS_URL";
        errors.push(ConfigError::new("store.redis_url", message));
    }
}

fn postgres_has_an_address(config: &Config, errors: &mut Vec<ConfigError>) {
    let store = &config.store;
    if store.backend() == StoreBackend::Postgres && store.postgres_url.is_none() {
        let message = "is needed with the Postgres backend; set DATABASE_URL";
        errors.push(ConfigError::new("store.postgres_url", message));
    }
}

fn providers_exist(config: &Config, errors: &mut Vec<ConfigError>) {
    let mut demand = |key: String, provider: Option<&String>| {
        let Some(name) = provider.map(|name| name.to_lowercase()) else { return };
        if by_name(&name).is_none() && !config.providers.contains_key(&name) {
            let known = KNOWN.iter().map(|known| known.name);
            let meant =
                did_you_mean(&name, known.chain(config.providers.keys().map(String::as_str)));
            let message = format!("there is no provider `{}`{meant}", printable(&name));
            errors.push(ConfigError::new(key, message));
        }
    };
    let default = config.routing.default_provider.as_ref();
    demand("routing.default_provider".to_owned(), default);
    for (at, model) in config.models.iter().enumerate() {
        demand(format!("models[{at}].provider"), model.provider.as_ref());
    }
}

/// Applications find the gateway by `OPENAI_BASE_URL`; a gateway started with the same variables must
/// not call itself.
fn no_provider_is_ourselves(config: &Config, errors: &mut Vec<ConfigError>) {
    for (name, provider) in &config.providers {
        let Some((host, port)) = provider.base_url.as_ref().map(ServiceUrl::authority) else {
            continue;
        };
        let address: Option<std::net::IpAddr> =
            host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let local = host == "localhost" || address.is_some_and(|it| it.is_loopback());
        let here = local || address.is_some_and(|it| it == config.server.host);
        if here && port == config.server.port && provider.kind_of(name) != ProviderKind::Fake {
            let key = format!("providers.{name}.base_url");
            errors.push(ConfigError::new(
                key,
                "is the address of this gateway; set the address of the provider",
            ));
        }
    }
}

/// Follows every alias as routing does.
fn aliases_lead_somewhere(config: &Config, errors: &mut Vec<ConfigError>) {
    for (name, model) in &config.aliases {
        let mut seen = vec![name];
        let mut model = model;
        while let Some(next) = config.aliases.get(&model.to_lowercase()) {
            seen.push(model);
            model = next;
            if seen.len() > gateway_core::MAX_ALIASES {
                let key = format!("aliases.{}", printable(name));
                errors.push(ConfigError::new(
                    key,
                    "is a circular alias, or a chain that is too long",
                ));
                break;
            }
        }
    }
}

fn waits_nest(config: &Config, errors: &mut Vec<ConfigError>) {
    let waits = &config.timeouts;
    let whole = waits.first_byte_whole.unwrap_or(waits.total);
    let pairs = [
        (("timeouts.connect", waits.connect), ("timeouts.total", waits.total)),
        (("timeouts.first_byte", waits.first_byte), ("timeouts.total", waits.total)),
        (("timeouts.first_byte_whole", whole), ("timeouts.total", waits.total)),
        (("timeouts.first_byte", waits.first_byte), ("timeouts.stream_total", waits.stream_total)),
        (("timeouts.idle", waits.idle), ("timeouts.stream_total", waits.stream_total)),
    ];
    for ((short, inner), (long, outer)) in pairs {
        if inner > outer {
            errors.push(ConfigError::new(
                short,
                format!("is longer than {long}; shorten it or raise {long}"),
            ));
        }
    }
}
