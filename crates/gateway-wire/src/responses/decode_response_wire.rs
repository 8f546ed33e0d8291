//! The response object of an upstream: what is read of it.

use crate::{responses::usage::ResponsesUsageWire, token_count::ServedTier};
use gateway_core::{Extra, Json, Usage};
use serde::Deserialize;
use serde_json::{Number, value::RawValue};
use std::borrow::Cow;

/// A response object: what is read of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResponsesObjectWire<'a> {
    pub(super) id: Option<String>,
    pub(super) object: Option<String>,
    pub(super) model: Option<String>,
    pub(super) created_at: Option<Number>,
    pub(super) status: Option<String>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    pub(super) incomplete_details: Option<IncompleteInWire>,
    #[serde(borrow)]
    pub(super) output: Option<Vec<&'a RawValue>>,
    usage: Option<ResponsesUsageWire>,
    service_tier: Option<Json>,
}

/// The reason for an incomplete response.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct IncompleteInWire {
    pub(super) reason: Option<String>,
}

impl ResponsesObjectWire<'_> {
    /// The creation time, in seconds since 1970.
    pub(super) fn created(&self) -> Option<u64> {
        let written = self.created_at.as_ref()?.to_string();
        written.split('.').next()?.parse().ok()
    }

    /// Returns whether the model waits for the results of its calls.
    pub(super) fn has_calls(&self) -> bool {
        let items = self.output.iter().flatten();
        items.filter_map(|item| kind_of(item)).any(|kind| is_call(&kind))
    }

    /// The usage, at the price of the tier that served the response.
    pub(super) fn counts(&self) -> Option<Usage> {
        let tier = self.service_tier.as_ref().and_then(|it| ServedTier::read(it.get()).0);
        self.usage.map(|usage| Usage { tier, ..Usage::from(usage) })
    }

    /// Takes out the members that are not modelled.
    pub(super) fn extra(&mut self) -> Extra {
        let mut extra = Extra::default();
        if let Some(tier) = self.service_tier.take() {
            extra.push("service_tier", tier);
        }
        extra
    }
}

/// Returns whether an item of this kind asks for a tool that the caller runs.
pub(super) fn is_call(kind: &str) -> bool {
    matches!(kind, "function_call" | "custom_tool_call")
}

/// The `type` of an item.
pub(super) fn kind_of(item: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    serde_json::from_str::<Kind<'_>>(item.get()).ok().map(|it| it.kind)
}
