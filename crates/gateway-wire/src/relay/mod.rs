//! Relayed requests: the endpoints whose requests and replies pass as they are, and what is read of
//! them all the same: the model of the request, and the usage of the reply.
//!
//! An endpoint is a row of [`RELAY_ENDPOINTS`]; no other code knows any of them.

mod endpoint;
mod read_request;
mod reply_usage;
mod usage;

pub use self::{
    endpoint::{RELAY_ENDPOINTS, RelayBodyKind, RelayEndpoint, RequestUnit},
    read_request::{RelayEnvelope, read_json},
    reply_usage::ReplyUsageReader,
};

use gateway_core::{ModelPlace, RelayBody};

use crate::splice::{insert_member, literal, splice};
use bytes::Bytes;

/// Returns the pieces of `body` as they are sent, with the name `model` in the place of its model.
pub fn with_model(body: &RelayBody, model: &str) -> Vec<Bytes> {
    match &body.model {
        ModelPlace::Absent => vec![body.bytes.clone()],
        ModelPlace::Json(span) => splice(&body.bytes, vec![(span.clone(), literal(model))]),
        ModelPlace::JsonMember => {
            let named = insert_member(&body.bytes, "model", model);
            vec![named.unwrap_or_else(|| body.bytes.clone())]
        }
    }
}
