//! What each dialect carries of a request, found by asking it.
//!
//! A table written by hand would be true once. This one is made by encoding a request with each
//! [`Feature`], and one without: so the documentation shows what the code does, and the tests hold
//! translations to it.

mod features;
mod probes;

pub use self::features::{FEATURES, Feature, Group};

use crate::{
    Upstream,
    chat::{ChatUpstream, Quirks},
    gemini::GeminiUpstream,
    messages::MessagesUpstream,
    ollama::OllamaUpstream,
    responses::ResponsesUpstream,
    without_foreign_tools,
};
use gateway_core::{ChatRequest, DroppedParams, Payload, ProviderRequest, Result};
use std::{fmt::Write as _, sync::Arc};

/// What becomes of something in a translation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It is said.
    Carried,
    /// It is left behind, and the caller told.
    Dropped,
    /// It is left unsaid: there it would mean nothing.
    Unsaid,
    /// The request is refused: without it, it would mean something else.
    Refused,
}

/// A dialect as an upstream speaks it.
pub struct Column {
    /// How it is called in the table.
    pub name: &'static str,
    /// It.
    pub upstream: Box<dyn Upstream>,
}

/// The dialects that upstreams speak, in the order of the documentation.
pub fn columns() -> Vec<Column> {
    let column = |name, upstream| Column { name, upstream };
    let chat = |quirks| Box::new(ChatUpstream { quirks });
    vec![
        column("chat", chat(Quirks::OPENAI)),
        column("chat, compatible", chat(Quirks::COMPATIBLE)),
        column("responses", Box::new(ResponsesUpstream)),
        column("messages", Box::new(MessagesUpstream)),
        column("gemini", Box::new(GeminiUpstream)),
        column("ollama", Box::<OllamaUpstream>::default()),
    ]
}

/// A request that every dialect can say.
pub fn plain() -> ChatRequest {
    let mut request = ChatRequest::user("m", "hello");
    // Without it, one dialect needs to make it up.
    request.options.max_tokens = Some(4096);
    request
}

/// What `upstream` is sent for `request`, and what is told as left behind.
///
/// # Errors
///
/// As [`Upstream::encode`].
pub fn encode(upstream: &dyn Upstream, request: ChatRequest) -> Result<(Vec<u8>, DroppedParams)> {
    let mut dropped = DroppedParams::default();
    let rest = without_foreign_tools(&request, upstream.dialect(), &mut dropped)?;
    let mut call = ProviderRequest::new(request);
    if let Some(rest) = rest {
        call.payload = Payload::Parsed(Arc::new(rest));
    }
    let encoded = upstream.encode(&call)?;
    let body = encoded.to_vec();
    dropped.extend(encoded.dropped);
    Ok((body, dropped))
}

impl Feature {
    /// What becomes of it at `upstream`.
    pub fn fate(&self, upstream: &dyn Upstream) -> Fate {
        let asked = |say: fn(&mut ChatRequest)| {
            let mut request = plain();
            say(&mut request);
            encode(upstream, request)
        };
        match asked(self.add) {
            Err(_) => Fate::Refused,
            Ok((_, dropped)) if !dropped.is_empty() => Fate::Dropped,
            Ok((with, _)) if asked(self.bare).is_ok_and(|(without, _)| with == without) => {
                Fate::Unsaid
            }
            Ok(_) => Fate::Carried,
        }
    }
}

/// The table, as Markdown.
pub fn table() -> String {
    let columns = columns();
    let mut out = String::new();
    for group in Group::ALL {
        let names: Vec<_> = columns.iter().map(|column| format!(" {} |", column.name)).collect();
        let _ = writeln!(out, "| {} |{}", group.title(), names.concat());
        let _ = writeln!(out, "|---|{}", "---|".repeat(columns.len()));
        for feature in FEATURES.iter().filter(|feature| feature.group == group) {
            let cells =
                columns.iter().map(|it| format!(" {} |", feature.fate(&*it.upstream).word()));
            let _ = writeln!(out, "| {} |{}", feature.name, cells.collect::<String>());
        }
        out.push('\n');
    }
    out
}

impl Fate {
    const fn word(self) -> &'static str {
        match self {
            Self::Carried => "yes",
            Self::Dropped => "dropped",
            Self::Unsaid => "-",
            Self::Refused => "refused",
        }
    }
}

impl std::fmt::Debug for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Column").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_request_can_be_said_everywhere() {
        for column in columns() {
            let (_, dropped) = encode(&*column.upstream, plain()).unwrap();
            assert!(dropped.is_empty(), "{}", column.name);
        }
    }

    #[track_caller]
    fn check(feature: &str, expected: [Fate; 6]) {
        let feature = FEATURES.iter().find(|it| it.name == feature).unwrap();
        let fates: Vec<_> = columns().iter().map(|it| feature.fate(&*it.upstream)).collect();
        assert_eq!(fates, expected);
    }

    #[test]
    fn fates_are_told_apart() {
        use Fate::{Carried as C, Dropped as D, Refused as R, Unsaid as U};
        check("instructions", [C; 6]);
        check("`seed`", [C, C, D, D, C, C]);
        check("`n`", [C, C, R, R, C, D]);
        check("a function's `strict`", [C, C, C, C, U, U]);
    }

    #[test]
    fn features_have_names_of_their_own() {
        let mut names: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FEATURES.len());
    }

    #[test]
    fn a_feature_is_seen_where_it_is_and_only_there() {
        for feature in FEATURES {
            let mut request = plain();
            assert!(!(feature.seen)(&request), "{}", feature.name);
            (feature.add)(&mut request);
            assert!((feature.seen)(&request), "{}", feature.name);
        }
    }
}
