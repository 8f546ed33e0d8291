use super::*;

/// The rules of `name` in short.
fn short(name: &str) -> String {
    let rules = rules(name);
    let efforts: Vec<_> = rules.efforts.iter().map(Effort::as_str).collect();
    format!(
        "{:?} {:?} {:?} {}",
        rules.sampling,
        rules.responses_only,
        rules.forced_tools,
        efforts.join(",")
    )
}

#[test]
fn names_are_taken_apart() {
    for (spelling, line, version, variant) in [
        ("gpt-4o-mini", "gpt", (4, 0), "mini"),
        ("gpt-5.2-2025-12-11", "gpt", (5, 2), ""),
        ("GPT-6.2-Sol", "gpt", (6, 2), "sol"),
        ("o3-mini", "o", (3, 0), "mini"),
        ("claude-3-5-sonnet-20241022", "sonnet", (3, 5), ""),
        ("claude-opus-4-20250514", "opus", (4, 0), ""),
        ("claude-opus-4.5", "opus", (4, 5), ""),
        ("claude-4-opus", "opus", (4, 0), ""),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "opus", (4, 5), ""),
        ("claude-opus-latest", "opus", parse::NEWEST, ""),
        ("claude-instant-1.2", "instant", (1, 2), ""),
        ("models/gemini-3.5-flash-lite", "gemini", (3, 5), "flash-lite"),
        ("gemini-3-pro-preview", "gemini", (3, 0), "pro"),
        ("gemini-pro-latest", "gemini", parse::NEWEST, "pro"),
        ("deepseek-v4-pro", "deepseek", (4, 0), "pro"),
        ("grok-4.20-reasoning", "grok", (4, 2), "reasoning"),
        ("grok-4.5", "grok", (4, 5), ""),
        ("mistral-medium-3.5", "mistral", (3, 5), "medium"),
        ("mistral-medium-3-5", "mistral", (3, 5), "medium"),
        ("mistral-large-4-0", "mistral", (4, 0), "large"),
        ("mistral-small-2603", "mistral", parse::NEWEST, "small-2603"),
    ] {
        let name = parse(spelling).unwrap_or_else(|| panic!("{spelling} has no family"));
        let parts = (name.line.as_str(), name.version, name.variant.join("-"));
        assert_eq!(parts, (line, version, variant.to_owned()), "{spelling}");
    }
}

#[test]
fn other_names_have_no_family() {
    for name in ["gpt-oss-120b", "gpt-image-1", "llama-3.3-70b", "", "x", "omni", "qwen3", "gpt"] {
        assert_eq!(parse(name), None, "{name}");
        assert_eq!(rules(name), ModelRules::default(), "{name}");
    }
}

#[test]
fn rules_follow_the_version() {
    for (name, expected) in [
        ("gpt-4.1", "Free Never Always "),
        ("o3", "Refused Never Always low,medium,high"),
        ("o3-pro", "Refused Always Always low,medium,high"),
        ("gpt-5", "Refused Never Always minimal,low,medium,high"),
        ("gpt-5.1", "UnlessReasoning Never Always none,low,medium,high"),
        ("gpt-5.2", "UnlessReasoning Never Always none,low,medium,high,xhigh"),
        ("gpt-5.2-pro", "Refused Always Always medium,high,xhigh"),
        ("gpt-5.4-mini", "UnlessReasoning Tools Always none,low,medium,high,xhigh"),
        ("gpt-5.5-pro", "Refused Always Always medium,high,xhigh"),
        ("gpt-5.5", "WithoutReasoning Tools Always none,low,medium,high,xhigh"),
        ("gpt-5.6-terra", "WithoutReasoning Tools Always none,low,medium,high,xhigh,max"),
        ("gpt-6-astra", "Refused Tools Always low,medium,high,xhigh,max"),
        ("gpt-6-luna", "WithoutReasoning Tools Always none,low,medium,high,xhigh,max"),
        ("gpt-6.1-sol", "Refused Tools Always low,medium,high,xhigh"),
        ("gpt-6.1-terra", "WithoutReasoning Tools Always none,low,medium,high,xhigh"),
        ("gpt-6.2-sol", "Neutral Tools Always low,medium,high,xhigh"),
        ("claude-3-haiku-20240307", "Free Never Always "),
        ("claude-sonnet-4-5", "OneOf Never UnlessReasoning "),
        ("claude-opus-4-5-20251101", "OneOf Never UnlessReasoning low,medium,high"),
        ("claude-sonnet-4-6", "Free Never UnlessReasoning low,medium,high,max"),
        ("claude-opus-4-7", "Neutral Never UnlessReasoning low,medium,high,xhigh,max"),
        ("claude-opus-4-8", "Neutral Never Always low,medium,high,xhigh,max"),
        ("claude-fable-5", "Neutral Never Always low,medium,high,xhigh,max"),
        ("claude-fable-5-1", "Neutral Never Never low,medium,high,xhigh,max"),
        ("claude-opus-5-5", "Neutral Never Never low,medium,high,xhigh,max"),
        ("claude-sonnet-5-5", "Neutral Never Never low,medium,high,xhigh,max"),
        ("claude-haiku-5-5", "NeutralOneOf Never Always low,medium,high,xhigh,max"),
        ("gemini-2.0-flash", "Free Never Always "),
        ("gemini-3.1-pro-preview", "Free Never Always low,medium,high"),
        ("gemini-3.5-flash", "Free Never Always minimal,low,medium,high"),
        ("gemini-3.8-flash", "Refused Never Always low,medium,high"),
        ("gemini-4-argon", "Refused Never Always low,medium,high"),
        ("gemini-4-neon", "Refused Never Always low,medium,high,xhigh"),
        ("deepseek-v4-flash", "UnlessReasoning Never Unknown none,low,high,max"),
        ("grok-4.20", "Unknown Never Unknown "),
        ("grok-4.7", "Unknown Never Unknown low,medium,high"),
    ] {
        assert_eq!(short(name), expected, "{name}");
    }
}

#[test]
fn newer_than_all_has_the_rules_of_the_newest() {
    for (newer, newest) in [
        ("gpt-7", "gpt-6.2"),
        ("gpt-6.9-sol", "gpt-6.2-sol"),
        ("gpt-7-terra", "gpt-6.1-terra"),
        ("claude-opus-6", "claude-opus-5-5"),
        ("claude-haiku-6", "claude-haiku-5-5"),
        ("gemini-5-neon", "gemini-4-neon"),
        ("gemini-9", "gemini-4-argon"),
        ("grok-5", "grok-4.5"),
    ] {
        assert_eq!(rules(newer), rules(newest), "{newer}");
    }
}

#[test]
fn every_row_names_its_source() {
    for rule in RULES.into_iter().flatten() {
        assert!(rule.source.len() > 10, "{rule:?}");
    }
}

#[test]
fn default_effort_is_accepted() {
    for rule in RULES.into_iter().flatten() {
        let rules = rule.rules;
        if let Some(effort) = rules.default_effort
            && rules.efforts.iter().count() > 1
        {
            assert!(rules.efforts.contains(effort), "{rule:?}");
        }
    }
}
