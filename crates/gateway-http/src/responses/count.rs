//! How many tokens an input is, by estimate.

use super::{plan, record::Members};
use crate::{App, reply};
use gateway_core::{ErrorKind, GatewayError, Json, Result, estimate, state::Tenant};
use gateway_limits::Client;
use gateway_wire::responses::{self, StateFields};
use http::{Response, StatusCode};
use std::sync::Arc;

/// `POST /v1/responses/input_tokens`: what a request with this body would cost to read.
pub(crate) async fn input_tokens(
    app: &Arc<App>,
    client: &Client,
    body: &[u8],
) -> Result<Response<reply::Body>> {
    let mut members: Members = serde_json::from_slice(body).map_err(|error| {
        GatewayError::invalid("body", "the body is not a JSON object").with_source(error)
    })?;
    // An estimate needs no model.
    members.entry("model".to_owned()).or_insert_with(|| Json::of(&"any"));
    let fields = StateFields::read(body)?;
    plan::check(&fields)?;
    let tenant = Tenant::new(Arc::clone(&client.tenant)).ok_or_else(|| {
        GatewayError::new(ErrorKind::Internal, "a request that belongs to nobody")
    })?;
    let earlier = plan::earlier(app, &tenant, &fields, None, body.len()).await?;
    let request = plan::continued(members, earlier.items.unwrap_or_default())?;
    let tokens = estimate::tokens(&request, &request.model);
    Ok(reply::written(StatusCode::OK, responses::input_tokens(tokens)))
}
