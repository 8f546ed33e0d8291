//! Responses of upstreams, whole or in chunks, as much of them as we understand.

use super::{decode_request_messages::GoogleExtraContentWire, usage};
use crate::{
    json::lenient::{LenientValue, LossyText},
    token_count::LenientCount,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A response, or a chunk of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatResponseWire<'a> {
    #[serde(borrow)]
    pub(super) id: LenientValue<LossyText<'a>>,
    #[serde(borrow)]
    pub(super) model: LenientValue<LossyText<'a>>,
    pub(super) created: LenientValue<LenientCount>,
    #[serde(borrow)]
    pub(super) choices: Option<Vec<ChatChoiceWire<'a>>>,
    pub(super) usage: LenientValue<usage::ChatUsageWire>,
    #[serde(borrow)]
    pub(super) service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) system_fingerprint: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatChoiceWire<'a> {
    pub(super) index: Option<LenientCount>,
    #[serde(borrow)]
    pub(super) delta: Option<ChatDeltaWire<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<ChatDeltaWire<'a>>,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<LossyText<'a>>,
}

/// A message, or an addition to one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatDeltaWire<'a> {
    #[serde(borrow)]
    pub(super) content: Option<LossyText<'a>>,
    #[serde(borrow)]
    pub(super) refusal: Option<LossyText<'a>>,
    #[serde(borrow)]
    pub(super) reasoning_content: Option<LossyText<'a>>,
    #[serde(borrow)]
    pub(super) reasoning: LenientValue<LossyText<'a>>,
    #[serde(borrow)]
    pub(super) reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) annotations: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<ChatCallDeltaWire<'a>>>,
    #[serde(borrow)]
    pub(super) function_call: Option<ChatFunctionDeltaWire<'a>>,
    #[serde(borrow)]
    pub(super) audio: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) images: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatCallDeltaWire<'a> {
    pub(super) index: Option<LenientCount>,
    #[serde(borrow)]
    pub(super) id: Option<LossyText<'a>>,
    #[serde(borrow)]
    pub(super) function: Option<ChatFunctionDeltaWire<'a>>,
    #[serde(borrow)]
    pub(super) custom: Option<ChatCustomDeltaWire<'a>>,
    pub(super) extra_content: LenientValue<GoogleExtraContentWire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatFunctionDeltaWire<'a> {
    #[serde(borrow)]
    pub(super) name: Option<LossyText<'a>>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatCustomDeltaWire<'a> {
    #[serde(borrow)]
    pub(super) name: Option<LossyText<'a>>,
    #[serde(borrow)]
    pub(super) input: Option<LossyText<'a>>,
}

impl<'a> ChatFunctionDeltaWire<'a> {
    /// The arguments: a string that holds JSON, or, from some upstreams, the JSON itself.
    pub(super) fn spelled(&self) -> LossyText<'a> {
        let Some(raw) = self.arguments else { return LossyText::default() };
        serde_json::from_str(raw.get()).unwrap_or_else(|_| LossyText(raw.get().into()))
    }
}
