//! The names of variables, and the settings they stand for.
//!
//! Every setting `a.b` is also `LLM_GATEWAY_A__B`. Many have shorter names; those that cannot mean
//! anything else count without the prefix too, those that everybody uses (`PORT`, `HOST`, `ENV`)
//! do not.

use super::{
    Environment,
    admission::{Admin, Admission},
    clients::Keys,
    layers::Layers,
    lifecycle::Lifecycle,
    limits::Limits,
    providers::KNOWN,
    section::{Field, Section},
    server::{Console, Log, Metrics, Routing, Server, Timeouts},
    state::{Cache, Cms, Resilience, Sessions, Store},
    tools::{Services, ToolCalls},
    tracing::Tracing,
};

/// Before the name of every variable of ours.
pub(super) const PREFIX: &str = "LLM_GATEWAY_";

/// A setting, and its variables, the first that is set counting.
#[derive(Debug)]
pub(super) struct Binding {
    /// The key of the setting.
    pub(super) key: String,
    /// The full names of its variables, other than the one that is made of the key.
    pub(super) names: Vec<String>,
}

/// Variables that deployments of earlier gateways set and that mean nothing here.
pub(super) const UNUSED: [&str; 14] = [
    "SERVICE_NAME",
    "VERSION",
    "WORKERS",
    "LLAMACPP_MODELS_DIR",
    "LLAMACPP_GPU_LAYERS",
    "ENABLE_FILE_LOGGING",
    "LOG_FILE_PATH",
    "REDIS_WAIT_RETRIES",
    "REDIS_WAIT_INTERVAL",
    "MAX_CONTEXT_LENGTH",
    "HEALTH_CHECK_INTERVAL",
    "STARTUP_PROBE_DELAY",
    "API_KEY_ENABLED",
    "QUEUE_WARNING_THRESHOLD",
];

/// The sections that are single tables, with their names.
pub(super) fn sections() -> Vec<(&'static str, Vec<Field>)> {
    vec![
        ("server", Server::fields()),
        ("auth", Keys::fields()),
        ("timeouts", Timeouts::fields()),
        ("routing", Routing::fields()),
        ("store", Store::fields()),
        ("sessions", Sessions::fields()),
        ("cache", Cache::fields()),
        ("resilience", Resilience::fields()),
        ("limits", Limits::fields()),
        ("cms", Cms::fields()),
        ("services", Services::fields()),
        ("tool_calls", ToolCalls::fields()),
        ("admission", Admission::fields()),
        ("admin", Admin::fields()),
        ("log", Log::fields()),
        ("metrics", Metrics::fields()),
        ("console", Console::fields()),
        ("tracing", Tracing::fields()),
        ("lifecycle", Lifecycle::fields()),
    ]
}

/// All settings with short names.
pub(super) fn bindings() -> Vec<Binding> {
    let of_sections = sections().into_iter().flat_map(|(section, fields)| {
        fields.into_iter().map(move |field| Binding {
            key: format!("{section}.{}", field.name),
            names: both(field.bare).chain(field.prefixed.iter().map(with_prefix)).collect(),
        })
    });
    let of_providers = KNOWN.iter().flat_map(|known| {
        let binding = |field: &str, names: Vec<String>| Binding {
            key: format!("providers.{}.{field}", known.name),
            names,
        };
        let enabled = format!("{PREFIX}{}_ENABLED", known.name.to_uppercase());
        [
            binding("api_key", both(known.keys).collect()),
            binding("api_keys", both(known.keys).map(|name| name + "S").collect()),
            binding("base_url", both(known.urls).collect()),
            binding("enabled", vec![enabled]),
        ]
    });
    of_sections.chain(of_providers).filter(|binding| !binding.names.is_empty()).collect()
}

/// Short names, first all with the prefix, then all without.
fn both(names: &'static [&'static str]) -> impl Iterator<Item = String> {
    names.iter().map(with_prefix).chain(names.iter().map(|&name| name.to_owned()))
}

