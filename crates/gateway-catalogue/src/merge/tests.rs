use super::*;
use crate::{TextCatalogue, import};
use gateway_core::{ModelCatalogue, NanoDollars, Usage};

const LITELLM: &str = r#"{
    "gpt-9": { "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 1000, "max_output_tokens": 100,
        "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "cache_read_input_token_cost": 1e-7,
        "input_cost_per_token_flex": 5e-7, "input_cost_per_token_above_200k_tokens": 2e-6,
        "supports_function_calling": true, "supports_vision": false },
    "gpt-9-2026-01-02": { "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 1000, "max_output_tokens": 100,
        "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "cache_read_input_token_cost": 1e-7,
        "input_cost_per_token_flex": 5e-7, "input_cost_per_token_above_200k_tokens": 2e-6,
        "supports_function_calling": true, "supports_vision": false },
    "xai/grok-9": { "litellm_provider": "xai", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6 },
    "us.anthropic.claude-x": { "litellm_provider": "bedrock_converse", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6 },
    "elsewhere/m": { "litellm_provider": "elsewhere", "mode": "chat" }
}"#;

const GENAI_PRICES: &str = r"
providers: list[Provider] = [
    Provider(id='openai', models=[
        ModelInfo(id='gpt-9', match=ClauseStartsWith(starts_with='gpt-9'), name='GPT-9', context_window=1100,
            prices=[
                ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('3'), output_mtok=Decimal('4'))),
                ConditionalPrice(constraint=StartDateConstraint(start_date=datetime.date(2026, 6, 1)),
                    prices=ModelPrice(
                        input_mtok=TieredPrices(base=Decimal('1'), tiers=[Tier(start=199999, price=Decimal('2'))]),
                        output_mtok=Decimal('2'))),
                ConditionalPrice(constraint=StartDateConstraint(start_date=datetime.date(2026, 12, 1)),
                    prices=ModelPrice(input_mtok=Decimal('9'), output_mtok=Decimal('9'))),
            ]),
    ]),
    Provider(id='x-ai', models=[
        ModelInfo(id='grok-9', match=ClauseEquals(equals='grok-9'), prices=ModelPrice(input_mtok=Decimal('5'), output_mtok=Decimal('2'))),
    ]),
    Provider(id='anthropic', models=[
        ModelInfo(id='claude-only', match=ClauseEquals(equals='claude-only'), prices=ModelPrice(input_mtok=Decimal('5'), output_mtok=Decimal('25'))),
    ]),
]
";

fn merged(overrides: &str) -> MergedCatalogue {
    let sets = DataSets {
        litellm: import::litellm(LITELLM).unwrap(),
        genai_prices: import::genai_prices(GENAI_PRICES).unwrap(),
        models_dev: Vec::new(),
        overrides: CatalogueOverrides::parse(overrides).unwrap(),
    };
    merge(sets, Date::parse("2026-11-30").unwrap())
}

#[test]
fn merged_catalogue_is_sorted() {
    let merged = merged("# newer ones lag\nprefer xai/* litellm\n");
    let text = write(&merged, &["source test".to_owned()]);
    let expected = "\
# source test
anthropic/claude-only
\t* g i=5 o=25
bedrock/us.anthropic.claude-x
\t* l i=1 o=2
openai/gpt-9 n=GPT-9 i=1000 o=100 c=1100 +t -v s=gpt-9-2026-01-02
\t* g i=3 o=4
\t2026-06-01 lg i=1 o=2 cr=.1 >200000 i=2 flex i=.5 >200000 i=2
\t2026-12-01 g i=9 o=9
xai/grok-9
\t* l i=1 o=2
";
    assert_eq!(text, expected);
}

#[test]
fn disagreement_is_listed_with_its_decision() {
    let decided = merged("# LiteLLM follows first\nprefer xai/* litellm\n");
    let [one] = decided.disagreements.as_slice() else { panic!("{:?}", decided.disagreements) };
    assert_eq!(one.key, "xai/grok-9");
    assert_eq!(one.differences[0].to_string(), "input 1 / 5");
    assert_eq!(one.decision.as_ref().unwrap().reason, "LiteLLM follows first");
    let undecided = merged("");
    assert_eq!(undecided.disagreements[0].decision, None);
}

#[test]
fn other_data_set_counts_if_it_is_preferred() {
    let merged = merged("# checked on the price page\nprefer xai/grok-9 genai-prices\n");
    let row = merged.rows.iter().find(|row| row.id == "grok-9").unwrap();
    assert_eq!(
        (row.prices[0].sources.as_str(), row.prices[0].price.rates.input),
        ("g", 5_000_000_000)
    );
}

#[test]
fn override_replaces_named_facts() {
    let merged =
        merged("# the vendor's page\nxai/grok-9 i=500\n\t* o i=7 o=8\n# new\nxai/grok-10 i=1\n");
    let row = |id: &str| merged.rows.iter().find(|row| row.id == id).unwrap();
    assert_eq!(
        (row("grok-9").max_input, row("grok-9").prices[0].price.rates.input),
        (Some(500), 7_000_000_000)
    );
    assert!(row("grok-10").prices.is_empty());
    assert_eq!(
        merged.disagreements[0].decision.as_ref().unwrap().preferred,
        PreferredSource::Override
    );
}

#[test]
fn override_without_a_reason_is_refused() {
    assert!(matches!(
        CatalogueOverrides::parse("xai/grok-9 i=1\n"),
        Err(OverrideError::NoReason(_))
    ));
    assert!(matches!(
        CatalogueOverrides::parse("# why\n\nprefer a/* litellm"),
        Err(OverrideError::NoReason(_))
    ));
    assert!(matches!(
        CatalogueOverrides::parse("# why\nprefer a/* coin\n"),
        Err(OverrideError::Line(_))
    ));
}

#[test]
fn written_catalogue_is_read_and_answers() {
    let text = write(
        &merged("# x\nalias nine gpt-9\n# y\nprefer xai/* litellm\n"),
        &["generated 2026-11-30".to_owned()],
    );
    let catalogue = TextCatalogue::parse(text).unwrap();
    assert_eq!(catalogue.aliases().collect::<Vec<_>>(), [("nine", "gpt-9")]);
    assert_eq!(catalogue.generated(), Date::parse("2026-11-30"));
    let card = catalogue.card("openai", "GPT-9-2026-01-02").unwrap();
    assert_eq!((card.id.as_str(), card.upstream.as_str()), ("gpt-9", "GPT-9-2026-01-02"));
    let usage = Usage { input: 1000, output: 1000, ..Usage::default() };
    let cost = |day: &str| card.prices.at(Date::parse(day).unwrap()).unwrap().price.cost(&usage);
    assert_eq!(cost("2026-05-31"), NanoDollars(7_000_000));
    assert_eq!(cost("2026-11-30"), NanoDollars(3_000_000));
    assert_eq!(cost("2026-12-01"), NanoDollars(18_000_000));
}
