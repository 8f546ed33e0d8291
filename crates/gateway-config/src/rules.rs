//! What settings demand of one another.

use super::{
    Config, Url,
    problem::Problem,
    providers::{Kind, by_name, printable},
    server::Auth,
    state::Backend,
};

/// Notes everything that does not go together.
pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    who_may_call(config, problems);
    providers_exist(config, problems);
    no_provider_is_ourselves(config, problems);
    aliases_lead_somewhere(config, problems);
    waits_nest(config, problems);
    redis_has_an_address(config, problems);
    operators_are_alone(config, problems);
}

/// Whoever makes keys can do anything: not over the network, and not without a token.
fn operators_are_alone(config: &Config, problems: &mut Vec<Problem>) {
    let Some(listen) = config.admin.listen else { return };
    if !listen.ip().is_loopback() {
        problems.push(Problem::new("admin.listen", "has to be a loopback address"));
    }
    if config.admin.token().is_none() {
        let message = "say exactly one of `token` and `token_sha256` for operators to show";
        problems.push(Problem::new("admin.token", message));
    }
}

/// An open gateway is found and used within hours.
fn who_may_call(config: &Config, problems: &mut Vec<Problem>) {
    // Operators can make keys later.
    let keys_come = config.server.auth == Some(Auth::On) && config.admin.listen.is_some();
    if !config.clients.is_empty() || keys_come {
        return;
    }
    let server = &config.server;
    let message = match server.auth {
        Some(Auth::On) => "callers need a key, and there are none",
        None if !server.host.is_loopback() => {
            "without keys for callers, only a loopback address is listened on"
        }
        Some(Auth::Off) | None => return,
    };
    let key = if server.auth.is_some() { "server.auth" } else { "server.host" };
    let advice = "; configure [[clients]] or LLM_GATEWAY_API_KEYS, or say LLM_GATEWAY_AUTH=off";
    problems.push(Problem::new(key, format!("{message}{advice}")));
}

fn redis_has_an_address(config: &Config, problems: &mut Vec<Problem>) {
    let store = &config.store;
    if store.backend() == Backend::Redis && store.redis_url.is_none() {
        let message = "is needed if the store is Redis";
        problems.push(Problem::new("store.redis_url", message));
    }
}

fn providers_exist(config: &Config, problems: &mut Vec<Problem>) {
    let mut demand = |key: String, provider: Option<&String>| {
        let Some(name) = provider.map(|name| name.to_lowercase()) else { return };
        if by_name(&name).is_none() && !config.providers.contains_key(&name) {
            let message = format!("there is no provider `{}`", printable(&name));
            problems.push(Problem::new(key, message));
        }
    };
    let default = config.routing.default_provider.as_ref();
    demand("routing.default_provider".to_owned(), default);
    for (at, model) in config.models.iter().enumerate() {
        demand(format!("models[{at}].provider"), model.provider.as_ref());
    }
}

/// Programs that call the gateway are told of it by `OPENAI_BASE_URL`; the gateway, started among
/// them, must not call itself.
fn no_provider_is_ourselves(config: &Config, problems: &mut Vec<Problem>) {
    for (name, provider) in &config.providers {
        let Some((host, port)) = provider.base_url.as_ref().map(Url::authority) else {
            continue;
        };
        let address: Option<std::net::IpAddr> =
            host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let local = host == "localhost" || address.is_some_and(|it| it.is_loopback());
        let here = local || address.is_some_and(|it| it == config.server.host);
        if here && port == config.server.port && provider.kind_of(name) != Kind::Fake {
            let key = format!("providers.{name}.base_url");
            problems.push(Problem::new(key, "is the address of this gateway"));
        }
    }
}

/// Follows every alias as routing will.
fn aliases_lead_somewhere(config: &Config, problems: &mut Vec<Problem>) {
    for (name, model) in &config.aliases {
        let mut seen = vec![name];
        let mut model = model;
        while let Some(next) = config.aliases.get(&model.to_lowercase()) {
            seen.push(model);
            model = next;
            if seen.len() > gateway_core::MAX_ALIASES {
                let key = format!("aliases.{}", printable(name));
                problems.push(Problem::new(key, "leads round in circles, or too far"));
                break;
            }
        }
    }
}

fn waits_nest(config: &Config, problems: &mut Vec<Problem>) {
    let waits = &config.timeouts;
    let pairs = [
        (("timeouts.connect", waits.connect), ("timeouts.total", waits.total)),
        (("timeouts.first_byte", waits.first_byte), ("timeouts.total", waits.total)),
        (("timeouts.first_byte", waits.first_byte), ("timeouts.stream_total", waits.stream_total)),
        (("timeouts.idle", waits.idle), ("timeouts.stream_total", waits.stream_total)),
    ];
    for ((short, inner), (long, outer)) in pairs {
        if inner > outer {
            problems.push(Problem::new(short, format!("is longer than {long}")));
        }
    }
}
