//! `LiteLLM`'s table of models: flat names for prices, a flag for each ability.

mod off_peak;
mod prices;

use super::{is_plain, number};
use crate::{
    error::CatalogueError,
    row::{ENDPOINTS, MODALITIES, ModelAbility, ModelRow, PriceRow},
};
use gateway_core::{Date, Effort, EffortSet, ModelKind, Price, UnitFees};
use serde_json::Value;

/// `LiteLLM`'s providers, ours, and the beginnings of names that repeat the provider.
const PROVIDERS: [(&str, &str, &[&str]); 26] = [
    ("openai", "openai", &["openai/"]),
    ("text-completion-openai", "openai", &[]),
    ("anthropic", "anthropic", &[]),
    ("gemini", "gemini", &["gemini/"]),
    ("deepseek", "deepseek", &["deepseek/"]),
    ("mistral", "mistral", &["mistral/"]),
    ("xai", "xai", &["xai/"]),
    ("groq", "groq", &["groq/"]),
    ("perplexity", "perplexity", &["perplexity/"]),
    ("together_ai", "together", &["together_ai/"]),
    ("fireworks_ai", "fireworks", &["fireworks_ai/"]),
    ("fireworks_ai-embedding-models", "fireworks", &["fireworks_ai/"]),
    ("cerebras", "cerebras", &["cerebras/"]),
    ("openrouter", "openrouter", &["openrouter/"]),
    ("bedrock", "bedrock", &["bedrock/"]),
    ("bedrock_converse", "bedrock", &["bedrock/"]),
    ("bedrock_mantle", "bedrock-mantle", &["bedrock_mantle/"]),
    ("azure", "azure", &["azure/"]),
    ("azure_text", "azure", &["azure/"]),
    ("azure_ai", "azure-ai", &["azure_ai/"]),
    ("cohere", "cohere", &["cohere/"]),
    ("cohere_chat", "cohere", &["cohere_chat/", "cohere/"]),
    ("voyage", "voyage", &["voyage/"]),
    ("jina_ai", "jina", &["jina_ai/"]),
    ("dashscope", "dashscope", &["dashscope/"]),
    ("volcengine", "volcengine", &["volcengine/"]),
];

/// Reads the whole table.
pub(super) fn rows(value: &Value) -> Result<Vec<ModelRow>, CatalogueError> {
    let Some(members) = value.as_object() else {
        return Err(CatalogueError::Format("expected an object of models".to_owned()));
    };
    Ok(members.iter().filter_map(|(name, model)| row(name, model)).collect())
}

fn row(name: &str, model: &Value) -> Option<ModelRow> {
    if let Some(target) = model.get("alias_of").and_then(Value::as_str) {
        return alias(name, target);
    }
    let (provider, id) = place(name, model.get("litellm_provider")?.as_str()?)?;
    let is_variant_of_size = id.contains("-x-") || id.contains("-month-commitment/");
    if is_variant_of_size || !is_plain(id) {
        return None;
    }
    let mut row = ModelRow::new(provider, id);
    let mode = model.get("mode").and_then(Value::as_str);
    row.kind = kind(mode)?;
    let count = |name: &str| whole(model.get(name)?);
    row.max_input = count("max_input_tokens");
    row.max_output = count("max_output_tokens");
    row.cache_minimum = count("prompt_cache_min_tokens");
    row.dimensions = count("output_vector_size");
    row.ends = model.get("deprecation_date").and_then(Value::as_str).and_then(Date::parse);
    add_flags(&mut row, model);
    add_efforts(&mut row, model);
    row.endpoints = letters(model.get("supported_endpoints"), &ENDPOINTS);
    if mode == Some("responses") && row.endpoints.is_empty() {
        row.endpoints.push('r');
    }
    row.inputs = letters(model.get("supported_modalities"), &MODALITIES);
    row.outputs = letters(model.get("supported_output_modalities"), &MODALITIES);
    // A price of nothing is one that nobody filled in, unless the name says otherwise.
    let is_known = |price: &Price| !price.is_free() || id.ends_with(":free");
    if let Some((price, fees)) = prices::read(model)
        && (is_known(&price) || fees != UnitFees::default())
    {
        let off_peak = off_peak::read(model, price.rates);
        let sources = "l".to_owned();
        row.prices.push(PriceRow { from: None, sources, price, fees, off_peak });
    }
    Some(row)
}

