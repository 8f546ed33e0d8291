//! The estimated token count of an input.

use super::{Responses, plan};
use gateway_core::{GatewayError, Json, JsonObject, Result, estimate, state::Tenant};
use gateway_wire::responses::{self, ResponseStateFields};

impl Responses {
    /// Returns the object with the estimated input tokens of a request of `tenant` with this body.
    pub async fn input_tokens(&self, tenant: &Tenant, body: &[u8]) -> Result<Vec<u8>> {
        let mut members: JsonObject = serde_json::from_slice(body).map_err(|error| {
            GatewayError::invalid("body", "the body is not a JSON object").with_source(error)
        })?;
        // An estimate needs no model.
        members.entry("model".to_owned()).or_insert_with(|| Json::of(&"any"));
        let fields = ResponseStateFields::read(body)?;
        plan::check(&fields)?;
        let earlier = plan::earlier(self, tenant, &fields, None, body.len()).await?;
        let request = plan::continued(members, earlier.items.unwrap_or_default())?;
        let tokens = estimate::tokens(&request, &request.model);
        Ok(responses::input_tokens(tokens))
    }
}
