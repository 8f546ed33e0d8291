//! How many tokens an input is, by estimate.

use super::{chain, plan::continued, record::Members};
use crate::{App, auth::Client, reply};
use gateway_core::{
    ChatRequest, Content, ErrorKind, GatewayError, Json, Message, Part, Result, plain_text,
    state::Tenant,
};
use gateway_wire::responses::{self, StateFields};
use http::{Response, StatusCode};
use std::sync::Arc;

/// Bytes of text that make a token, on the average of what models read.
const BYTES_PER_TOKEN: u64 = 4;
/// What a message costs beside its content.
const PER_MESSAGE: u64 = 4;
/// What a picture or a document costs, as no one can tell who does not look at it.
const PER_MEDIUM: u64 = 800;

/// `POST /v1/responses/input_tokens`: what a request with this body would cost to read.
pub(crate) async fn input_tokens(
    app: &Arc<App>,
    client: &Client,
    body: &[u8],
) -> Result<Response<reply::Body>> {
    let mut members: Members = serde_json::from_slice(body).map_err(|error| {
        GatewayError::invalid("body", "the body is not a JSON object").because(error)
    })?;
    // Which model reads it makes no difference to an estimate.
    members.entry("model".to_owned()).or_insert_with(|| Json::of(&"any"));
    let mut earlier = Vec::new();
    if let Some(previous) = StateFields::read(body)?.previous_response_id {
        let tenant = Tenant::new(Arc::clone(&client.tenant)).ok_or_else(|| {
            GatewayError::new(ErrorKind::Internal, "a request that belongs to nobody")
        })?;
        earlier = chain::resolve(app, &tenant, &previous, None).await?.unwrap_or_default();
    }
    let request = continued(members, earlier)?;
    Ok(reply::written(StatusCode::OK, responses::input_tokens(estimate(&request))))
}

fn estimate(request: &ChatRequest) -> u64 {
    let tools = request.tools.iter().map(|tool| text(&format!("{tool:?}"))).sum::<u64>();
    request.messages.iter().map(message).sum::<u64>() + tools
}

fn message(message: &Message) -> u64 {
    PER_MESSAGE + message.parts.iter().map(part).sum::<u64>()
}

fn part(part: &Part) -> u64 {
    match &part.content {
        Content::Text(it) | Content::Refusal(it) => text(it),
        Content::Reasoning(it) => text(&it.text),
        Content::ToolCall(call) => text(&call.name) + text(&call.arguments),
        Content::ToolResult(result) => text(&plain_text(&result.parts)),
        Content::Image(_) | Content::Audio(_) | Content::File(_) => PER_MEDIUM,
        Content::Opaque(opaque) => text(opaque.json.get()),
    }
}

fn text(text: &str) -> u64 {
    (text.len() as u64).div_ceil(BYTES_PER_TOKEN)
}
