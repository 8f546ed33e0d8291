//! `POST /v1/embeddings` without HTTP: texts as vectors.

use crate::{
    Engine, InboundRequest, Operation, PreparedRequest,
    response::{EngineResponse, RequestFailure, ResponseBody, ResponseCost},
};
use gateway_core::{EmbeddingCall, Result, Usage, estimate};
use gateway_limits::TokenEstimate;
use gateway_wire::{chat::ChatInbound, embeddings};
use std::{mem, sync::Arc};

impl Engine {
    /// Serves a request for embeddings.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare), or if the provider fails or makes no embeddings.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the upstream, and accounts for the request as cancelled.
    pub async fn embed(
        self: &Arc<Self>,
        inbound: InboundRequest,
    ) -> Result<EngineResponse, Box<RequestFailure>> {
        let prepared = self.prepare(&ChatInbound, Operation::Embed, inbound).await?;
        let PreparedRequest { mut context, body, .. } = prepared;
        let request = match embeddings::read_request(&body) {
            Ok(request) => Arc::new(request),
            Err(error) => return Err(context.failure(error)),
        };
        let estimated = estimate::tokens_of_json(&body);
        context.input = TokenEstimate::known(estimated);
        drop(body);
        let target = context.target.clone();
        let mut accounting = Box::new(context.accounting(&target));
        let call = EmbeddingCall {
            target,
            request: Arc::clone(&request),
            strict: context.is_strict(),
            context: context.call_context(),
        };
        let mut embedded = match context.provider.0.embed(call).await {
            Ok(embedded) => embedded,
            Err(error) => {
                accounting.failed(&error);
                return Err(context.accounted_failure(error));
            }
        };
        accounting.response_started(&embedded.meta);
        let reported = embedded.response.usage.filter(|usage| usage.total() > 0);
        accounting.completed(reported);
        let usage = reported.unwrap_or_else(|| Usage { input: estimated, ..Usage::default() });
        embedded.response.usage = Some(usage);
        context.facts.usage_is_estimated = reported.is_none();
        let body = embeddings::write_answer(&embedded.response, &request);
        context.facts.cost = Some(ResponseCost::at(context.price.as_ref(), &usage));
        context.facts.meta = Some(embedded.meta);
        Ok(EngineResponse {
            facts: mem::take(&mut context.facts),
            body: ResponseBody::Whole(body.into()),
        })
    }
}
