//! The request features that each outbound dialect supports, found by probing its encoder.
//!
//! A table written by hand would be true once. This one is made by encoding a request with each
//! [`RequestFeature`], and one without: so the documentation shows what the code does, and the
//! tests hold translations to it.

mod features;
mod probes;

pub use self::features::{FEATURES, FeatureGroup, RequestFeature};

use crate::{
    OutboundDialect,
    chat::{ChatOutbound, Quirks},
    gemini::GeminiOutbound,
    messages::MessagesOutbound,
    ollama::OllamaOutbound,
    report_translation_losses,
    responses::ResponsesOutbound,
    without_unsupported_tools,
};
use gateway_core::{ChatRequest, DroppedParams, Payload, ProviderRequest, Result};
use std::{fmt::Write as _, sync::Arc};

/// The outcome of translating a feature to a dialect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FeatureSupport {
    /// The feature reaches the upstream.
    Carried,
    /// The feature is dropped and reported to the caller.
    Dropped,
    /// It is left unsaid: there it would mean nothing.
    Unsaid,
    /// The request is refused: without it, it would mean something else.
    Refused,
}

/// A dialect as an upstream speaks it.
pub struct DialectColumn {
    /// The name of the column in the table.
    pub name: &'static str,
    /// The encoder of the dialect.
    pub upstream: Box<dyn OutboundDialect>,
}

/// The dialects that upstreams speak, in the order of the documentation.
pub fn columns() -> Vec<DialectColumn> {
    let column = |name, upstream| DialectColumn { name, upstream };
    let chat = |quirks| Box::new(ChatOutbound { quirks });
    vec![
        column("chat", chat(Quirks::OPENAI)),
        column("chat, compatible", chat(Quirks::COMPATIBLE)),
        column("responses", Box::new(ResponsesOutbound)),
        column("messages", Box::new(MessagesOutbound)),
        column("gemini", Box::new(GeminiOutbound)),
        column("ollama", Box::<OllamaOutbound>::default()),
    ]
}

/// A request that every dialect can say.
pub fn plain() -> ChatRequest {
    let mut request = ChatRequest::user("m", "hello");
    // Without it, one dialect needs to make it up.
    request.options.max_tokens = Some(4096);
    request
}

/// Encodes `request` for `upstream`. Returns the body and the dropped parameters.
///
/// # Errors
///
/// As [`OutboundDialect::encode`].
pub fn encode(
    upstream: &dyn OutboundDialect,
    request: ChatRequest,
) -> Result<(Vec<u8>, DroppedParams)> {
    let mut dropped = DroppedParams::default();
    let rest = without_unsupported_tools(&request, upstream.dialect(), &mut dropped)?;
    report_translation_losses(rest.as_ref().unwrap_or(&request), upstream.dialect(), &mut dropped)?;
    let mut call = ProviderRequest::new(request);
    if let Some(rest) = rest {
        call.payload = Payload::Parsed(Arc::new(rest));
    }
    let encoded = upstream.encode(&call)?;
    let body = encoded.to_vec();
    dropped.extend(encoded.dropped);
    Ok((body, dropped))
}

impl RequestFeature {
    /// Probes `upstream` for its support of the feature.
    pub fn support(&self, upstream: &dyn OutboundDialect) -> FeatureSupport {
        let asked = |say: fn(&mut ChatRequest)| {
            let mut request = plain();
            say(&mut request);
            encode(upstream, request)
        };
        match asked(self.add) {
            Err(_) => FeatureSupport::Refused,
            Ok((_, dropped)) if !dropped.is_empty() => FeatureSupport::Dropped,
            Ok((with, _)) if asked(self.bare).is_ok_and(|(without, _)| with == without) => {
                FeatureSupport::Unsaid
            }
            Ok(_) => FeatureSupport::Carried,
        }
    }
}

/// The table, as Markdown.
pub fn table() -> String {
    let columns = columns();
    let mut out = String::new();
    for group in FeatureGroup::ALL {
        let names: Vec<_> = columns.iter().map(|column| format!(" {} |", column.name)).collect();
        let _ = writeln!(out, "| {} |{}", group.title(), names.concat());
        let _ = writeln!(out, "|---|{}", "---|".repeat(columns.len()));
        for feature in FEATURES.iter().filter(|feature| feature.group == group) {
            let cells =
                columns.iter().map(|it| format!(" {} |", feature.support(&*it.upstream).word()));
            let _ = writeln!(out, "| {} |{}", feature.name, cells.collect::<String>());
        }
        out.push('\n');
    }
    out
}

impl FeatureSupport {
    const fn word(self) -> &'static str {
        match self {
            Self::Carried => "yes",
            Self::Dropped => "dropped",
            Self::Unsaid => "-",
            Self::Refused => "refused",
        }
    }
}

impl std::fmt::Debug for DialectColumn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Column").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_request_encodes_in_every_dialect() {
        for column in columns() {
            let (_, dropped) = encode(&*column.upstream, plain()).unwrap();
            assert!(dropped.is_empty(), "{}", column.name);
        }
    }

    #[track_caller]
    fn check(feature: &str, expected: [FeatureSupport; 6]) {
        let feature = FEATURES.iter().find(|it| it.name == feature).unwrap();
        let fates: Vec<_> = columns().iter().map(|it| feature.support(&*it.upstream)).collect();
        assert_eq!(fates, expected);
    }

    #[test]
    fn support_levels_are_distinguished() {
        use FeatureSupport::{Carried as C, Dropped as D, Refused as R};
        check("instructions", [C; 6]);
        check("`seed`", [C, C, D, D, C, C]);
        check("`n`", [C, C, R, R, C, D]);
        check("function `strict`", [C, C, C, C, D, D]);
    }

    #[test]
    fn feature_names_are_unique() {
        let mut names: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FEATURES.len());
    }

    #[test]
    fn probes_match_only_their_feature() {
        for feature in FEATURES {
            let mut request = plain();
            assert!(!(feature.seen)(&request), "{}", feature.name);
            (feature.add)(&mut request);
            assert!((feature.seen)(&request), "{}", feature.name);
        }
    }
}
