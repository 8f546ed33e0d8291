//! The body of a request to a conversation.

use crate::responses::items;
use gateway_core::{GatewayError, Json, Result};
use gateway_wire::{IdGenerator, json as wire};
use serde::Deserialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Items that can be added at once.
const MAX_ITEMS: usize = 20;
/// The limits of metadata: pairs, and the lengths of a name and of a value.
const METADATA: (usize, usize, usize) = (16, 64, 512);

/// The parsed body of a request to a conversation.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ConversationCommand {
    items: Option<Json>,
    metadata: Option<Json>,
}

impl ConversationCommand {
    /// Reads a body; an absent one wishes for nothing.
    pub fn read(body: &[u8], depth: usize) -> Result<Self> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        wire::validate(body, &wire::JsonLimits { depth })?;
        serde_json::from_slice(body).map_err(|error| {
            GatewayError::invalid("body", "the body is not a JSON object").with_source(error)
        })
    }

    /// The items, each with a type and an id.
    pub(super) fn items(&self) -> Result<Vec<Json>> {
        let Some(items) = self.items.as_ref().filter(|items| items.get() != "null") else {
            return Ok(Vec::new());
        };
        let wrong = |what: &'static str| GatewayError::invalid("items", what);
        let list: Vec<Json> = items.read().map_err(|_| wrong("items is a list"))?;
        if list.len() > MAX_ITEMS {
            return Err(wrong("at most 20 items can be added at once"));
        }
        if list.iter().any(|item| !item.get().starts_with('{')) {
            return Err(wrong("an item is an object"));
        }
        Ok(items::of_input(items, &mut IdGenerator::new(Uuid::new_v4().as_u128())))
    }

    pub(super) fn metadata(&self) -> Result<Option<Json>> {
        let Some(metadata) = self.metadata.as_ref().filter(|it| it.get() != "null") else {
            return Ok(None);
        };
        let wrong = || {
            let message = "metadata is at most 16 pairs of text: names of up to 64 letters, values of up to 512";
            GatewayError::invalid("metadata", message)
        };
        let pairs: BTreeMap<String, String> = metadata.read().map_err(|_| wrong())?;
        let (most, name, value) = METADATA;
        let fits = |(key, text): (&String, &String)| {
            key.chars().count() <= name && text.chars().count() <= value
        };
        if pairs.len() > most || !pairs.iter().all(fits) {
            return Err(wrong());
        }
        Ok(Some(Json::of(&pairs)))
    }
}
