//! Requests for input by servers without sessions, for clients with one: the client gets each as a
//! request of its own, and the server gets the replies with the request repeated.

use super::connection::{Connection, McpQuestion};
use gateway_core::{
    Json, JsonObject, McpClientRequests, McpRelay, McpReply, ToolContext, ToolError,
};
use serde::Deserialize;
use std::sync::Arc;

/// The most times that a server may ask for input during one request; then its client gets the
/// result as it is.
const MAX_ROUNDS: usize = 8;

/// A result that asks for input.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InputRequired {
    result_type: String,
    #[serde(default)]
    input_requests: JsonObject,
    #[serde(default)]
    request_state: Option<Json>,
}

#[derive(Deserialize)]
struct InputRequest {
    method: String,
    #[serde(default)]
    params: Option<Json>,
}

impl Connection {
    /// Asks, and returns the result or the error as the server wrote it. Input that a server asks
    /// for comes from the client of the request, if it has a session.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub(super) async fn relay(
        &self,
        question: &McpQuestion<'_>,
        context: &ToolContext,
    ) -> Result<McpReply, ToolError> {
        let mut replied = self.exchange(question, context).await?;
        let Some(relay) = &question.relay else { return Ok(replied) };
        let Some(client) = &relay.client else { return Ok(replied) };
        for _ in 0..MAX_ROUNDS {
            let Some(required) = required(&replied) else { break };
            let mut members = relay.members.clone();
            match responses(&**client, &required.input_requests).await {
                Ok(responses) => members.insert("inputResponses".to_owned(), Json::of(&responses)),
                Err(error) => return Ok(McpReply::Error(error)),
            };
            members.extend(required.request_state.map(|it| ("requestState".to_owned(), it)));
            let relay = Arc::new(McpRelay { members, ..McpRelay::clone(relay) });
            let repeated = McpQuestion { relay: Some(relay), ..question.clone() };
            replied = self.exchange(&repeated, context).await?;
        }
        Ok(replied)
    }
}

fn required(reply: &McpReply) -> Option<InputRequired> {
    let McpReply::Result(result) = reply else { return None };
    let required: InputRequired = result.read().ok()?;
    (required.result_type == "input_required").then_some(required)
}

/// Asks the client for each input, in the order of their names.
///
/// # Errors
///
/// The error by which the client replies to one of them.
async fn responses(
    client: &dyn McpClientRequests,
    requests: &JsonObject,
) -> Result<JsonObject, Json> {
    let mut responses = JsonObject::new();
    for (name, request) in requests {
        let Ok(InputRequest { method, params }) = request.read() else { continue };
        match client.send(&method, params).await {
            McpReply::Result(result) => responses.insert(name.clone(), result),
            McpReply::Error(error) => return Err(error),
        };
    }
    Ok(responses)
}
