//! The response object of an upstream: what is read of it.

use crate::responses::usage::WireUsage;
use gateway_core::{Extra, Finish, FinishReason, Json};
use serde::Deserialize;
use serde_json::{Number, value::RawValue};
use std::borrow::Cow;

/// A response object: what is read of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireResponse<'a> {
    pub(super) id: Option<String>,
    pub(super) object: Option<String>,
    pub(super) model: Option<String>,
    pub(super) created_at: Option<Number>,
    pub(super) status: Option<String>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    incomplete_details: Option<Incomplete>,
    #[serde(borrow)]
    pub(super) output: Option<Vec<&'a RawValue>>,
    pub(super) usage: Option<WireUsage>,
    service_tier: Option<Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Incomplete {
    reason: Option<String>,
}

impl WireResponse<'_> {
    /// When it began, in seconds since 1970.
    pub(super) fn created(&self) -> Option<u64> {
        let written = self.created_at.as_ref()?.to_string();
        written.split('.').next()?.parse().ok()
    }

    /// How it ended. What is not complete was not finished because of its calls.
    pub(super) fn finish(&self, has_calls: bool) -> Finish {
        let status = self.status.as_deref().unwrap_or("completed");
        let why = self.incomplete_details.as_ref().and_then(|why| why.reason.clone());
        let calmly = if has_calls { FinishReason::ToolCalls } else { FinishReason::Stop };
        let (reason, native) = match (status, why) {
            ("completed", _) => (calmly, None),
            ("incomplete", Some(why)) if why == "content_filter" => {
                (FinishReason::ContentFilter, Some(why))
            }
            ("incomplete", why) => (FinishReason::Length, why),
            (other, _) => (calmly, Some(other.to_owned())),
        };
        Finish { reason, native, stop_sequence: None }
    }

    /// Whether the model waits for the results of its calls.
    pub(super) fn has_calls(&self) -> bool {
        let items = self.output.iter().flatten();
        items.filter_map(|item| kind_of(item)).any(|kind| is_call(&kind))
    }

    /// What else it tells.
    pub(super) fn extra(&mut self) -> Extra {
        let mut extra = Extra::default();
        if let Some(tier) = self.service_tier.take() {
            extra.push("service_tier", tier);
        }
        extra
    }
}

/// Whether an item of this kind asks for a tool that the caller runs.
pub(super) fn is_call(kind: &str) -> bool {
    matches!(kind, "function_call" | "custom_tool_call")
}

/// What kind of item this is.
pub(super) fn kind_of(item: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    serde_json::from_str::<Kind<'_>>(item.get()).ok().map(|it| it.kind)
}
