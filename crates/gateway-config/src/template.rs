//! A configuration file to begin with: every setting as a comment, with its description and default.

use super::{
    clients::ClientEntry,
    environment::{PREFIX, nested},
    mcp::McpEntry,
    models::ModelEntry,
    names::{SectionDescription, sections},
    providers::ProviderEntry,
    routes::RouteEntry,
    section::{Section as _, SettingDescription},
    taxonomies::TaxonomyEntry,
    tenants::TenantEntry,
    tools::ToolEntry,
};
use std::fmt::Write;

/// The longest line of a description.
const WIDTH: usize = 100;

const INTRODUCTION: &str = "\
# The configuration of the gateway. Remove the `# ` before a setting to change it.
# `gateway-server check` validates this file, `gateway-server config` prints what is in effect.
# An environment variable has precedence over this file; API keys of providers belong there.
";

/// Returns the text of the file.
pub fn text() -> String {
    let mut out = INTRODUCTION.to_owned();
    for (name, about, fields) in sections() {
        comment(&mut out, "\n", &about.join(" "));
        let _ = writeln!(out, "[{name}]");
        settings(&mut out, Some(name), &fields);
    }
    for (header, about, fields) in tables() {
        comment(&mut out, "\n", &about.join(" "));
        let _ = writeln!(out, "# {header}");
        settings(&mut out, None, &fields);
    }
    out
}

/// Returns the descriptions of the tables of which there can be several.
fn tables() -> Vec<SectionDescription> {
    vec![
        ("[[clients]]", ClientEntry::about(), ClientEntry::fields()),
        ("[[tenants]]", TenantEntry::about(), TenantEntry::fields()),
        ("[providers.NAME]", ProviderEntry::about(), ProviderEntry::fields()),
        ("[[models]]", ModelEntry::about(), ModelEntry::fields()),
        ("[[routes]]", RouteEntry::about(), RouteEntry::fields()),
        ("[[tools]]", ToolEntry::about(), ToolEntry::fields()),
        ("[mcp.NAME]", McpEntry::about(), McpEntry::fields()),
        ("[taxonomies.NAME]", TaxonomyEntry::about(), TaxonomyEntry::fields()),
    ]
}

fn settings(out: &mut String, section: Option<&str>, fields: &[SettingDescription]) {
    for field in fields {
        let variable = section.map_or_else(String::new, |section| variable(section, field));
        comment(out, "\n", &format!("{}{variable}", field.meaning.join(" ")));
        let (name, default) = (field.name, field.default.as_deref());
        let _ = match default {
            Some(default) => writeln!(out, "# {name} = {default}"),
            None => writeln!(out, "# {name} =   # {}", field.expects),
        };
    }
}

/// Returns a sentence that names the variable of a setting.
fn variable(section: &str, field: &SettingDescription) -> String {
    let short = field.bare.iter().chain(field.prefixed).next();
    let name = short.map_or_else(
        || nested(&format!("{section}.{}", field.name)),
        |short| format!("{PREFIX}{short}"),
    );
    format!(" Variable: {name}.")
}

/// Writes `before` and a comment of as many lines as it takes.
fn comment(out: &mut String, before: &str, text: &str) {
    out.push_str(before);
    let mut length = 0;
    for word in text.split_whitespace() {
        if length + word.len() >= WIDTH {
            out.push('\n');
            length = 0;
        }
        out.push_str(if length == 0 { "# " } else { " " });
        out.push_str(word);
        length += word.len() + 1;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::{comment, sections, text};
    use crate::{Config, Environment, changes};

    #[test]
    fn template_changes_nothing() {
        let env = Environment::default();
        let parsed = Config::parse(Some(("gateway.toml", &text())), &env).unwrap();
        let default = Config::parse(None, &env).unwrap();
        assert!(changes::between(&default, &parsed).is_empty());
    }

    #[test]
    fn every_default_of_the_template_is_the_default() {
        let mut uncommented = text();
        let mut number = 0;
        for field in sections().into_iter().flat_map(|(.., fields)| fields) {
            let Some(default) = field.default else { continue };
            let line = format!("\n# {} = {default}\n", field.name);
            assert!(uncommented.contains(&line), "{line}");
            uncommented = uncommented.replacen(&line, &line.replacen("# ", "", 1), 1);
            number += 1;
        }
        let env = Environment::default();
        let parsed = Config::parse(Some(("gateway.toml", &uncommented)), &env);
        let parsed = parsed.unwrap_or_else(|errors| panic!("{errors}"));
        let default = Config::parse(None, &env).unwrap();
        let changes = changes::between(&default, &parsed);
        assert!(changes.is_empty() && number > 50, "{number} {changes:?}");
    }

    #[test]
    fn long_descriptions_are_wrapped() {
        let mut out = String::new();
        comment(&mut out, "", &"word ".repeat(60));
        assert!(out.lines().count() > 2 && out.lines().all(|it| it.len() <= 104), "{out}");
        assert!(out.lines().all(|line| line.starts_with("# word")));
    }
}
