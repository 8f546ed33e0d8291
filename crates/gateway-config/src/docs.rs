//! The reference of the configuration, made from the tables that read it.

use super::{
    admission::{Admin, Admission},
    clients::Entry,
    lifecycle::Lifecycle,
    limits::{Limits, OfModel},
    models::Model,
    names::{PREFIX, UNUSED, nested, sections},
    providers::{KNOWN, Provider},
    routes::{self, Route},
    section::{Field, Section},
    server::{Console, Log, Metrics, Routing, Server, Timeouts},
    state::{Cache, Cms, Resilience, Sessions, Store},
    tools::{Services, Tool, ToolCalls},
    tracing::Tracing,
};
use std::fmt::Write;

const INTRODUCTION: &str = "\
<!-- Made by `gateway-server docs configuration`; edit the tables in the code instead. -->

# Configuration

A setting is taken from the first of these that has it:

1. a variable of the environment;
2. the file that `--config` or `LLM_GATEWAY_CONFIG` names, else `gateway.toml` in the working directory if there is one;
3. its default.

Every setting `section.key` has the variable `LLM_GATEWAY_SECTION__KEY`.
Many have shorter ones, which are listed with them; a name in *italics* also counts without the prefix `LLM_GATEWAY_`, after the one with it.
Names that everybody uses, such as `PORT`, `HOST` or `ENV`, count only with the prefix.
Names are matched without regard to case, and a variable that is empty is not set.
What Kubernetes sets for a service that is called `llm-gateway` (`LLM_GATEWAY_PORT=tcp://...`) is passed over.

A duration is a number and `ms`, `s`, `m` or `h`; a number alone means seconds.
A size is a number and `KiB`, `MiB`, `GiB`, `kB`, `MB` or `GB`; a number alone means bytes.

`gateway-server check` tells everything that is wrong, and `gateway-server config` shows what counts and where it comes from, secrets hidden.
A configuration with a mistake, an unknown key included, stops the start with exit code 78, before a port is opened.
A variable that begins with `LLM_GATEWAY_` and means nothing is told in the log.
";

const SECRETS: &str = "
A key of an upstream is best given by its variable, and a key of a caller by `key_sha256` or `key_env`.
`key_sha256` is what `printf %s \"$KEY\" | sha256sum` prints.
";

/// The reference, as Markdown.
pub fn markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    let about = [
        ("server", Server::about()),
        ("auth", super::clients::Keys::about()),
        ("timeouts", Timeouts::about()),
        ("routing", Routing::about()),
        ("store", Store::about()),
        ("sessions", Sessions::about()),
        ("cache", Cache::about()),
        ("resilience", Resilience::about()),
        ("limits", Limits::about()),
        ("cms", Cms::about()),
        ("services", Services::about()),
        ("tool_calls", ToolCalls::about()),
        ("admission", Admission::about()),
        ("admin", Admin::about()),
        ("log", Log::about()),
        ("metrics", Metrics::about()),
        ("console", Console::about()),
        ("tracing", Tracing::about()),
        ("lifecycle", Lifecycle::about()),
    ];
    for ((name, fields), (_, about)) in sections().into_iter().zip(about) {
        heading(&mut out, &format!("`[{name}]`"), &about);
        table(&mut out, Some(name), &fields);
    }
    heading(&mut out, "`[[clients]]`", &Entry::about());
    table(&mut out, None, &Entry::fields());
    heading(&mut out, "`model_limits`", &OfModel::about());
    table(&mut out, None, &OfModel::fields());
    out.push_str(SECRETS);
    heading(&mut out, "`[providers.NAME]`", &Provider::about());
    table(&mut out, None, &Provider::fields());
    known(&mut out);
    heading(&mut out, "`[[models]]`", &Model::about());
    table(&mut out, None, &Model::fields());
    heading(&mut out, "`[[tools]]`", &Tool::about());
    table(&mut out, None, &Tool::fields());
    heading(&mut out, "`[mcp.NAME]`", &super::mcp::Mcp::about());
    table(&mut out, None, &super::mcp::Mcp::fields());
    heading(&mut out, "`[aliases]`", &["Other names of models: `name = \"model\"`."]);
    heading(&mut out, "`[[routes]]`", &Route::about());
    table(&mut out, None, &Route::fields());
    heading(&mut out, "`[fallbacks]`", &routes::FALLBACKS);
    unused(&mut out);
    out
}

fn heading(out: &mut String, title: &str, about: &[&str]) {
    let _ = write!(out, "\n## {title}\n\n{}\n", about.join("\n"));
}

fn table(out: &mut String, section: Option<&str>, fields: &[Field]) {
    out.push_str("\n| Key | Variable | Write | Default | Meaning |\n|---|---|---|---|---|\n");
    for field in fields {
        let variables = section.map_or_else(String::new, |section| variables(section, field));
        let default = field.default.as_ref().map(|it| format!("`{it}`")).unwrap_or_default();
        let (name, expects, meaning) = (field.name, &field.expects, field.meaning.join(" "));
        let row = [&format!("`{name}`"), &variables, expects, &default, &meaning];
        let _ = writeln!(out, "| {} |", row.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
}

fn variables(section: &str, field: &Field) -> String {
    let short = field.prefixed.iter().map(|name| format!("`{PREFIX}{name}`"));
    let bare = field.bare.iter().map(|name| format!("*`{PREFIX}{name}`*"));
    let all: Vec<_> = bare.chain(short).collect();
    if all.is_empty() {
        return format!("`{}`", nested(&format!("{section}.{}", field.name)));
    }
    all.join(", ")
}

fn known(out: &mut String) {
    out.push_str("\nThese providers are known by name; `google` is another name of `gemini`.\n");
    out.push_str("`LLM_GATEWAY_NAME_ENABLED` switches one of them on or off.\n");
    out.push_str("\n| Name | Speaks | Key | Address |\n|---|---|---|---|\n");
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
        "Deployments of other gateways set these; they are noticed and change nothing.\n\n",
    );
    let names: Vec<_> = UNUSED.iter().map(|name| format!("`{PREFIX}{name}`")).collect();
    let _ = writeln!(out, "{}.", names.join(", "));
}

#[cfg(test)]
mod tests {
    const WRITTEN: &str = include_str!("../../../docs/configuration.md");

    #[test]
    fn the_reference_is_fresh() {
        let stale =
            "run `cargo run -p gateway-server -- docs configuration > docs/configuration.md`";
        assert!(super::markdown() == WRITTEN, "{stale}");
    }
}
