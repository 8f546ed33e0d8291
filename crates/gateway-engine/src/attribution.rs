//! The attribution of a request: the tags of its key, its headers and its metadata, and its user.

use crate::RequestHead;
use gateway_core::{Envelope, GatewayError, InvalidAttribution, Result};
use serde::{Deserialize, de::DeserializeOwned};
use std::{ops::Range, sync::Arc};

/// The longest member of a body that is read, in bytes: room for all tags.
const MAX_MEMBER: usize = 32 << 10;

/// The members of a body's metadata that attribute a request. Those of another form are not meant
/// for the gateway.
#[derive(Deserialize)]
struct AttributingMetadata {
    #[serde(default)]
    tags: Option<MetadataTags>,
    /// The end user, as Anthropic's API names it.
    #[serde(default)]
    user_id: Option<String>,
}

/// The tags in metadata: some APIs take only texts there.
#[derive(Deserialize)]
#[serde(untagged)]
enum MetadataTags {
    Text(String),
    List(Vec<String>),
}

impl RequestHead {
    /// Adds the tags and the user that a body names to those of the key and the headers. A user in
    /// a header comes first.
    ///
    /// # Errors
    ///
    /// If a tag is too long or has control characters, or there are too many.
    pub(crate) fn attribute(&mut self, envelope: &Envelope, body: &[u8]) -> Result<()> {
        if envelope.metadata.is_none() && envelope.user.is_none() {
            return Ok(());
        }
        let mut attribution = self.attribution.as_deref().cloned().unwrap_or_default();
        let metadata: Option<AttributingMetadata> = member(body, envelope.metadata.as_ref());
        let (tags, user_id) = metadata.map_or((None, None), |it| (it.tags, it.user_id));
        let added = match tags {
            Some(MetadataTags::Text(text)) => attribution.add_tags(&text),
            Some(MetadataTags::List(tags)) => {
                tags.iter().try_for_each(|tag| attribution.add_tag(tag))
            }
            None => Ok(()),
        };
        added.map_err(|error| invalid("metadata.tags", error))?;
        let user = member::<String>(body, envelope.user.as_ref()).or(user_id);
        if let (None, Some(user)) = (attribution.user(), user) {
            // The member is the provider's, and so are its bounds: what is too long is not booked.
            let _ = attribution.set_user(&user);
        }
        self.attribution = (!attribution.is_empty()).then(|| Arc::new(attribution));
        Ok(())
    }
}

/// The value at `span` of a body, if it has the form of `T`. A long one is not read: it cannot be
/// booked, and reading it would take memory that nothing has charged.
fn member<T: DeserializeOwned>(body: &[u8], span: Option<&Range<usize>>) -> Option<T> {
    let value = body.get(span?.clone()).filter(|value| value.len() <= MAX_MEMBER)?;
    serde_json::from_slice(value).ok()
}

fn invalid(param: &'static str, error: InvalidAttribution) -> GatewayError {
    GatewayError::invalid(param, error.to_string())
}
