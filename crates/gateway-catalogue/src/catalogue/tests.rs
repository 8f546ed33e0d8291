use super::*;
use gateway_core::{Dialect, ModelKind, NanoDollars, Usage};

fn today() -> Date {
    Date::parse("2026-11-30").unwrap()
}

/// The row that answers for a name, what is sent, and dollars for a million tokens in and out.
fn short(provider: &str, name: &str) -> String {
    let catalogue = TextCatalogue::built_in();
    let Some(card) = catalogue.card(provider, name) else { return "unknown".to_owned() };
    let rates = card.prices.at(today()).map(|it| it.price.rates);
    let price = rates.map_or_else(
        || "-".to_owned(),
        |it| format!("{}/{}", text::decimal(it.input), text::decimal(it.output)),
    );
    let assumed = if card.assumed_from.is_some() { " assumed" } else { "" };
    format!("{} {} {price}{assumed}", card.id, card.upstream)
}

#[test]
fn built_in_catalogue_can_be_read() {
    let catalogue = TextCatalogue::parse(BUILT_IN.to_owned()).unwrap();
    assert!(catalogue.rows().count() > 2500);
    assert!(catalogue.generated().is_some());
    assert!(catalogue.sources().count() >= 3);
}

#[test]
fn every_vendor_and_cloud_has_models_of_its_kinds() {
    use ModelKind::{Chat, Embedding, Image, Rerank, Speech, Transcription};
    let catalogue = TextCatalogue::built_in();
    let rows: Vec<_> = catalogue.rows().collect();
    for (provider, kinds) in [
        ("openai", &[Chat, Embedding, Image, Speech, Transcription][..]),
        ("anthropic", &[Chat]),
        ("gemini", &[Chat, Embedding, Image]),
        ("deepseek", &[Chat]),
        ("mistral", &[Chat, Embedding]),
        ("xai", &[Chat, Image]),
        ("groq", &[Chat, Transcription]),
        ("perplexity", &[Chat, Embedding]),
        ("together", &[Chat]),
        ("fireworks", &[Chat, Embedding]),
        ("cerebras", &[Chat]),
        ("openrouter", &[Chat]),
        ("bedrock", &[Chat, Embedding, Image, Rerank]),
        ("vertex", &[Chat, Embedding, Image]),
        ("azure", &[Chat, Embedding, Image, Speech, Transcription]),
        ("cohere", &[Chat, Embedding, Rerank]),
    ] {
        for kind in kinds {
            let of_kind = rows.iter().filter(|it| it.provider == provider && it.kind == *kind);
            let has_price = of_kind.clone().any(|it| !it.prices.is_empty());
            assert!(has_price, "{provider} has no priced model for {}", kind.as_str());
        }
    }
}

#[test]
fn newest_models_have_their_days_of_release() {
    let catalogue = TextCatalogue::built_in();
    for (provider, name) in [
        ("openai", "gpt-6.1-terra"),
        ("openai", "gpt-6.2-sol"),
        ("anthropic", "claude-fable-5-2"),
        ("anthropic", "claude-mythos-5-1"),
        ("anthropic", "claude-opus-5-5"),
        ("gemini", "gemini-4-argon"),
        ("gemini", "gemini-4-carbon"),
        ("gemini", "gemini-4-hydrogen"),
        ("gemini", "gemini-4-neon"),
    ] {
        let card = catalogue.card(provider, name).unwrap();
        assert!(card.released.is_some() && card.assumed_from.is_none(), "{name}");
    }
}

#[test]
fn every_row_is_found_by_its_name() {
    let catalogue = TextCatalogue::built_in();
    for row in catalogue.rows() {
        let card = catalogue.card(&row.provider, &row.id.to_uppercase());
        assert_eq!(card.map(|it| it.upstream.clone()), Some(row.id.clone()), "{}", row.provider);
    }
}

#[test]
fn every_other_name_leads_to_a_row() {
    let catalogue = TextCatalogue::built_in();
    let keys: std::collections::HashSet<_> =
        catalogue.rows().map(|row| format!("{}/{}", row.provider, row.id).to_lowercase()).collect();
    for row in catalogue.rows() {
        if let Some(same_as) = &row.same_as {
            assert!(
                keys.contains(&format!("{}/{same_as}", row.provider).to_lowercase()),
                "{}",
                row.id
            );
        }
    }
}

#[test]
fn names_resolve_to_rows_then_bases_then_families() {
    for (provider, name, expected) in [
        ("openai", "GPT-5.2", "gpt-5.2 gpt-5.2 1.75/14"),
        ("openai", "gpt-5.2-2025-12-11", "gpt-5.2 gpt-5.2-2025-12-11 1.75/14"),
        ("openai", "gpt-5.2-2027-01-01", "gpt-5.2 gpt-5.2-2027-01-01 1.75/14"),
        ("openai", "gpt-5.2-latest", "gpt-5.2 gpt-5.2-latest 1.75/14"),
        ("openai", "gpt-6.3-sol", "gpt-6.2-sol gpt-6.3-sol 2/10 assumed"),
        ("openai", "gpt-7", "gpt-6.2-astra gpt-7 8/40 assumed"),
        (
            "anthropic",
            "claude-opus-4-20250514",
            "claude-opus-4-20250514 claude-opus-4-20250514 15/75",
        ),
        (
            "anthropic",
            "claude-sonnet-4-5-latest",
            "claude-sonnet-4-5 claude-sonnet-4-5-latest 3/15",
        ),
        ("anthropic", "claude-opus-latest", "claude-opus-latest claude-opus-latest 4/20"),
        ("anthropic", "claude-opus-6", "claude-opus-5-5 claude-opus-6 4/20 assumed"),
        ("anthropic", "claude-opus-5-5[1m]", "claude-opus-5-5 claude-opus-5-5[1m] 4/20"),
        ("gemini", "models/gemini-3.5-flash", "gemini-3.5-flash models/gemini-3.5-flash 1.5/9"),
        ("gemini", "gemini-5-pro", "gemini-3.1-pro-preview gemini-5-pro 2/12 assumed"),
        ("openai", "my-own-model", "unknown"),
        ("openai", "", "unknown"),
        ("nowhere", "llama", "unknown"),
        ("nowhere", "claude-opus-5-5", "other claude-opus-5-5 - assumed"),
    ] {
        assert_eq!(short(provider, name), expected, "{provider}/{name}");
    }
}