/// Our provider, and the name without what repeats it.
fn place<'a>(name: &'a str, provider: &str) -> Option<(&'static str, &'a str)> {
    if provider.starts_with("vertex_ai") {
        return Some(("vertex", name.strip_prefix("vertex_ai/").unwrap_or(name)));
    }
    let (_, ours, prefixes) = PROVIDERS.into_iter().find(|(it, ..)| *it == provider)?;
    let stripped = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
    Some((ours, stripped.unwrap_or(name)))
}

/// A name that only stands for another: of the same provider.
fn alias(name: &str, target: &str) -> Option<ModelRow> {
    let (provider, id, target) = match name.split_once('/') {
        None if name.starts_with("claude") => ("anthropic", name, target),
        None if name.starts_with("gpt") => ("openai", name, target),
        None => return None,
        Some((prefix, id)) => {
            let (_, ours, _) = PROVIDERS
                .into_iter()
                .find(|(_, _, it)| it.iter().any(|it| it.strip_suffix('/') == Some(prefix)))?;
            let target =
                target.strip_prefix(prefix).and_then(|it| it.strip_prefix('/')).unwrap_or(target);
            (ours, id, target)
        }
    };
    let same_as = Some(target.to_owned());
    is_plain(id).then(|| ModelRow { same_as, ..ModelRow::new(provider, id) })
}

fn kind(mode: Option<&str>) -> Option<ModelKind> {
    Some(match mode? {
        "chat" | "responses" => ModelKind::Chat,
        "completion" => ModelKind::Completion,
        "embedding" => ModelKind::Embedding,
        "image_generation" | "image_edit" => ModelKind::Image,
        "video_generation" => ModelKind::Video,
        "audio_speech" => ModelKind::Speech,
        "audio_transcription" => ModelKind::Transcription,
        "realtime" => ModelKind::Realtime,
        "rerank" => ModelKind::Rerank,
        "moderation" => ModelKind::Moderation,
        _ => ModelKind::Other,
    })
}

fn whole(value: &Value) -> Option<u64> {
    let number = number(value).filter(|it| *it >= 1.0 && *it < 1e12)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    Some(number as u64)
}

/// The letters of words that are known.
fn letters(words: Option<&Value>, known: &[(char, &str)]) -> String {
    let words: Vec<&str> =
        words.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    known.iter().filter(|(_, word)| words.contains(word)).map(|(letter, _)| *letter).collect()
}

fn add_flags(row: &mut ModelRow, model: &Value) {
    const FLAGS: [(&str, ModelAbility); 15] = [
        ("supports_function_calling", ModelAbility::Tools),
        ("supports_parallel_function_calling", ModelAbility::ParallelTools),
        ("supports_forced_tool_use", ModelAbility::ForcedTools),
        ("supports_vision", ModelAbility::Vision),
        ("supports_pdf_input", ModelAbility::Documents),
        ("supports_response_schema", ModelAbility::Schema),
        ("supports_reasoning", ModelAbility::Reasoning),
        ("supports_adaptive_thinking", ModelAbility::AdaptiveReasoning),
        ("thinking_on_by_default", ModelAbility::ReasoningByDefault),
        ("thinking_always_on", ModelAbility::ReasoningAlways),
        ("supports_sampling_params", ModelAbility::Sampling),
        ("supports_assistant_prefill", ModelAbility::Prefill),
        ("supports_prompt_caching", ModelAbility::Cache),
        ("supports_web_search", ModelAbility::WebSearch),
        ("supports_mid_conversation_system", ModelAbility::SystemTurns),
    ];
    for (name, flag) in FLAGS {
        if let Some(has) = model.get(name).and_then(Value::as_bool) {
            row.set(flag, has);
        }
    }
}

fn add_efforts(row: &mut ModelRow, model: &Value) {
    let listed = model.get("reasoning_effort_levels").and_then(Value::as_array);
    for word in listed.into_iter().flatten().filter_map(Value::as_str) {
        row.efforts = row
            .efforts
            .with(Effort::parse(word).map_or(EffortSet::EMPTY, |it| EffortSet::of(&[it])));
    }
    let word = model.get("default_reasoning_effort").and_then(Value::as_str);
    row.default_effort = word.and_then(Effort::parse);
}
