//! Models that the catalogue has no row for, before an upstream that enforces their documented rules.
//!
//! Every row that is newer than a cut-off is deleted; requests name the deleted models, and some that
//! do not exist yet. Callers of all dialects ask in the words that older models took.

mod answers;
mod requests;
mod rules;

use gateway_tests::{Exchange, Gateway, Setup, Upstream, request};
use std::{collections::HashMap, env, fs, path::PathBuf, process};

const CATALOGUE: &str = include_str!("../../crates/gateway-catalogue/data/catalogue.txt");

/// Rows that were released from this day on are deleted.
const CUT_OFF: &str = "2026-03-01";

/// What the names of newer rows begin with whose day of release is not known.
const NEWER: [&str; 10] = [
    "openai/gpt-5.6",
    "openai/gpt-6",
    "anthropic/claude-opus-4-7",
    "anthropic/claude-fable",
    "anthropic/claude-mythos",
    "gemini/gemini-4",
    "deepseek/deepseek-v4",
    "xai/grok-4.3",
    "mistral/mistral-large-4",
    "mistral/mistral-medium-3",
];

/// The deleted models of each provider, and those after a `+` that no catalogue has.
const MODELS: [(&str, &str); 6] = [
    (
        "openai",
        "gpt-5.4 gpt-5.5 gpt-5.6-sol gpt-6-astra gpt-6-luna gpt-6.1-terra gpt-6.2-sol + gpt-7-sol",
    ),
    (
        "anthropic",
        "claude-opus-4-7 claude-opus-4-8 claude-opus-5 claude-sonnet-5 claude-opus-5-5 \
         claude-sonnet-5-5 claude-haiku-5-5 claude-fable-5-1 + claude-opus-6",
    ),
    (
        "gemini",
        "gemini-3.5-flash-lite gemini-3.6-flash gemini-3.7-flash gemini-3.8-flash gemini-4-argon \
         gemini-4-carbon gemini-4-neon gemini-4-hydrogen + gemini-5-argon",
    ),
    ("deepseek", "deepseek-v4-flash deepseek-v4-pro + deepseek-v5-pro"),
    ("xai", "grok-4.3 grok-4.5 grok-4.6 grok-4.7 + grok-5"),
    ("mistral", "mistral-large-4 mistral-medium-3.5 + mistral-medium-4 mistral-small-5"),
];

/// The catalogue without the rows of newer models, and the names that were deleted.
fn older() -> (PathBuf, Vec<&'static str>) {
    let (mut text, mut deleted, mut is_kept) = (String::new(), Vec::new(), true);
    for line in CATALOGUE.lines() {
        if !line.starts_with('\t') {
            let mut words = line.split(' ');
            let name = words.next().unwrap_or_default();
            let released = words.find_map(|word| word.strip_prefix("r="));
            let is_newer = released.is_some_and(|day| day >= CUT_OFF)
                || NEWER.iter().any(|start| name.starts_with(start));
            // Another name for a row may be one for a deleted row.
            is_kept = !is_newer && !line.contains(" =");
            if is_newer {
                deleted.extend(name.split_once('/').map(|(_, id)| id));
            }
        }
        if is_kept {
            text += line;
            text.push('\n');
        }
    }
    let file = env::temp_dir().join(format!("older-catalogue-{}.txt", process::id()));
    fs::write(&file, text).expect("a temporary file");
    (file, deleted)
}

async fn start(upstream: &Upstream, file: &str) -> Gateway {
    let setup = MODELS.iter().fold(Setup::new(), |setup, (name, _)| {
        let section = format!("providers.{name}");
        setup.provider(name, &upstream.url()).set(&section, "api_key", "sk-upstream")
    });
    setup.set("catalogue", "file", file).start().await
}

/// The calls that an upstream refused, by model and rule.
fn wasted(exchanges: &[Exchange]) -> HashMap<(String, &'static str), usize> {
    let mut wasted = HashMap::new();
    for exchange in exchanges {
        let call = rules::UpstreamCall::read(exchange.head.word(1), &exchange.body);
        if let Some(rule) = call.refusal() {
            *wasted.entry((call.model, rule)).or_default() += 1;
        }
    }
    wasted
}

#[tokio::test]
async fn models_without_a_row_are_asked_by_the_rules_of_their_family() {
    let upstream = Upstream::start().await;
    upstream.addressed(rules::strict);
    let (file, deleted) = older();
    let gateway = start(&upstream, &file.to_string_lossy()).await;
    let (mut asked, mut refused) = (HashMap::<_, usize>::new(), Vec::new());
    for (provider, names) in MODELS {
        let (known, _) = names.split_once('+').unwrap_or((names, ""));
        for model in known.split_whitespace() {
            assert!(deleted.contains(&model), "{model} was not deleted");
        }
        for model in names.split_whitespace().filter(|word| *word != "+") {
            for (path, body) in requests::requests(model) {
                let headers = [("anthropic-version", "2023-06-01")];
                let body = body.to_string();
                let reply = gateway.send(request("POST", path, &headers, body.as_bytes())).await;
                *asked.entry(provider).or_default() += 1;
                if reply.status() != 200 {
                    refused.push(format!("{model} {path} {body}: {}", reply.text()));
                } else if reply.header("x-gateway-assumed").is_empty() {
                    refused.push(format!("{model} is not marked as assumed"));
                }
            }
        }
    }
    fs::remove_file(file).unwrap();
    let all: usize = asked.values().sum();
    assert!(refused.is_empty(), "{} of {all}:\n{}", refused.len(), refused.join("\n"));
    let of_others: usize =
        ["gemini", "deepseek", "xai", "mistral"].iter().map(|provider| asked[provider]).sum();
    assert!(all - of_others >= 200 && of_others >= 200, "{asked:?}");
    let wasted = wasted(&upstream.exchanges());
    assert!(wasted.values().all(|calls| *calls <= 1), "calls were repeated: {wasted:?}");
}
