//! Every setting of the reference changes the effective configuration: generated from the tables that
//! make the reference.

use super::{
    clients::ClientEntry, limits::ModelLimitsEntry, mcp::McpEntry, models::ModelEntry,
    names::sections, providers::ProviderEntry, routes::RouteEntry, section::SettingDescription,
    taxonomies::TaxonomyEntry, tenants::TenantEntry, tools::ToolEntry, *,
};

/// Values of all types; a setting is changed to the first that it accepts and that differs.
const VALUES: [&str; 32] = [
    "true",
    "false",
    "2",
    "77",
    "5000",
    "20000",
    "0.5",
    "\"2s\"",
    "\"77s\"",
    "\"3h\"",
    "\"3MiB\"",
    "\"77MiB\"",
    "\"serving\"",
    "\"forwarded\"",
    "\"http://other:1\"",
    "\"redis://other:1\"",
    "\"127.0.0.1:8099\"",
    "\"0.0.0.0\"",
    "\"other\"",
    "\"openai\"",
    "\"k-0d7f3be195a842c6e07a1d94b38c5f62e9d0b714\"",
    "\"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\"",
    "[\"other\"]",
    "[77]",
    "[\"k-2b7e151628aed2a6abf7158809cf4f3c762e7160\"]",
    "[\"10.0.0.0/8\"]",
    "[\"http://other:1\"]",
    "{ other = \"text\" }",
    "{ other = \"http://other:1\" }",
    "{ type = \"object\" }",
    "{ input = 1.5, output = 2.5 }",
    "[{ model = \"other\", requests_per_minute = 3 }]",
];

/// The kinds of tables: the header, and what a table needs besides the setting that changes.
const SINGLE: &[&str] = &[
    "server.auth = \"off\"",
    "tls.cert_file = \"cert.pem\"",
    "tls.key_file = \"key.pem\"",
    "admin.listen = \"127.0.0.1:8090\"",
    "admin.token = \"t-7c1e94d06ba38f52e0d7416b9cf3a825d1b60e94\"",
];
const CLIENT: &[&str] = &[
    "name = \"a\"",
    "key = \"k-5f0c83a1d94e27b6c0e1a7f3925d8b46e1c07a9f\"",
    "requests_per_minute = 60",
];
const TENANT: &[&str] = &["name = \"team\"", "requests_per_minute = 60"];
const MODEL_LIMITS: &[&str] = &["model = \"gpt-5\"", "requests_per_minute = 5"];
const PROVIDER: &[&str] = &["base_url = \"http://lab:1\""];
const MODEL: &[&str] = &["id = \"m\"", "provider = \"openai\""];
const TOOL: &[&str] = &[
    "name = \"t\"",
    "description = \"d\"",
    "service = \"ai-agents\"",
    "path = \"/{x}\"",
    "parameters = { type = \"object\", properties = { x = { type = \"string\" } } }",
];
const SERVER: &[&str] =
    &["url = \"http://lab:1\"", "oauth_client_id = \"a\"", "oauth_client_secret = \"s\""];
const TAXONOMY: &[&str] = &["id = \"a\""];
const ROUTE: &[&str] = &["model = \"best\"", "targets = [\"gpt-5\"]"];

/// The lines without the one that sets `key`, and each choice of leaving out one more, since some
/// settings exclude each other.
fn bases(lines: &[&str], key: &str) -> Vec<String> {
    let sets = |line: &&str, key: &str| line.starts_with(&format!("{key} ="));
    let others: Vec<&str> = lines.iter().copied().filter(|line| !sets(line, key)).collect();
    let without = |left_out: usize| {
        let kept = others.iter().enumerate().filter(|(at, _)| *at != left_out);
        kept.map(|(_, line)| *line).collect::<Vec<_>>().join("\n")
    };
    (0..=others.len()).rev().map(without).collect()
}

fn values(field: &SettingDescription) -> Vec<String> {
    let words = field.expects.split('`').skip(1).step_by(2);
    let of_words = words.flat_map(|word| [format!("\"{word}\""), format!("[\"{word}\"]")]);
    of_words.chain(VALUES.map(str::to_owned)).collect()
}

/// Whether a value of `key` is accepted and changes the effective configuration.
fn changes(header: &str, lines: &[&str], key: &str, field: &SettingDescription) -> bool {
    let env: Environment =
        [("other", "k-a9e4076c1b8d35f2e07c6194ab3f58d20c7e91b4")].into_iter().collect();
    let parse =
        |text: &str| Config::parse(Some(("gateway.toml", &format!("{header}\n{text}\n"))), &env);
    bases(lines, key).iter().any(|base| {
        let unchanged = parse(base).unwrap_or_default();
        values(field).iter().any(|value| {
            let changed = parse(&format!("{base}\n{key} = {value}"));
            changed.is_ok_and(|changed| !changes::between(&unchanged, &changed).is_empty())
        })
    })
}

/// The keys of `fields` that no value changes.
fn unchanging(
    header: &str,
    prefix: &str,
    lines: &[&str],
    fields: &[SettingDescription],
) -> Vec<String> {
    let keys = fields.iter().map(|field| (format!("{prefix}{}", field.name), field));
    let unchanging = keys.filter(|(key, field)| !changes(header, lines, key, field));
    unchanging.map(|(key, _)| format!("{header} {key}")).collect()
}

#[test]
fn every_setting_changes_the_effective_configuration() {
    let of_sections = sections()
        .into_iter()
        .flat_map(|(section, _, fields)| unchanging("", &format!("{section}."), SINGLE, &fields));
    let mut wrong: Vec<_> = of_sections.collect();
    let limits = format!("[[clients]]\n{}\n[[clients.model_limits]]", CLIENT.join("\n"));
    let entries = [
        ("[[clients]]", CLIENT, ClientEntry::fields()),
        ("[[tenants]]", TENANT, TenantEntry::fields()),
        (limits.as_str(), MODEL_LIMITS, ModelLimitsEntry::fields()),
        ("[providers.lab]", PROVIDER, ProviderEntry::fields()),
        ("[[models]]", MODEL, ModelEntry::fields()),
        ("[[tools]]", TOOL, ToolEntry::fields()),
        ("[mcp.lab]", SERVER, McpEntry::fields()),
        ("[taxonomies.lab]", TAXONOMY, TaxonomyEntry::fields()),
        ("[[routes]]", ROUTE, RouteEntry::fields()),
    ];
    for (header, lines, fields) in entries {
        wrong.extend(unchanging(header, "", lines, &fields));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
