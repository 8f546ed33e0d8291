//! The caller of a tool without a model, and its permit.
//!
//! A tool call is work of a service, as a response is work of a model: it takes a slot of the
//! gateway, of its tenant and of its client until it has ended.

use crate::{request::options, service::HttpService};
use gateway_core::{Context, Result};
use gateway_limits::{AdmissionPermit, Client, QuotaReservation};
use http::HeaderMap;
use std::{net::IpAddr, sync::Arc};

/// The caller of a tool.
#[derive(Clone, Debug)]
pub(crate) struct ToolCaller {
    /// The calling client.
    pub(crate) client: Arc<Client>,
    /// The caller's IP address.
    pub(crate) peer: IpAddr,
    /// The id of the request, in logs and headers.
    pub(crate) request_id: Arc<str>,
}

/// Permission to run a tool; its slots are free again when it is dropped.
#[derive(Debug)]
pub(super) struct ToolPermit {
    _permit: Option<AdmissionPermit>,
    _slot: Option<QuotaReservation>,
}

impl ToolCaller {
    /// Takes the slots of a tool call; waits in the queue for a short time.
    ///
    /// # Errors
    ///
    /// If no slot gets free, or if the client is at its limit.
    pub(super) async fn admit(
        &self,
        service: &HttpService,
        headers: &HeaderMap,
    ) -> Result<ToolPermit> {
        let engine = &service.engine;
        let permit = engine.admit(&self.client, options::priority(headers)).await?;
        let slot = engine.limits.limiter.acquire_slot(&self.client, self.peer).await?;
        Ok(ToolPermit { _permit: permit, _slot: slot })
    }

    /// Returns the context that is passed along with the call.
    pub(super) fn context(&self, headers: &HeaderMap) -> Context {
        let options = options::traced(headers);
        Context {
            request_id: Arc::clone(&self.request_id),
            tenant: Arc::clone(&self.client.tenant),
            traceparent: options.traceparent,
            tracestate: options.tracestate,
            from_context_service: options.from_context_service,
            models: self.client.models.clone(),
            ..Context::default()
        }
    }
}
