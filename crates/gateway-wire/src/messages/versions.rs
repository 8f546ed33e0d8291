//! The versions of the Messages API, by the header `anthropic-version`, and what each refuses.

use gateway_core::{GatewayError, Result};
use memchr::memmem;
use serde::{Deserialize, de::IgnoredAny};
use std::borrow::Cow;

/// The header that selects the version of the API.
pub const VERSION_HEADER: &str = "anthropic-version";

/// The header that lists the beta features that a request uses.
pub const BETA_HEADER: &str = "anthropic-beta";

/// A version of the API. A later version that is not known has the rules of the newest known one.
struct MessagesVersion {
    /// Its date, as the header has it.
    date: &'static str,
    rules: &'static [VersionRule],
}

/// A check of a request. What it refuses, the API of that version refuses.
type VersionRule = fn(&VersionedRequest<'_>) -> Result<()>;

/// The known versions, oldest first. Source: the API's versioning and migration pages.
const VERSIONS: [MessagesVersion; 2] = [
    MessagesVersion { date: "2023-06-01", rules: &[] },
    MessagesVersion {
        date: "2026-10-21",
        rules: &[check_sampling, check_assistant_documents, check_user_citations],
    },
];

/// Checks a request of a caller that asks for `version`. A body that is no request passes: its
/// decoder says what is wrong with it.
///
/// # Errors
///
/// If the version refuses the request.
pub(super) fn check(version: &str, body: &[u8]) -> Result<()> {
    let rules = rules_of(version);
    if rules.is_empty() || !may_matter(body) {
        return Ok(());
    }
    let Ok(request) = serde_json::from_slice::<VersionedRequest<'_>>(body) else { return Ok(()) };
    rules.iter().try_for_each(|rule| rule(&request))
}

/// The rules of the newest version that is not newer; those of the oldest for what is no date.
fn rules_of(version: &str) -> &'static [VersionRule] {
    let is_date =
        version.len() == 10 && version.bytes().all(|it| it.is_ascii_digit() || it == b'-');
    let known = VERSIONS.iter().rev().find(|known| is_date && known.date <= version);
    known.map_or(&[], |known| known.rules)
}

/// Whether a body has anything that a rule is about, so that most are not read.
fn may_matter(body: &[u8]) -> bool {
    let words: [&[u8]; 5] = [b"temperature", b"top_p", b"top_k", b"document", b"citations"];
    words.iter().any(|word| memmem::find(body, word).is_some())
}

/// The parts of a request that rules are about.
#[derive(Deserialize)]
struct VersionedRequest<'a> {
    #[serde(default)]
    temperature: Option<IgnoredAny>,
    #[serde(default)]
    top_p: Option<IgnoredAny>,
    #[serde(default)]
    top_k: Option<IgnoredAny>,
    #[serde(borrow, default)]
    messages: Vec<VersionedMessage<'a>>,
}

#[derive(Deserialize)]
struct VersionedMessage<'a> {
    #[serde(borrow, default)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: VersionedContent<'a>,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum VersionedContent<'a> {
    #[serde(borrow)]
    Blocks(Vec<VersionedBlock<'a>>),
    Other(IgnoredAny),
    #[default]
    Missing,
}

#[derive(Deserialize)]
struct VersionedBlock<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    citations: VersionedCitations,
    #[serde(borrow, default)]
    content: VersionedContent<'a>,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum VersionedCitations {
    List(Vec<IgnoredAny>),
    Settings(IgnoredAny),
    #[default]
    Missing,
}

impl VersionedContent<'_> {
    fn blocks(&self) -> &[VersionedBlock<'_>] {
        match self {
            Self::Blocks(blocks) => blocks,
            Self::Other(_) | Self::Missing => &[],
        }
    }
}

/// Whether a block, or one in it, is a text with citations.
fn is_cited(block: &VersionedBlock<'_>) -> bool {
    let has_list = match &block.citations {
        VersionedCitations::List(citations) => !citations.is_empty(),
        VersionedCitations::Settings(_) | VersionedCitations::Missing => false,
    };
    has_list || block.content.blocks().iter().any(is_cited)
}

