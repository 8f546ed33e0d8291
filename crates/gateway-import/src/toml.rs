//! Writes the configuration as TOML.

use crate::draft::{
    ClientDraft, ClientKeyDraft, Draft, KeyReference, LimitsDraft, ProviderDraft, RouteDraft,
    quoted,
};
use std::{collections::BTreeMap, fmt::Write as _};

/// The weight of a target that has all requests.
const WHOLE: f64 = 1_000_000.0;

/// The text of `draft`, which was imported from `program`.
pub(crate) fn write(draft: &Draft, program: &str) -> String {
    let mut out = format!("# Imported from {program}; `gateway-server check` validates it.\n");
    let mut last = "";
    for ((section, key), value) in &draft.settings {
        if *section != last {
            line(&mut out, format_args!("\n[{section}]"));
            last = section;
        }
        line(&mut out, format_args!("{key} = {value}"));
    }
    for (name, provider) in &draft.providers {
        write_provider(&mut out, name, provider);
    }
    for ((provider, model), entry) in &draft.models {
        let (id, provider) = (quoted(model), quoted(provider));
        line(&mut out, format_args!("\n[[models]]\nid = {id}\nprovider = {provider}"));
        for (key, value) in &entry.facts {
            line(&mut out, format_args!("{key} = {value}"));
        }
    }
    if !draft.aliases.is_empty() {
        line(&mut out, format_args!("\n[aliases]"));
        for (name, model) in &draft.aliases {
            line(&mut out, format_args!("{} = {}", quoted(name), quoted(model)));
        }
    }
    for (name, route) in &draft.routes {
        write_route(&mut out, name, route);
    }
    for client in &draft.clients {
        write_client(&mut out, client);
    }
    for (name, limits) in &draft.tenants {
        line(&mut out, format_args!("\n[[tenants]]\nname = {}", quoted(name)));
        write_limits(&mut out, limits);
    }
    out
}

fn write_provider(out: &mut String, name: &str, provider: &ProviderDraft) {
    line(out, format_args!("\n[providers.{}]", quoted(name)));
    if let Some(kind) = provider.kind {
        line(out, format_args!("kind = {}", quoted(kind)));
    }
    if let Some(url) = &provider.base_url {
        line(out, format_args!("base_url = {}", quoted(url)));
    }
    let (mut variables, mut literals) = (Vec::new(), Vec::new());
    for key in &provider.keys {
        match key {
            KeyReference::Variable(name) => variables.push(quoted(name)),
            KeyReference::Literal(key) => literals.push(quoted(key)),
        }
    }
    // A provider has one first key, by value or by variable; the others are lists.
    let is_mixed = !variables.is_empty() && !literals.is_empty();
    for (keys, one, others) in
        [(literals, "api_key", "api_keys"), (variables, "api_key_env", "api_key_envs")]
    {
        match &*keys {
            [] => {}
            [key] if !is_mixed => line(out, format_args!("{one} = {key}")),
            several => line(out, format_args!("{others} = [{}]", several.join(", "))),
        }
    }
    if let Some(organization) = &provider.organization {
        line(out, format_args!("organization = {}", quoted(organization)));
    }
    if !provider.headers.is_empty() {
        line(out, format_args!("headers = {{ {} }}", table(&provider.headers)));
    }
}

fn write_route(out: &mut String, name: &str, route: &RouteDraft) {
    line(out, format_args!("\n[[routes]]\nmodel = {}", quoted(name)));
    let targets: Vec<_> = if route.is_balanced {
        balanced(route)
    } else {
        let first = route.targets.iter().map(|(target, _)| target);
        first.chain(&route.fallbacks).map(|target| quoted(target)).collect()
    };
    line(out, format_args!("targets = [{}]", targets.join(", ")));
    if route.on_content_filter {
        let on = "on = [\"rate_limit\", \"server_error\", \"timeout\", \"unavailable\", \
                  \"context_length\", \"content_filter\"]";
        line(out, format_args!("{on}"));
    }
}

/// Targets that share the requests, and fallbacks whose weights are so small that they come last.
fn balanced(route: &RouteDraft) -> Vec<String> {
    let most = route.targets.iter().map(|(_, share)| *share).fold(f64::MIN_POSITIVE, f64::max);
    let weight = |share: f64| (share / most * WHOLE).round().clamp(1.0, WHOLE);
    let shared = route.targets.iter().map(|(target, share)| (target, weight(*share)));
    let fallbacks = route.fallbacks.iter().enumerate().map(|(at, target)| {
        let weight = if at == 0 && route.fallbacks.len() > 1 { 1_000.0 } else { 1.0 };
        (target, weight)
    });
    let written = |(target, weight): (&String, f64)| {
        format!("{{ model = {}, weight = {weight:.0} }}", quoted(target))
    };
    shared.chain(fallbacks).map(written).collect()
}

fn write_client(out: &mut String, client: &ClientDraft) {
    line(out, format_args!("\n[[clients]]\nname = {}", quoted(&client.name)));
    match &client.key {
        Some(ClientKeyDraft::Variable(name)) => {
            line(out, format_args!("key_env = {}", quoted(name)));
        }
        Some(ClientKeyDraft::Hash(hash)) => {
            line(out, format_args!("key_sha256 = {}", quoted(hash)));
        }
        Some(ClientKeyDraft::Literal(key)) => line(out, format_args!("key = {}", quoted(key))),
        None => {}
    }
    if let Some(tenant) = &client.tenant {
        line(out, format_args!("tenant = {}", quoted(tenant)));
    }
    if !client.models.is_empty() {
        let models: Vec<_> = client.models.iter().map(|model| quoted(model)).collect();
        line(out, format_args!("models = [{}]", models.join(", ")));
    }
    write_limits(out, &client.limits);
}

fn write_limits(out: &mut String, limits: &LimitsDraft) {
    for (key, value) in limits {
        line(out, format_args!("{key} = {value}"));
    }
}

fn table(members: &BTreeMap<String, String>) -> String {
    let members: Vec<_> =
        members.iter().map(|(key, value)| format!("{} = {}", quoted(key), quoted(value))).collect();
    members.join(", ")
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}
