//! The spellings of a model's name: snapshots, case, provider prefixes, clouds.

/// Prefixes of Bedrock's inference profiles.
const PROFILES: [&str; 14] = [
    "us.",
    "eu.",
    "apac.",
    "global.",
    "jp.",
    "au.",
    "in.",
    "ca.",
    "sa.",
    "me.",
    "uk.",
    "us-gov.",
    "regional.",
    "ap.",
];
/// Vendors, as Bedrock writes them before the name.
const VENDORS: [&str; 12] = [
    "anthropic.",
    "openai.",
    "google.",
    "xai.",
    "deepseek.",
    "mistral.",
    "meta.",
    "amazon.",
    "cohere.",
    "qwen.",
    "moonshotai.",
    "minimax.",
];

/// Returns the names under which a model called `name` may be known, itself first, in lower case;
/// each is less specific than the one before.
pub fn spellings(name: &str) -> Vec<String> {
    let name = name.trim().to_lowercase();
    let mut spellings = vec![name];
    // Each step is tried on the last result; what changes nothing adds nothing.
    for step in [without_window, without_profile, without_revision, without_snapshot] {
        push(&mut spellings, step);
    }
    push(&mut spellings, |name| after_last(name, '/'));
    push(&mut spellings, without_vendor);
    for step in [without_revision, without_snapshot, without_latest, without_snapshot] {
        push(&mut spellings, step);
    }
    spellings
}

/// Returns the plainest spelling of a model's name.
pub fn plain(name: &str) -> String {
    spellings(name).pop().unwrap_or_default()
}

fn push(spellings: &mut Vec<String>, step: fn(&str) -> Option<&str>) {
    if let Some(last) = spellings.last()
        && let Some(name) = step(last)
        && !name.is_empty()
        && name != last
    {
        let name = name.to_owned();
        spellings.push(name);
    }
}

/// `claude-opus-5-5[1m]`: how some clients ask for the long window.
fn without_window(name: &str) -> Option<&str> {
    name.strip_suffix("[1m]")
}

fn without_profile(name: &str) -> Option<&str> {
    PROFILES.iter().find_map(|prefix| name.strip_prefix(prefix))
}

fn without_vendor(name: &str) -> Option<&str> {
    VENDORS.iter().find_map(|prefix| name.strip_prefix(prefix))
}

fn after_last(name: &str, separator: char) -> Option<&str> {
    name.rsplit_once(separator).map(|(_, rest)| rest)
}

/// Without `-v1:0`, `-v1`, `:0`, `:free`.
fn without_revision(name: &str) -> Option<&str> {
    let (rest, had_colon) = match name.rsplit_once(':') {
        Some((rest, _)) => (rest, true),
        None => (name, false),
    };
    let unversioned = rest.rsplit_once("-v").filter(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    match unversioned {
        // `deepseek-v3` is a name, `-v1` and `-v2` of Bedrock are revisions.
        Some((base, "1" | "2")) if had_colon || base.contains("claude") => Some(base),
        _ => had_colon.then_some(rest),
    }
}

/// Without a date or what stands for one: `-2026-03-05`, `-20260305`, `@20260305`, `@default`,
/// `-preview-09-2025`, `-preview-05-20`.
fn without_snapshot(name: &str) -> Option<&str> {
    if let Some((base, _)) = name.rsplit_once('@') {
        return Some(base);
    }
    let parts: Vec<&str> = name.split('-').collect();
    let is_number = |part: &&str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let removed = match parts.as_slice() {
        [.., year, month, day]
            if is_number(year, 4) && is_number(month, 2) && is_number(day, 2) =>
        {
            year.len() + month.len() + day.len() + 3
        }
        [.., "preview", month, rest]
            if is_number(month, 2) && (is_number(rest, 4) || is_number(rest, 2)) =>
        {
            "-preview".len() + month.len() + rest.len() + 2
        }
        [.., date] if is_number(date, 8) => date.len() + 1,
        _ => return None,
    };
    name.get(..name.len().saturating_sub(removed))
}

fn without_latest(name: &str) -> Option<&str> {
    name.strip_suffix("-latest").or_else(|| name.strip_suffix("-default"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_leads_to_the_plain_name() {
        for (spelling, expected) in [
            ("GPT-5.2", "gpt-5.2"),
            ("gpt-5.2-2025-12-11", "gpt-5.2"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5-latest", "claude-sonnet-4-5"),
            ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
            ("claude-opus-5@default", "claude-opus-5"),
            ("anthropic/claude-opus-5-5", "claude-opus-5-5"),
            ("claude-opus-5-5[1m]", "claude-opus-5-5"),
            ("us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5"),
            ("anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
            ("global.anthropic.claude-haiku-5-5", "claude-haiku-5-5"),
            ("models/gemini-2.5-flash-preview-05-20", "gemini-2.5-flash"),
            ("gemini-2.5-flash-lite-preview-09-2025", "gemini-2.5-flash-lite"),
            ("google/gemini-4-argon", "gemini-4-argon"),
            ("openai.gpt-5.6-sol", "gpt-5.6-sol"),
            ("deepseek/deepseek-v3", "deepseek-v3"),
            ("meta-llama/llama-3.3-70b:free", "llama-3.3-70b"),
            ("accounts/fireworks/models/glm-5", "glm-5"),
            ("gemini-3-pro-preview", "gemini-3-pro-preview"),
            ("gpt-5.2-latest", "gpt-5.2"),
            ("", ""),
            ("-latest", "-latest"),
        ] {
            assert_eq!(plain(spelling), expected, "{spelling}");
        }
    }

    #[test]
    fn spellings_begin_with_the_name_itself() {
        let all = spellings("us.anthropic.claude-opus-4-5-20251101-v1:0");
        let expected = [
            "us.anthropic.claude-opus-4-5-20251101-v1:0",
            "anthropic.claude-opus-4-5-20251101-v1:0",
            "anthropic.claude-opus-4-5-20251101",
            "anthropic.claude-opus-4-5",
            "claude-opus-4-5",
        ];
        assert_eq!(all, expected);
    }
}