#[test]
fn clouds_spell_names_their_own_way() {
    for (provider, name, id) in [
        ("bedrock", "us.anthropic.claude-haiku-5-5", "us.anthropic.claude-haiku-5-5"),
        (
            "bedrock",
            "apac.anthropic.claude-opus-4-5-20251101-v1:0",
            "anthropic.claude-opus-4-5-20251101-v1:0",
        ),
        ("vertex", "claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("vertex", "claude-haiku-5-5@20261201", "claude-haiku-5-5"),
        ("azure", "GPT-5.4-2026-03-05", "gpt-5.4"),
    ] {
        let card = TextCatalogue::built_in().card(provider, name);
        assert_eq!(card.as_ref().map(|it| it.id.as_str()), Some(id), "{name}");
        assert!(card.is_some_and(|it| !it.prices.is_empty()), "{name}");
    }
}

#[test]
fn count_is_that_of_the_cards() {
    let catalogue = TextCatalogue::built_in();
    for provider in ["openai", "anthropic", "gemini", "bedrock", "bedrock-mantle", "nowhere"] {
        assert_eq!(catalogue.count(provider), catalogue.cards(provider).len(), "{provider}");
    }
}

#[test]
fn price_changes_on_its_day() {
    let card = TextCatalogue::built_in().card("gemini", "gemini-4-argon").unwrap();
    let usage = Usage { input: 1_000_000, output: 1_000_000, ..Usage::default() };
    let cost = |day: &str| card.prices.at(Date::parse(day).unwrap()).unwrap().price.cost(&usage);
    assert_eq!(cost("2026-11-30"), NanoDollars(12_000_000_000));
    assert_eq!(cost("2026-12-01"), NanoDollars(24_000_000_000));
}

#[test]
fn card_has_kind_and_api() {
    let catalogue = TextCatalogue::built_in();
    let card = |provider: &str, name: &str| catalogue.card(provider, name).unwrap();
    assert_eq!(card("openai", "text-embedding-3-small").kind, ModelKind::Embedding);
    assert_eq!(card("openai", "gpt-5.2-pro").api, Some(Dialect::Responses));
    assert_eq!(card("openai", "gpt-5.4").api, None);
    assert_eq!(card("openai", "gpt-5.2").context_window, Some(400_000));
    assert_eq!(card("openai", "whisper-1").kind, ModelKind::Transcription);
}

#[test]
fn price_of_nothing_belongs_to_local_and_free_models() {
    for row in TextCatalogue::built_in().rows() {
        let is_free = row
            .prices
            .iter()
            .any(|it| it.price.is_free() && it.fees == gateway_core::UnitFees::NONE);
        let may_be = row.provider == "inference" || row.id.contains("free");
        assert!(!is_free || may_be, "{}/{}", row.provider, row.id);
    }
}

#[test]
fn remembered_names_are_bounded() {
    let catalogue = TextCatalogue::built_in();
    for number in 0..5000 {
        let _ = catalogue.card("openai", &format!("made-up-{number}"));
    }
    assert!(catalogue.remembered.read().unwrap().len() <= MAX_REMEMBERED);
}

#[test]
fn catalogue_out_of_order_is_refused() {
    let error = TextCatalogue::parse("b/x\na/x\n".to_owned()).unwrap_err();
    assert_eq!(error, CatalogueError::Order("a/x".to_owned()));
    assert!(TextCatalogue::parse("a/x\na/X\n".to_owned()).is_err());
}

#[test]
fn public_data_set_is_laid_over_the_catalogue_of_the_release() {
    let text = r#"{"gpt-5.2":{"litellm_provider":"openai","mode":"chat","input_cost_per_token":9e-6,
        "output_cost_per_token":9e-6},"gpt-99":{"litellm_provider":"openai","mode":"chat",
        "input_cost_per_token":1e-6,"output_cost_per_token":2e-6}}"#;
    let catalogue = TextCatalogue::import(text.to_owned()).unwrap();
    let input = |name: &str| {
        let card = catalogue.card("openai", name).unwrap();
        card.prices.at(today()).unwrap().price.rates.input
    };
    assert_eq!((input("gpt-5.2"), input("gpt-99")), (9_000_000_000, 1_000_000_000));
    assert_eq!(catalogue.card("openai", "gpt-5.2").unwrap().capabilities.tools, Some(true));
    assert!(catalogue.has("anthropic", "claude-opus-5-5"));
    assert!(catalogue.aliases().count() > 3);
}

#[test]
fn own_format_replaces_the_catalogue() {
    let catalogue = TextCatalogue::import("openai/only\n\t* x i=1 o=2\n".to_owned()).unwrap();
    assert_eq!(catalogue.rows().count(), 1);
    assert!(TextCatalogue::import("nonsense".to_owned()).is_err());
}
