//! The environment of the gateway's container, as a rendered manifest gives it.

use anyhow::Context as _;
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

/// The key of the client `app` in every environment.
pub(super) const KEY: &str = "sk-0123456789abcdef0123456789abcdef";

/// The secrets of a deployment, by variable.
const SECRETS: &[(&str, &str)] = &[
    ("GATEWAY_KEY_APP", KEY),
    ("LLM_GATEWAY_API_KEYS", "app:sk-0123456789abcdef0123456789abcdef"),
    ("LLM_GATEWAY_ADMIN_TOKEN", "admin-0123456789abcdef0123456789abcdef"),
    ("LLM_GATEWAY_REDIS_URL", "redis://redis:6379"),
];

/// The variables and the file of the gateway's container.
#[derive(Clone, Debug, Default)]
pub(super) struct ContainerEnvironment {
    /// The variables.
    pub(super) variables: BTreeMap<String, String>,
    /// The content of `gateway.toml`.
    pub(super) file: Option<String>,
}

impl ContainerEnvironment {
    /// The variables that the image sets.
    fn of_image() -> Self {
        let image = [
            ("LLM_GATEWAY_HOST", "0.0.0.0"),
            ("LLM_GATEWAY_PORT", "8080"),
            ("LLM_GATEWAY_ENV", "production"),
        ];
        let variables = image.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Self { variables: variables.collect(), file: None }
    }

    /// The container of a service in Compose files, of which later ones overlay the first.
    ///
    /// # Errors
    ///
    /// If no file has the service, or a file that it mounts is missing.
    pub(super) fn of_compose(files: &[Value], folder: &Path) -> anyhow::Result<Self> {
        let mut environment = Self::of_image();
        for document in files {
            let service = gateway_service(document).context("there is no service of a gateway")?;
            for (name, value) in
                listed_variables(service.get("environment").unwrap_or(&Value::Null))
            {
                environment.variables.insert(name, with_sample_secret(&value));
            }
            for mount in service["volumes"].as_array().into_iter().flatten() {
                let Some((source, target)) = mount.as_str().and_then(|it| it.split_once(':'))
                else {
                    continue;
                };
                if target.ends_with("/gateway.toml:ro") {
                    let file = folder.join(source);
                    let text = fs::read_to_string(&file);
                    environment.file = Some(text.with_context(|| file.display().to_string())?);
                }
            }
        }
        Ok(environment)
    }