fn with_prefix(name: &&str) -> String {
    format!("{PREFIX}{name}")
}

/// The variable that is made of a key.
pub(super) fn nested(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// The variable to name when a setting is wrong; lists have none.
pub(super) fn variable_of(key: &str) -> Option<String> {
    let (section, _) = key.split_once('.').filter(|_| !key.contains('['))?;
    if !super::SECTIONS.contains(&section) {
        return None;
    }
    let short = bindings().into_iter().find(|binding| binding.key == key);
    Some(short.and_then(|it| it.names.into_iter().next()).unwrap_or_else(|| nested(key)))
}

/// Lays the variables over what `layers` has; returns the names of ours that mean nothing.
pub(super) fn apply(env: &Environment, layers: &mut Layers) -> Vec<String> {
    let bindings = bindings();
    for Binding { key, names } in &bindings {
        let set = names.iter().find(|name| env.get(name).is_some_and(|it| !is_service_link(it)));
        if let Some((name, value)) = set.and_then(|name| Some((name, env.get(name)?))) {
            layers.variable(name, key, value);
        }
    }
    let mut meaningless = Vec::new();
    for name in env.names() {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        match (rest.contains("__"), env.get(name)) {
            (true, Some(value)) => {
                layers.variable(name, &rest.to_lowercase().replace("__", "."), value);
            }
            _ if bindings.iter().any(|binding| binding.names.iter().any(|it| it == name)) => {}
            _ if rest == "CONFIG" || is_of_kubernetes(rest) => {}
            _ => meaningless.push(name.to_owned()),
        }
    }
    meaningless
}

/// Kubernetes tells a pod of every service: one that is called `llm-gateway` makes it set
/// `LLM_GATEWAY_PORT=tcp://10.0.0.1:8080`, which is not meant for us.
fn is_service_link(value: &str) -> bool {
    ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

fn is_of_kubernetes(rest: &str) -> bool {
    rest == "SERVICE_HOST" || rest.starts_with("SERVICE_PORT") || rest.starts_with("PORT_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&str, &str)], meaningless: &[&str]) {
        let env: Environment = pairs.iter().copied().collect();
        assert_eq!(apply(&env, &mut Layers::default()), meaningless);
    }

    #[test]
    fn a_variable_of_ours_that_means_nothing_is_noticed() {
        check(&[("LLM_GATEWAY_PROT", "1"), ("PROT", "1")], &["LLM_GATEWAY_PROT"]);
        check(&[("LLM_GATEWAY_PORT", "1"), ("LLM_GATEWAY_CONFIG", "x")], &[]);
        check(&[("llm_gateway_log_level", "info"), ("LLM_GATEWAY_X", "")], &[]);
    }

    #[test]
    fn kubernetes_talks_of_services() {
        check(
            &[
                ("LLM_GATEWAY_SERVICE_HOST", "10.0.0.1"),
                ("LLM_GATEWAY_SERVICE_PORT_HTTP", "8080"),
                ("LLM_GATEWAY_PORT_8080_TCP_ADDR", "10.0.0.1"),
                ("LLM_GATEWAY_PORT", "tcp://10.0.0.1:8080"),
            ],
            &[],
        );
    }

    #[test]
    fn a_name_without_prefix_is_unmistakable() {
        let generic = ["PORT", "HOST", "ENV", "ENVIRONMENT", "VERSION", "WORKERS", "AUTH", "NAME"];
        for Binding { key, names } in bindings() {
            for name in names {
                assert!(!generic.contains(&name.as_str()), "{name} for {key}");
            }
        }
    }

    #[test]
    fn every_setting_has_a_variable() {
        assert_eq!(variable_of("server.port").as_deref(), Some("LLM_GATEWAY_PORT"));
        let nested = Some("LLM_GATEWAY_TIMEOUTS__CONNECT");
        assert_eq!(variable_of("timeouts.connect").as_deref(), nested);
        assert_eq!(variable_of("clients[0].key"), None);
    }
}
