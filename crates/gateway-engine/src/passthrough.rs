//! Requests to any path of a provider, for clients that may send them.

use crate::{
    Engine, RequestHead, RoutePlan,
    context::ProviderHandle,
    prepare::NamedModel,
    response::{EngineResponse, RequestFailure},
};
use gateway_core::{
    ErrorKind, GatewayError, Price, RelayRequest, Result, Route, Rule, Target, matches_pattern,
};
use gateway_limits::{AdmissionPermit, Client};
use std::sync::Arc;

/// The model of a request that names none, in the log and the ledger.
const NO_MODEL: &str = "passthrough";

/// A request to a path of a provider.
#[derive(Debug)]
pub struct InboundPassthrough {
    /// The origin and the options.
    pub head: RequestHead,
    /// Its slot among the requests in progress, if there is a limit.
    pub permit: Option<AdmissionPermit>,
    /// The provider, as the caller named it.
    pub provider: String,
    /// The model, if the body names one: its price applies.
    pub model: Option<String>,
    /// Whether the reply is streamed.
    pub stream: bool,
    /// The request.
    pub request: RelayRequest,
}

impl Engine {
    /// Serves a request to a path of a provider.
    ///
    /// # Errors
    ///
    /// If the client may not send it, the provider is not set up, a limit is reached, or the provider
    /// fails before its reply begins.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the upstream, and accounts for the request as cancelled.
    pub async fn passthrough(
        self: &Arc<Self>,
        inbound: InboundPassthrough,
    ) -> Result<EngineResponse, Box<RequestFailure>> {
        let InboundPassthrough { head, permit, provider, model, stream, request } = inbound;
        let routed = self.route_to(&provider, model.as_deref());
        let routed = check_passthrough(&head.client, &provider, &request).and(routed);
        let (plan, target, provider) = match routed {
            Ok(routed) => routed,
            Err(error) => return Err(RequestFailure::unrouted(error, head.sender(), model)),
        };
        let model = model.unwrap_or_else(|| NO_MODEL.to_owned());
        let named = NamedModel { model, stream, names_session: false };
        let mut context = self.routed_context((head, permit), named, (plan, target, provider));
        if !writes(request.method) {
            // What reads what is there calls no model.
            context.price = Some(Price::free().clone());
        }
        context.relay(request).await
    }

    /// The way to the provider called `name`, for a request for `model`.
    fn route_to(
        &self,
        name: &str,
        model: Option<&str>,
    ) -> Result<(Arc<RoutePlan>, Target, ProviderHandle)> {
        let id = gateway_providers::find(name).map_or(name, |known| known.id);
        let unknown = || {
            GatewayError::new(ErrorKind::NotFound, "unknown provider").with_code("unknown_provider")
        };
        let (id, _) = self.directory.backend(id).ok_or_else(unknown)?;
        let provider = self.directory.provider(id)?;
        let known = model.and_then(|model| {
            let route = self.directory.routes().single(&format!("{id}/{model}")).ok()?;
            (route.provider == *id).then_some(route.target.card).flatten()
        });
        let target = Target { model: model.unwrap_or(NO_MODEL).into(), card: known };
        let route = Route {
            provider: Arc::clone(id),
            target: target.clone(),
            rule: Rule::Prefix,
            chain: None,
        };
        let plan = Arc::new(RoutePlan::new(name, route, Ok(Arc::clone(provider)), false));
        Ok((plan, target, ProviderHandle(Arc::clone(provider))))
    }
}

/// Whether a request of this method may call a model, or change something.
fn writes(method: &str) -> bool {
    !matches!(method, "GET" | "HEAD")
}

/// Fails unless `client` may send `request` to `provider`. A client that may use only some models may
/// only read: which model a path or a body of any form names is not known.
fn check_passthrough(client: &Client, provider: &str, request: &RelayRequest) -> Result<()> {
    let is_allowed = client.passthrough.iter().any(|allowed| matches_pattern(allowed, provider));
    if !is_allowed {
        let message = "this API key may not send requests to paths of this provider";
        return Err(
            GatewayError::new(ErrorKind::Forbidden, message).with_code("passthrough_not_allowed")
        );
    }
    if client.models.is_some() && writes(request.method) {
        let message = "this API key is limited to some models, and may only read by this path";
        return Err(GatewayError::new(ErrorKind::Forbidden, message)
            .with_code("model_not_allowed")
            .with_param("model"));
    }
    Ok(())
}
