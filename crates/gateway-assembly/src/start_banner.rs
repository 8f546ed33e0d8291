//! The start banner: what a person at a terminal needs first.

use crate::shared::SharedResources;
use gateway_config::{Config, StoreBackend, printable};
use gateway_engine::{Backend, ProviderDirectory};
use gateway_http::HttpService;
use gateway_store::StoreHealth;
use std::{fmt::Write as _, net::SocketAddr};

/// Returns the banner of a gateway that listens: addresses, store, providers and warnings.
pub async fn start_banner(
    config: &Config,
    shared: &SharedResources,
    service: &HttpService,
) -> String {
    let health = shared.stores.health().await;
    let mut lines = addresses(config);
    lines.push(("Callers", callers(config)));
    lines.push(("Store", store(config, &health)));
    lines.extend(providers(&service.engine.directory));
    let warnings = config.warnings.iter().chain(&health.warnings);
    lines.extend(warnings.map(|warning| ("Warning", printable(warning))));
    let mut out = format!("LLM gateway {}\n\n", shared.process.version);
    for (name, value) in lines {
        let _ = writeln!(out, "  {name:<15}{value}");
    }
    out.push('\n');
    out
}

/// Returns the addresses, as a browser on this machine writes them.
fn addresses(config: &Config) -> Vec<(&'static str, String)> {
    let server = &config.server;
    let host = if server.host.is_unspecified() { [127, 0, 0, 1].into() } else { server.host };
    let scheme = if config.tls.certificate().is_some() { "https" } else { "http" };
    let base = format!("{scheme}://{}", SocketAddr::new(host, server.port));
    let every = if server.host.is_unspecified() { ", and every other address" } else { "" };
    let mut lines = vec![("Address", format!("{base}{every}"))];
    if config.has_console() {
        lines.push(("Console", format!("{base}/console")));
    }
    if config.has_docs() {
        lines.push(("API reference", format!("{base}/docs")));
    }
    if let Some(listen) = config.admin.listen {
        lines.push(("Admin API", format!("{scheme}://{listen}/admin")));
    }
    lines
}

fn callers(config: &Config) -> String {
    match config.clients.len() {
        _ if !config.needs_keys() => "need no key".to_owned(),
        1 => "need a key: 1 is configured".to_owned(),
        number => format!("need a key: {number} are configured"),
    }
}

fn store(config: &Config, health: &StoreHealth) -> String {
    let place = match config.store.backend() {
        StoreBackend::Embedded => {
            let path = config.server.data_dir.join("gateway.redb");
            format!(" in {}", printable(&path.to_string_lossy()))
        }
        StoreBackend::Memory | StoreBackend::Redis | StoreBackend::Postgres => String::new(),
    };
    let state = if health.reachable { "" } else { ", unreachable" };
    format!("{}{place}, {}{state}", health.backend, health.durability.as_str())
}

/// Returns the providers that are ready, and those that are not with the missing variable.
fn providers(directory: &ProviderDirectory) -> Vec<(&'static str, String)> {
    let mut ready: Vec<&str> = Vec::new();
    let mut not_ready: Vec<String> = Vec::new();
    for (id, backend) in directory.backends() {
        match backend {
            Backend::Ready(_) => ready.push(id),
            Backend::NotReady(why) => {
                let remedy = why.rsplit_once(": ").map_or(why.as_str(), |(_, remedy)| remedy);
                not_ready.push(format!("{id} ({remedy})"));
            }
        }
    }
    ready.sort_unstable();
    not_ready.sort_unstable();
    let mut lines = vec![("Ready", ready.join(", "))];
    if !not_ready.is_empty() {
        lines.push(("Not ready", not_ready.join(", ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{addresses, callers};
    use gateway_config::Config;

    const KEY: &str = "app:sk-0123456789abcdef0123456789abcdef";

    fn parse(variables: &[(&str, &str)]) -> Config {
        Config::parse(None, &variables.iter().copied().collect()).unwrap()
    }

    fn check(variables: &[(&str, &str)], expected: &[(&str, &str)]) {
        let lines = addresses(&parse(variables));
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn addresses_can_be_opened_on_this_machine() {
        let base = "http://127.0.0.1:8080";
        let docs = ("API reference", "http://127.0.0.1:8080/docs");
        check(&[], &[("Address", base), ("Console", "http://127.0.0.1:8080/console"), docs]);
        let every = ("Address", "http://127.0.0.1:8080, and every other address");
        check(&[("LLM_GATEWAY_HOST", "0.0.0.0"), ("LLM_GATEWAY_API_KEYS", KEY)], &[every, docs]);
        let host = [("LLM_GATEWAY_HOST", "::1"), ("LLM_GATEWAY_ENV", "production")];
        check(&host, &[("Address", "http://[::1]:8080"), ("Console", "http://[::1]:8080/console")]);
    }

    #[test]
    fn callers_need_a_key_if_there_are_clients() {
        assert_eq!(callers(&parse(&[])), "need no key");
        assert_eq!(
            callers(&parse(&[("LLM_GATEWAY_API_KEYS", KEY)])),
            "need a key: 1 is configured"
        );
    }
}
