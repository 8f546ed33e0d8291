//! The names of environment variables and their settings.
//!
//! Every setting `a.b` is also `LLM_GATEWAY_A__B`. Many have shorter names; those that cannot mean
//! anything else count without the prefix too, those that everybody uses (`PORT`, `HOST`, `ENV`)
//! do not.

use super::{
    admission::{AdminSection, AdmissionSection},
    clients::AuthSection,
    environment::{Environment, PREFIX, nested},
    layers::SourceLayers,
    lifecycle::LifecycleSection,
    limits::{BudgetsSection, LimitsSection},
    models::CatalogueSection,
    providers::KNOWN,
    request_log::RequestLogSection,
    section::{Section, SettingDescription},
    server::{
        ConsoleSection, LogSection, MetricsSection, RoutingSection, ServerSection, TimeoutsSection,
    },
    state::{CacheSection, CmsSection, ResilienceSection, SessionsSection, StoreSection},
    suggestion::did_you_mean,
    tls::TlsSection,
    tools::{ServicesSection, ToolCallsSection},
    tracing::TracingSection,
};

/// A setting with its variables; the first one that is set applies.
#[derive(Debug)]
pub(super) struct VariableBinding {
    /// The key of the setting.
    pub(super) key: String,
    /// The full names of its variables, other than the one that is made of the key.
    pub(super) names: Vec<String>,
}

/// Variables of earlier gateways that have no effect here.
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

/// The name, the description and the settings of a section.
pub(super) type SectionDescription = (&'static str, Vec<&'static str>, Vec<SettingDescription>);

fn describe<S: Section>(name: &'static str) -> SectionDescription {
    (name, S::about(), S::fields())
}

/// Returns the descriptions of the sections that are single tables.
pub(super) fn sections() -> Vec<SectionDescription> {
    vec![
        describe::<ServerSection>("server"),
        describe::<AuthSection>("auth"),
        describe::<TimeoutsSection>("timeouts"),
        describe::<RoutingSection>("routing"),
        describe::<StoreSection>("store"),
        describe::<SessionsSection>("sessions"),
        describe::<CacheSection>("cache"),
        describe::<ResilienceSection>("resilience"),
        describe::<LimitsSection>("limits"),
        describe::<BudgetsSection>("budgets"),
        describe::<RequestLogSection>("request_log"),
        describe::<CatalogueSection>("catalogue"),
        describe::<CmsSection>("cms"),
        describe::<ServicesSection>("services"),
        describe::<ToolCallsSection>("tool_calls"),
        describe::<AdmissionSection>("admission"),
        describe::<AdminSection>("admin"),
        describe::<TlsSection>("tls"),
        describe::<LogSection>("log"),
        describe::<MetricsSection>("metrics"),
        describe::<ConsoleSection>("console"),
        describe::<TracingSection>("tracing"),
        describe::<LifecycleSection>("lifecycle"),
    ]
}

/// Returns all settings with short variable names.
pub(super) fn bindings() -> Vec<VariableBinding> {
    let of_sections = sections().into_iter().flat_map(|(section, _, fields)| {
        fields.into_iter().map(move |field| VariableBinding {
            key: format!("{section}.{}", field.name),
            names: both(field.bare).chain(field.prefixed.iter().map(with_prefix)).collect(),
        })
    });
    let of_providers = KNOWN.iter().flat_map(|known| {
        let binding = |field: &str, names: Vec<String>| VariableBinding {
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

/// Returns the key of the setting called `name` in any section.
pub(super) fn setting_called(name: &str) -> Option<String> {
    let is_called = |field: &SettingDescription| field.name == name;
    let is_in = |(.., fields): &SectionDescription| fields.iter().any(is_called);
    let (section, ..) = sections().into_iter().find(is_in)?;
    Some(format!("{section}.{name}"))
}

/// Returns the variable to name in an error about a setting; entries of lists have none.
pub(super) fn variable_of(key: &str) -> Option<String> {
    let (section, _) = key.split_once('.').filter(|_| !key.contains('['))?;
    if !super::SECTIONS.contains(&section) {
        return None;
    }
    let short = bindings().into_iter().find(|binding| binding.key == key);
    Some(short.and_then(|it| it.names.into_iter().next()).unwrap_or_else(|| nested(key)))
}

/// Lays the variables over what `layers` has; returns warnings about those of ours that set nothing.
pub(super) fn apply(env: &Environment, layers: &mut SourceLayers) -> Vec<String> {
    let bindings = bindings();
    for VariableBinding { key, names } in &bindings {
        let set = names.iter().find(|name| env.get(name).is_some_and(|it| !is_service_link(it)));
        if let Some((name, value)) = set.and_then(|name| Some((name, env.get(name)?))) {
            layers.variable(name, key, value);
        }
    }
    let mut warnings = Vec::new();
    for name in env.names() {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        match (rest.contains("__"), env.get(name)) {
            (true, Some(value)) => {
                layers.variable(name, &rest.to_lowercase().replace("__", "."), value);
            }
            _ if bindings.iter().any(|binding| binding.names.iter().any(|it| it == name)) => {}
            _ if rest == "CONFIG" || is_of_kubernetes(rest) => {}
            _ => warnings.push(ineffective(name, &bindings)),
        }
    }
    warnings
}

/// The warning about a variable of ours that sets nothing.
fn ineffective(name: &str, bindings: &[VariableBinding]) -> String {
    let unused = name.strip_prefix(PREFIX).is_some_and(|rest| UNUSED.contains(&rest));
    let names = bindings.iter().flat_map(|binding| &binding.names).map(String::as_str);
    let meant = if unused { String::new() } else { did_you_mean(name, names) };
    format!("{name} has no effect{meant}")
}

/// Returns whether a value was set by Kubernetes for a service called `llm-gateway`, such as
/// `LLM_GATEWAY_PORT=tcp://10.0.0.1:8080`.
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
    fn check(pairs: &[(&str, &str)], warnings: &[&str]) {
        let env: Environment = pairs.iter().copied().collect();
        assert_eq!(apply(&env, &mut SourceLayers::default()), warnings);
    }

    #[test]
    fn unknown_variable_with_our_prefix_is_reported() {
        check(
            &[("LLM_GATEWAY_PROT", "1"), ("PROT", "1")],
            &["LLM_GATEWAY_PROT has no effect; did you mean `LLM_GATEWAY_PORT`?"],
        );
        check(&[("LLM_GATEWAY_WORKERS", "4")], &["LLM_GATEWAY_WORKERS has no effect"]);
        check(&[("LLM_GATEWAY_PORT", "1"), ("LLM_GATEWAY_CONFIG", "x")], &[]);
        check(&[("llm_gateway_log_level", "info"), ("LLM_GATEWAY_X", "")], &[]);
    }

    #[test]
    fn kubernetes_service_variables_are_ignored() {
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
    fn unprefixed_names_are_specific() {
        let generic = ["PORT", "HOST", "ENV", "ENVIRONMENT", "VERSION", "WORKERS", "AUTH", "NAME"];
        for VariableBinding { key, names } in bindings() {
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
