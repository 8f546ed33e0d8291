//! `OpenRouter`'s `reasoning_details`: reasoning seals that want to come back as they were.

use super::decode_request_reasoning;
use gateway_core::{Dialect, Seal, SealKind};
use serde::{Deserialize, Serialize};
use serde_json::{Number, value::RawValue};

/// The details of one response. A stream sends them in fragments.
#[derive(Debug, Default)]
pub(super) struct ReasoningDetails {
    whole: Option<Seal>,
    fragments: Vec<ReasoningDetailWire>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct ReasoningDetailWire {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<Number>,
}

impl ReasoningDetails {
    /// Takes in a list of details.
    pub(super) fn push(&mut self, raw: &RawValue, whole: bool) {
        if whole {
            self.whole = (raw.get() != "[]").then(|| decode_request_reasoning::details(raw));
            return;
        }
        let details: Vec<ReasoningDetailWire> = serde_json::from_str(raw.get()).unwrap_or_default();
        for detail in details {
            self.fragment(detail);
        }
    }

    /// Fragments of one detail share its type and number.
    fn fragment(&mut self, detail: ReasoningDetailWire) {
        let continues = |last: &&mut ReasoningDetailWire| {
            detail.index.is_some() && last.index == detail.index && last.r#type == detail.r#type
        };
        let Some(last) = self.fragments.last_mut().filter(continues) else {
            self.fragments.push(detail);
            return;
        };
        for (place, more) in [
            (&mut last.text, detail.text),
            (&mut last.summary, detail.summary),
            (&mut last.data, detail.data),
        ] {
            if let Some(more) = more {
                place.get_or_insert_default().push_str(&more);
            }
        }
        last.signature = detail.signature.or(last.signature.take());
        last.id = detail.id.or(last.id.take());
        last.format = detail.format.or(last.format.take());
    }

    /// Takes all details out as one seal; later calls return `None`.
    pub(super) fn seal(&mut self) -> Option<Seal> {
        let fragments = std::mem::take(&mut self.fragments);
        let joined = (!fragments.is_empty()).then(|| serde_json::to_string(&fragments).ok());
        let joined = joined.flatten().map(|data| Seal {
            dialect: Dialect::Chat,
            kind: SealKind::Details,
            id: None,
            data,
        });
        self.whole.take().or(joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], expected: Option<&str>) {
        let mut details = ReasoningDetails::default();
        for piece in pieces {
            details.push(serde_json::from_str(piece).unwrap(), false);
        }
        assert_eq!(details.seal().map(|seal| seal.data).as_deref(), expected);
    }

    #[test]
    fn fragments_are_joined() {
        check(
            &[
                r#"[{"type":"reasoning.text","text":"a","index":0}]"#,
                r#"[{"type":"reasoning.text","text":"b","index":0}]"#,
                r#"[{"type":"reasoning.text","signature":"s","index":0}]"#,
                r#"[{"type":"reasoning.encrypted","data":"d","index":0}]"#,
            ],
            Some(
                r#"[{"type":"reasoning.text","text":"ab","signature":"s","index":0},{"type":"reasoning.encrypted","data":"d","index":0}]"#,
            ),
        );
    }

    #[test]
    fn empty_fragments_yield_no_seal() {
        check(&["[]"], None);
        check(&[], None);
    }
}
