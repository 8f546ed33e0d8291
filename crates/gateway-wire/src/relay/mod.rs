//! Relayed requests: the endpoints whose requests and replies pass as they are, and what is read of
//! them all the same: the model of the request, and the usage of the reply.
//!
//! An endpoint is a row of [`RELAY_ENDPOINTS`]; no other code knows any of them.

mod endpoint;
mod multipart;
mod read_form;
mod read_request;
mod reply_usage;
mod usage;

pub use self::{
    endpoint::{RELAY_ENDPOINTS, RelayBodyKind, RelayEndpoint, RequestUnit},
    multipart::{FormRewriter, form_boundary},
    read_form::FormReader,
    read_request::{RelayEnvelope, read_any_json, read_json},
    reply_usage::ReplyUsageReader,
};

use gateway_core::{GatewayError, ModelPlace, RelayBody, Result};

use crate::splice::{insert_member, literal, splice};
use bytes::Bytes;

/// Returns the pieces of `body` as they are sent, with the name `model` in the place of its model.
///
/// # Errors
///
/// If the body is a form that cannot be read.
pub fn with_model(body: &RelayBody, model: &str) -> Result<Vec<Bytes>> {
    Ok(match &body.model {
        ModelPlace::Absent => vec![body.bytes.clone()],
        ModelPlace::Json(span) => splice(&body.bytes, vec![(span.clone(), literal(model))]),
        ModelPlace::JsonMember => {
            let named = insert_member(&body.bytes, "model", model);
            vec![named.unwrap_or_else(|| body.bytes.clone())]
        }
        ModelPlace::Form(boundary) => {
            let mut rewriter = FormRewriter::new(boundary, model);
            let pieces = rewriter.push(&body.bytes)?;
            rewriter.finish()?;
            pieces
        }
    })
}

/// The error of a request that names no model.
fn missing_model() -> GatewayError {
    wrong_model("model is required")
}

fn wrong_model(message: &'static str) -> GatewayError {
    GatewayError::invalid("model", message).with_code("invalid_parameter")
}

/// More images than any request may ask for: what claims more is not believed.
const MAX_IMAGES: u64 = 100;