fn check_sampling(request: &VersionedRequest<'_>) -> Result<()> {
    let members = [
        ("temperature", request.temperature.is_some()),
        ("top_p", request.top_p.is_some()),
        ("top_k", request.top_k.is_some()),
    ];
    let refused = members.into_iter().find(|(_, is_set)| *is_set);
    refused.map_or(Ok(()), |(name, _)| {
        let message = format!("{name} is not supported from anthropic-version 2026-10-21 on");
        Err(GatewayError::invalid(name, message))
    })
}

fn check_assistant_documents(request: &VersionedRequest<'_>) -> Result<()> {
    refuse_block(request, "assistant", |block| block.kind == "document", "a document block")
}

fn check_user_citations(request: &VersionedRequest<'_>) -> Result<()> {
    refuse_block(request, "user", is_cited, "a text block with citations")
}

/// Refuses a request in which a message of `role` has a block that is refused there.
fn refuse_block(
    request: &VersionedRequest<'_>,
    role: &str,
    is_refused: fn(&VersionedBlock<'_>) -> bool,
    what: &str,
) -> Result<()> {
    for (at, message) in request.messages.iter().enumerate().filter(|(_, it)| it.role == role) {
        if let Some(block) = message.content.blocks().iter().position(is_refused) {
            let message = format!(
                "messages.{at}.content.{block}: {what} is not supported in a message of the {role} \
                 from anthropic-version 2026-10-21 on"
            );
            return Err(GatewayError::invalid("messages", message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "2026-10-21";

    /// What a version says of a request with these members.
    #[track_caller]
    fn check_members(version: &str, members: &str, refused: Option<&str>) {
        let result = check(version, format!("{{\"model\":\"m\",{members}}}").as_bytes());
        let error = result.err().map(|it| it.message().to_owned());
        match (&error, refused) {
            (Some(error), Some(part)) => assert!(error.contains(part), "{error}"),
            (error, refused) => assert_eq!(error.as_deref(), refused, "{version} {members}"),
        }
    }

    #[test]
    fn sampling_ends_with_the_version_of_october_2026() {
        for name in ["temperature", "top_p", "top_k"] {
            let member = format!("\"{name}\":1");
            check_members("2023-06-01", &member, None);
            check_members(NEW, &member, Some(name));
            check_members("2027-03-01", &member, Some(name));
            check_members("yesterday", &member, None);
        }
        check_members(NEW, "\"temperature\":null", None);
    }

    #[test]
    fn documents_of_the_assistant_are_refused() {
        let of = |role: &str, block: &str| {
            format!("\"messages\":[{{\"role\":\"{role}\",\"content\":[{block}]}}]")
        };
        let document = r#"{"type":"document","source":{"type":"text","data":"x"}}"#;
        let result =
            format!(r#"{{"type":"tool_result","tool_use_id":"t","content":[{document}]}}"#);
        check_members(NEW, &of("assistant", document), Some("messages.0.content.0: a document"));
        check_members(NEW, &of("user", document), None);
        check_members(NEW, &of("user", &result), None);
        check_members("2023-06-01", &of("assistant", document), None);
    }

    #[test]
    fn citations_of_the_user_are_refused() {
        let of = |role: &str, block: &str| {
            format!("\"messages\":[{{\"role\":\"{role}\",\"content\":[{block}]}}]")
        };
        let text = r#"{"type":"text","text":"x","citations":[{"type":"char_location"}]}"#;
        let found = format!(r#"{{"type":"search_result","content":[{text}]}}"#);
        let enabled = r#"{"type":"document","citations":{"enabled":true}}"#;
        let empty = r#"{"type":"text","text":"x","citations":[]}"#;
        check_members(NEW, &of("user", text), Some("a text block with citations"));
        check_members(NEW, &of("user", &found), Some("messages.0.content.0"));
        check_members(NEW, &of("assistant", text), None);
        check_members(NEW, &of("user", enabled), None);
        check_members(NEW, &of("user", empty), None);
    }
}
