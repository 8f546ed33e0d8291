use super::*;

#[test]
fn import_detects_each_format() {
    for (text, expected) in [
        (r#"{"m":{"litellm_provider":"openai","mode":"chat"}}"#, CatalogueFormat::LiteLlm),
        (r#"{"openai":{"models":{"m":{"id":"m"}}}}"#, CatalogueFormat::ModelsDev),
        (
            r#"[{"id":"openai","models":[{"id":"m","prices":{"input_mtok":1,"output_mtok":2}}]}]"#,
            CatalogueFormat::GenaiPrices,
        ),
        ("# generated 2026-11-30\nopenai/m\n\t* l i=1 o=2\n", CatalogueFormat::Own),
    ] {
        let (format, rows) = any(text).unwrap();
        assert_eq!((format, rows.len(), rows[0].id.as_str()), (expected, 1, "m"), "{text}");
    }
}

#[test]
fn unknown_format_is_refused() {
    for text in ["", "{}", "[]", "{", "hello", r#"{"a":1}"#, "openai/m q=1"] {
        assert!(any(text).is_err(), "{text}");
    }
}

#[test]
fn models_dev_row_has_dates_windows_and_prices() {
    let text = r#"{"openai":{"models":{"gpt-5.4":{"name":"GPT-5.4","release_date":"2026-03-05","tool_call":true,
        "limit":{"context":1050000,"output":128000},"modalities":{"input":["text","image"],"output":["text"]},
        "cost":{"input":2.5,"output":15,"cache_read":0.25,"tiers":[{"input":5,"output":22.5,"tier":{"size":272000,"type":"context"}}]}}}}}"#;
    let rows = models_dev(text).unwrap();
    let mut out = String::new();
    crate::text::write_row(&rows[0], &mut out);
    let expected = "openai/gpt-5.4 n=GPT-5.4 r=2026-03-05 o=128000 c=1050000 +tv m=ti>t\n\
                    \t* m i=2.5 o=15 cr=.25 >272000 i=5 o=22.5\n";
    assert_eq!(out, expected);
}

#[test]
fn litellm_names_of_prices_are_taken_apart() {
    let text = r#"{"claude-x":{"litellm_provider":"anthropic","mode":"chat","input_cost_per_token":1e-6,
        "output_cost_per_token":5e-6,"cache_creation_input_token_cost":1.25e-6,
        "cache_creation_input_token_cost_above_1hr":2e-6,"input_cost_per_token_above_100k_tokens":5e-6,
        "input_cost_per_token_above_100k_tokens_batches":2.5e-6,"input_cost_per_token_batches":5e-7,
        "search_context_cost_per_query":{"search_context_size_medium":0.01},
        "provider_specific_entry":{"us":1.1,"fast":2}}}"#;
    let rows = litellm(text).unwrap();
    let mut out = String::new();
    crate::text::write_row(&rows[0], &mut out);
    let expected = "anthropic/claude-x\n\
        \t* l i=1 o=5 cw=1.25 cl=2 >100000 i=5 batch i=.5 >100000 i=2.5 fast i=2 o=10 cw=2.5 cl=4 >100000 i=10 search=.01\n";
    assert_eq!(out, expected);
}

#[test]
fn size_variants_are_left_out() {
    let text = r#"{"1024-x-1024/m":{"litellm_provider":"openai","mode":"image_generation"},
        "bedrock/*/1-month-commitment/c":{"litellm_provider":"bedrock","mode":"chat"},
        "m":{"litellm_provider":"openai"}}"#;
    assert!(litellm(text).unwrap().is_empty());
}

#[track_caller]
fn check_row(rows: &[ModelRow], expected: &str) {
    let mut out = String::new();
    crate::text::write_row(&rows[0], &mut out);
    assert_eq!(out, expected);
}

#[test]
fn litellm_hours_have_their_rates() {
    let text = r#"{"deepseek/deepseek-x":{"litellm_provider":"deepseek","mode":"chat",
        "input_cost_per_token":3e-7,"output_cost_per_token":1.2e-6,"cache_read_input_token_cost":6e-9,
        "off_peak_pricing":{"input_cost_per_token":1.5e-7,"output_cost_per_token":6e-7,"windows":[
            {"hours_utc":["00:00-01:00","10:00-00:00"],"weekdays":[1,2,3,4,"fri"]},
            {"hours_utc":"00:00-00:00","weekdays":[6,7]}]}}}"#;
    let expected = "deepseek/deepseek-x\n\
        \t* l i=.3 o=1.2 cr=.006 off@12345/00:00-01:00,10:00-24:00@67/00:00-24:00 i=.15 o=.6\n";
    check_row(&litellm(text).unwrap(), expected);
    // The days of another zone are not those of UTC: the dearer price holds at all hours.
    let elsewhere =
        text.replace("\"windows\"", "\"weekday_timezone\":\"Asia/Shanghai\",\"windows\"");
    check_row(&litellm(&elsewhere).unwrap(), "deepseek/deepseek-x\n\t* l i=.3 o=1.2 cr=.006\n");
}

#[test]
fn litellm_ranges_of_prompts_become_thresholds() {
    let text = r#"{"dashscope/qwen-x":{"litellm_provider":"dashscope","mode":"chat","tiered_pricing":[
        {"input_cost_per_token":3e-7,"output_cost_per_token":1.5e-6,"range":[0,32000.0]},
        {"input_cost_per_token":5e-7,"output_cost_per_token":2.5e-6,"range":[32000.0,128000.0]},
        {"input_cost_per_token":8e-7,"output_cost_per_token":4e-6,"range":[128000.0,256000.0]}]}}"#;
    let expected = "dashscope/qwen-x\n\t* l i=.3 o=1.5 >32000 i=.5 o=2.5 >128000 i=.8 o=4\n";
    check_row(&litellm(text).unwrap(), expected);
}

#[test]
fn genai_prices_hours_are_the_dearer_or_the_cheaper_ones() {
    let text = |hours: &str| {
        format!(
            "providers: list[Provider] = [Provider(id='deepseek', models=[ModelInfo(id='d', prices=[
            ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('2'))),
            ConditionalPrice(constraint=TimeOfDateConstraint(
                start_time=datetime.time(1, 0, tzinfo=datetime.UTC),
                end_time=datetime.time(4, 30, tzinfo=datetime.UTC)),
                prices=ModelPrice({hours})) ])])]"
        )
    };
    let rows = |hours: &str| genai_prices(&text(hours)).unwrap().into_rows();
    check_row(
        &rows("input_mtok=Decimal('3'), output_mtok=Decimal('4')"),
        "deepseek/d\n\t* g i=3 o=4 off@1234567/00:00-01:00,04:30-24:00 i=1 o=2\n",
    );
    check_row(
        &rows("input_mtok=Decimal('.5'), output_mtok=Decimal('1')"),
        "deepseek/d\n\t* g i=1 o=2 off@1234567/01:00-04:30 i=.5 o=1\n",
    );
    // Neither is the dearer one.
    check_row(
        &rows("input_mtok=Decimal('.5'), output_mtok=Decimal('4')"),
        "deepseek/d\n\t* g i=1 o=2\n",
    );
}
