//! The configuration reference, generated from the tables that read the configuration.

use super::{
    clients::ClientEntry,
    environment::{PREFIX, nested},
    limits::ModelLimitsEntry,
    models::ModelEntry,
    names::{UNUSED, sections},
    providers::{KNOWN, ProviderEntry},
    routes::{self, RouteEntry},
    section::{Section, SettingDescription},
    tenants::TenantEntry,
    tools::ToolEntry,
};
use std::fmt::Write;

const INTRODUCTION: &str = "\
<!-- Made by `gateway-server docs configuration`; edit the tables in the code instead. -->

# Configuration

A setting is taken from the first of these sources that has it:

1. an environment variable;
2. the file named by `--config` or `LLM_GATEWAY_CONFIG`, else `gateway.toml` in the working directory if it exists;
3. its default.

Every setting `section.key` has the variable `LLM_GATEWAY_SECTION__KEY`.
Many have shorter ones, which are listed; a name in *italics* also works without the prefix `LLM_GATEWAY_`, after the one with it.
Common names such as `PORT`, `HOST` or `ENV` need the prefix.
Names are case-insensitive, and an empty variable is not set.
Variables that Kubernetes sets for a service called `llm-gateway` (`LLM_GATEWAY_PORT=tcp://...`) are ignored.

A duration is a number and `ms`, `s`, `m` or `h`; a number alone is in seconds.
A size is a number and `KiB`, `MiB`, `GiB`, `kB`, `MB` or `GB`; a number alone is in bytes.

`gateway-server check` validates the configuration and prints all errors: the file, line and column or the variable, the value found, what is allowed, and a suggestion.
`gateway-server serve` accepts exactly what `check` accepts; an invalid configuration, unknown keys included, ends both with exit code 78 before a port is opened.
A value is quoted only if it cannot be a secret in the wrong place.
References such as `os.environ/NAME` or `${NAME}` are not expanded; use `api_key_env`, `key_env` or the variable of the setting.
`gateway-server config` prints each effective value and its source, secrets hidden.
Unknown variables that begin with `LLM_GATEWAY_` are logged as warnings.
";

const SECRETS: &str = "
Prefer variables for API keys of providers, and `key_sha256` or `key_env` for client keys.
`key_sha256` is the output of `printf %s \"$KEY\" | sha256sum`.
";

/// Returns the reference as Markdown.
pub fn markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    for (name, about, fields) in sections() {
        heading(&mut out, &format!("`[{name}]`"), &about);
        table(&mut out, Some(name), &fields);
    }
    heading(&mut out, "`[[clients]]`", &ClientEntry::about());
    table(&mut out, None, &ClientEntry::fields());
    heading(&mut out, "`model_limits`", &ModelLimitsEntry::about());
    table(&mut out, None, &ModelLimitsEntry::fields());
    out.push_str(SECRETS);
    heading(&mut out, "`[[tenants]]`", &TenantEntry::about());
    table(&mut out, None, &TenantEntry::fields());
    heading(&mut out, "`[providers.NAME]`", &ProviderEntry::about());
    table(&mut out, None, &ProviderEntry::fields());
    write_known_providers(&mut out);
    heading(&mut out, "`[[models]]`", &ModelEntry::about());
    table(&mut out, None, &ModelEntry::fields());
    heading(&mut out, "`[[tools]]`", &ToolEntry::about());
    table(&mut out, None, &ToolEntry::fields());
    heading(&mut out, "`[mcp.NAME]`", &super::mcp::McpEntry::about());
    table(&mut out, None, &super::mcp::McpEntry::fields());
    heading(&mut out, "`[taxonomies.NAME]`", &super::taxonomies::TaxonomyEntry::about());
    table(&mut out, None, &super::taxonomies::TaxonomyEntry::fields());
    heading(&mut out, "`[aliases]`", &["Aliases of models: `name = \"model\"`."]);
    heading(&mut out, "`[[routes]]`", &RouteEntry::about());
    table(&mut out, None, &RouteEntry::fields());
    heading(&mut out, "`[fallbacks]`", &routes::FALLBACKS);
    unused(&mut out);
    out
}

fn heading(out: &mut String, title: &str, about: &[&str]) {
    let _ = write!(out, "\n## {title}\n\n{}\n", about.join("\n"));
}

fn table(out: &mut String, section: Option<&str>, fields: &[SettingDescription]) {
    out.push_str(
        "\n| Setting | Variable | Type | Default | Description |\n|---|---|---|---|---|\n",
    );
    for field in fields {
        let variables = section.map_or_else(String::new, |section| variables(section, field));
        let default = field.default.as_ref().map(|it| format!("`{it}`")).unwrap_or_default();
        let (name, expects, meaning) = (field.name, &field.expects, field.meaning.join(" "));
        let row = [&format!("`{name}`"), &variables, expects, &default, &meaning];
        let _ = writeln!(out, "| {} |", row.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
}

fn variables(section: &str, field: &SettingDescription) -> String {
    let short = field.prefixed.iter().map(|name| format!("`{PREFIX}{name}`"));
    let bare = field.bare.iter().map(|name| format!("*`{PREFIX}{name}`*"));
    let all: Vec<_> = bare.chain(short).collect();
    if all.is_empty() {
        return format!("`{}`", nested(&format!("{section}.{}", field.name)));
    }
    all.join(", ")
}

fn write_known_providers(out: &mut String) {
    out.push_str("\nKnown providers; `google` is an alias of `gemini`.\n");
    out.push_str("`LLM_GATEWAY_NAME_ENABLED` enables or disables one of them.\n");
    out.push_str("\n| Name | Kind | API key | Base URL |\n|---|---|---|---|\n");
    let names = |names: &[&str]| -> String {
        let names: Vec<_> = names.iter().map(|name| format!("*`{PREFIX}{name}`*")).collect();
        names.join(", ")
    };
    for it in &KNOWN {
        let (keys, urls) = (names(it.keys), names(it.urls));
        let _ = writeln!(out, "| `{}` | `{}` | {keys} | {urls} |", it.name, it.kind.as_str());
    }
}

fn unused(out: &mut String) {
    out.push_str("\n## Variables without effect\n\n");
    out.push_str(
        "Deployments of other gateways set these; they have no effect and are logged.\n\n",
    );
    let names: Vec<_> = UNUSED.iter().map(|name| format!("`{PREFIX}{name}`")).collect();
    let _ = writeln!(out, "{}.", names.join(", "));
}

#[cfg(test)]
mod tests {
    const WRITTEN: &str = include_str!("../../../docs/configuration.md");

    #[test]
    fn configuration_reference_is_fresh() {
        let stale =
            "run `cargo run -p gateway-server -- docs configuration > docs/configuration.md`";
        assert!(super::markdown() == WRITTEN, "{stale}");
    }
}