    /// The container of a Deployment, with its config maps and a secret that holds `secrets`.
    ///
    /// # Errors
    ///
    /// If there is no Deployment.
    pub(super) fn of_pod(documents: &Value, secrets: &[&str]) -> anyhow::Result<Self> {
        let mut environment = Self::of_image();
        let of_kind = |kind: &'static str| {
            documents.as_array().into_iter().flatten().filter(move |it| it["kind"] == kind)
        };
        for data in of_kind("ConfigMap").filter_map(|it| it["data"].as_object()) {
            for (name, value) in data {
                let value = value.as_str().unwrap_or_default().to_owned();
                if name == "gateway.toml" {
                    environment.file = Some(value);
                } else {
                    environment.variables.insert(name.clone(), value);
                }
            }
        }
        let held = SECRETS.iter().filter(|(name, _)| secrets.contains(name));
        let held = held.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        environment.variables.extend(held);
        let deployment = of_kind("Deployment").next().context("there is no Deployment")?;
        let own = deployment.pointer("/spec/template/spec/containers/0/env");
        for it in own.and_then(Value::as_array).into_iter().flatten() {
            if let (Some(name), Some(value)) = (it["name"].as_str(), it["value"].as_str()) {
                environment.variables.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(environment)
    }

    /// Returns the hosts in addresses that `is_known` does not know.
    pub(super) fn unknown_hosts(&self, is_known: impl Fn(&str) -> bool) -> Vec<String> {
        let hosts = self.variables.values().filter_map(|value| host(value));
        hosts.filter(|host| !is_known(host)).map(str::to_owned).collect()
    }

    /// Replaces the host of every address by `host`.
    pub(super) fn lead_to(&mut self, new: &str) {
        for value in self.variables.values_mut() {
            if let Some(old) = host(value) {
                *value = value.replacen(&format!("://{old}"), &format!("://{new}"), 1);
            }
        }
    }
}

/// Returns the host of an address.
fn host(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    rest.get(..rest.find([':', '/']).unwrap_or(rest.len()))
}

/// Returns the service that runs the gateway.
pub(super) fn gateway_service(document: &Value) -> Option<&Value> {
    let services = document.get("services")?;
    services.get("gateway").or_else(|| services.get("llm-gateway"))
}

/// Returns the variables of a service, which are a table or a list of `NAME=value`.
fn listed_variables(environment: &Value) -> Vec<(String, String)> {
    let pair = |it: &Value| {
        let (name, value) = it.as_str()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    let items = environment.as_array().into_iter().flatten().filter_map(pair);
    let members = environment.as_object().into_iter().flatten();
    let members =
        members.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
    items.chain(members).collect()
}

/// Returns a value with its own variable filled in: the default after `:-`, or a secret that `:?`
/// demands.
fn with_sample_secret(value: &str) -> String {
    let Some(inner) = value.strip_prefix("${").and_then(|it| it.strip_suffix('}')) else {
        return value.to_owned();
    };
    if let Some((_, default)) = inner.split_once(":-") {
        return default.to_owned();
    }
    let name = inner.split(":?").next().unwrap_or_default();
    let secret = SECRETS.iter().find(|(known, _)| *known == name);
    secret.map(|(_, value)| (*value).to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{ContainerEnvironment, KEY, gateway_service, listed_variables, with_sample_secret};
    use serde_json::json;
    use std::path::Path;

    fn environment(variables: &[(&str, &str)]) -> ContainerEnvironment {
        let pairs = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        ContainerEnvironment { variables: pairs.collect(), file: None }
    }

    #[test]
    fn hosts_of_addresses_are_found_and_replaced() {
        let mut it = environment(&[
            ("A", "redis://redis:6379"),
            ("B", "http://stub:8081/v1"),
            ("C", "0.0.0.0"),
        ]);
        assert_eq!(it.unknown_hosts(|host| host == "redis"), ["stub"]);
        it.lead_to("127.0.0.77");
        let values: Vec<_> = it.variables.values().map(String::as_str).collect();
        assert_eq!(values, ["redis://127.0.0.77:6379", "http://127.0.0.77:8081/v1", "0.0.0.0"]);
    }

    #[test]
    fn variables_of_variables_are_filled_in() {
        assert_eq!(with_sample_secret("plain"), "plain");
        assert_eq!(with_sample_secret("${LEVEL:-info}"), "info");
        assert_eq!(with_sample_secret("${KEY:-}"), "");
        assert_eq!(with_sample_secret("${GATEWAY_KEY_APP:?needed}"), KEY);
        assert_eq!(with_sample_secret("${OTHER:?needed}"), "");
    }

    #[test]
    fn compose_environment_is_a_table_or_a_list() {
        assert_eq!(listed_variables(&json!({ "A": "1" })), listed_variables(&json!(["A=1"])));
        let base = json!({ "services": { "llm-gateway": { "environment": ["A=1", "B=1"] } } });
        let overlay = json!({ "services": { "gateway": { "environment": { "B": "2" } } } });
        assert!(gateway_service(&json!({ "services": { "redis": {} } })).is_none());
        let it = ContainerEnvironment::of_compose(&[base, overlay], Path::new(".")).unwrap();
        assert_eq!((&*it.variables["A"], &*it.variables["B"]), ("1", "2"));
        assert_eq!(it.variables["LLM_GATEWAY_HOST"], "0.0.0.0");
    }

    #[test]
    fn pod_environment_merges_container_secret_and_config_map() {
        let container = json!({ "env": [{ "name": "LLM_GATEWAY_PORT", "value": "1" }] });
        let documents = json!([
            { "kind": "ConfigMap", "data": { "LLM_GATEWAY_PORT": "2", "LLM_GATEWAY_ENV": "test" } },
            { "kind": "ConfigMap", "data": { "gateway.toml": "[log]\n" } },
            { "kind": "Deployment", "spec": { "template": { "spec": { "containers": [container] } } } },
        ]);
        let it = ContainerEnvironment::of_pod(&documents, &["GATEWAY_KEY_APP"]).unwrap();
        let variable = |name: &str| it.variables.get(name).map(String::as_str);
        assert_eq!(
            (variable("LLM_GATEWAY_PORT"), variable("LLM_GATEWAY_ENV")),
            (Some("1"), Some("test"))
        );
        assert_eq!(
            (variable("GATEWAY_KEY_APP"), variable("LLM_GATEWAY_API_KEYS")),
            (Some(KEY), None)
        );
        assert_eq!(it.file.as_deref(), Some("[log]\n"));
        assert!(ContainerEnvironment::of_pod(&json!([]), &[]).is_err());
    }
}
